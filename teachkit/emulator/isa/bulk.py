"""Bulk copies: runs of bytes and boxes of tensors between global and shared memory, by one thread each.

They are carried out at once by ``runtime/bulk.ll`` and ``boxes.ll``, in the order of lanes; ``complete_tx`` then tells
the barrier of all bytes of the box, also of those outside the tensor. They pass by the load and store unit, and with it
by what is counted of its requests, sectors, bytes and wavefronts; the caches and DRAM see them, without L1.

Of two floats of which one is NaN the other is the smallest and the largest, as for ``min`` and ``max``.
Not modelled: im2col, ``gather4`` and ``scatter4``, masks of bytes, and the traffic of fetching a tensor map.
Source: PTX ISA, "cp.async.bulk", "cp.reduce.async.bulk", "cp.async.bulk.tensor", "cp.reduce.async.bulk.tensor".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import clusters, ir, tally
from teachkit.emulator.engine.addresses import address_of
from teachkit.emulator.engine.context import CLUSTER_OFFSET, CLUSTER_RANK_AT, LANES, LANES_SLOT
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I1, I32, I64, POINTER, Value, vector_of
from teachkit.emulator.isa.atomic import in_cluster
from teachkit.emulator.isa.mbarrier import complete
from teachkit.emulator.isa.reductions import REDUCED, reduction
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Group, Operand
from teachkit.emulator.tensor_map import MAX_RANK, TYPES

_RANKS = "(1d|2d|3d|4d|5d)"
_SHARED = "(shared::cta|shared::cluster)"
_ARRIVES = "mbarrier::complete_tx::bytes[.multicast::cluster][.L2::cache_hint]"
_GROUP = "bulk_group[.L2::cache_hint]"
_N_ROWS = 3 + MAX_RANK  # of the table: two addresses, coordinates, bytes of the box


@instruction(f"cp.async.bulk.tensor.{_RANKS}.{_SHARED}.global[.tile].{_ARRIVES}", reads=None)
def tensor_load(e: Emitter, form: Form, shared: Operand, box: Operand, barrier: Operand, *policy: Operand) -> None:
    """A box of a tensor to shared memory. What lies outside the tensor is zero, or NaN if the map says so."""
    rank, operands = _box_operands(e, form, box, shared)

    def copy(lanes: Value, table: Value, sites: Sequence[Value], check: Value) -> tuple[Value, Value]:
        done = _box(e, lanes, table, 0, rank, sites, _null(), check)
        amounts = e.builder.load(_row(e, table, _N_ROWS - 1), typ=vector_of(I64), align=8)
        return done, e.cast("trunc", amounts, I32)

    _issue(e, operands, False, False, _to_shared(e, form, shared, barrier, policy, copy))


@instruction(f"cp.async.bulk.tensor.{_RANKS}.global.shared::cta[.tile].{_GROUP}", reads=None)
def tensor_store(e: Emitter, form: Form, box: Operand, shared: Operand, *policy: Operand) -> None:
    """The reverse; nothing is stored outside the tensor."""
    rank, operands = _box_operands(e, form, box, shared)
    _issue(e, operands, True, False, lambda *rest: _store_box(e, rank, rest, _null()))


@instruction(
    f"cp.reduce.async.bulk.tensor.{_RANKS}.global.shared::cta.({'|'.join(REDUCED)})[.tile].{_GROUP}", reads=None
)
def tensor_reduce(e: Emitter, form: Form, box: Operand, shared: Operand, *policy: Operand) -> None:
    """The same, each element combined with what is in the tensor, as the map's type of elements says."""
    rank, operands = _box_operands(e, form, box, shared)
    function = reduction(e, form.required[1], REDUCED[form.required[1]])
    _issue(e, operands, True, True, lambda *rest: _store_box(e, rank, rest, function))


def _store_box(e: Emitter, rank: int, rest: tuple[Value, Value, Sequence[Value], Value], reduce: Value) -> None:
    lanes, table, sites, check = rest
    _box(e, lanes, table, 1, rank, sites, reduce, check)


@instruction(f"cp.async.bulk.{_SHARED}.global.{_ARRIVES}", reads=None)
def bulk_load(
    e: Emitter, form: Form, shared: Operand, source: Operand, size: Operand, barrier: Operand, *policy: Operand
) -> None:
    """A run of bytes, a multiple of 16, to shared memory."""
    n_bytes = e.vector(e.read(size, "u32"))

    def copy(lanes: Value, table: Value, sites: Sequence[Value], check: Value) -> tuple[Value, Value]:
        return _run(e, lanes, table, 0, 0, sites, _null(), check), n_bytes

    operands = _run_operands(e, source, shared, n_bytes)
    _issue(e, operands, False, False, _to_shared(e, form, shared, barrier, policy, copy))


def _to_shared(
    e: Emitter, form: Form, shared: Operand, barrier: Operand, rest: Sequence[Operand], copy: Callable[..., Any]
) -> Callable[..., None]:
    """What copies and then tells the barrier, in the block that issues it or in those that it goes to.

    A copy to several blocks reads global memory once. ``copy`` gives the lanes that have copied, and their bytes.
    """
    assert isinstance(barrier, Address)
    assert isinstance(shared, Address)
    is_multicast = "multicast::cluster" in form.optional
    reaches = "shared::cluster" in form.required
    if is_multicast and not reaches:
        raise e.unsupported("to several blocks' shared::cta")

    def here(lanes: Value, table: Value, sites: Sequence[Value], check: Value) -> None:
        complete(e, barrier, *copy(lanes, table, sites, check))

    def there(lanes: Value, table: Value, sites: Sequence[Value], check: Value) -> None:
        b = e.builder
        place, bell = (e.vector(address_of(e, operand, "shared")) for operand in (shared, barrier))
        offset, bell_offset = (b.and_(each, e.constant(each, CLUSTER_OFFSET)) for each in (place, bell))
        if is_multicast:
            targets = e.cast("zext", e.vector(e.read(rest[0], "u16")), I32)
        else:
            rank = clusters.ranks(e, place)
            rank = e.intrinsic("llvm.umin", rank, e.constant(rank, LANES - 1))
            targets = b.shl(e.constant(rank, 1), rank)
        last = b.sub(e.constant(targets, LANES), e.intrinsic("llvm.ctlz", targets, I1(0)))  # 1 + its rank
        above = b.shl(e.cast("zext", last, I64), e.constant(place, CLUSTER_RANK_AT))
        counting, e.sites.counting, e.sites.is_again = e.sites.counting, False, True
        lanes = in_cluster(e, clusters.hosts(e, b.or_(offset, above)), 16, lanes)
        e.sites.counting, e.sites.is_again = counting, False
        with clusters.each_block(e, targets, lanes) as (some, base, is_first):
            b.store(b.add(offset, e.vector(base)), _row(e, table, 1), align=8)
            once = [b.select(is_first, site, b.xor(site, I64(-1))) if counting else site for site in sites]
            done, n_bytes = copy(some, table, once, check)
            host = b.add(bell_offset, e.vector(base)) if is_multicast else clusters.hosts(e, bell)
            complete(e, barrier, done, n_bytes, host)

    return there if reaches and e.spans_blocks else here


@instruction(f"cp.async.bulk.global.shared::cta.{_GROUP}", reads=None)
def bulk_store(e: Emitter, form: Form, target: Operand, shared: Operand, size: Operand, *policy: Operand) -> None:
    """The reverse."""
    operands = _run_operands(e, target, shared, e.vector(e.read(size, "u32")))
    _issue(e, operands, True, False, lambda *rest: _store_run(e, 0, rest, _null()))


@instruction(
    f"cp.reduce.async.bulk.global.shared::cta.{_GROUP}.add.(u32|s32|u64|f32|f64)",
    f"cp.reduce.async.bulk.global.shared::cta.{_GROUP}.add.noftz.(f16|bf16)",
    f"cp.reduce.async.bulk.global.shared::cta.{_GROUP}.(min|max).(u32|s32|u64|s64|f16|bf16)",
    f"cp.reduce.async.bulk.global.shared::cta.{_GROUP}.(inc|dec).(u32)",
    f"cp.reduce.async.bulk.global.shared::cta.{_GROUP}.(and|or|xor).(b32|b64)",
    reads=None,
)
def bulk_reduce(e: Emitter, form: Form, target: Operand, shared: Operand, size: Operand, *policy: Operand) -> None:
    """The same, each element combined with what is there."""
    operation = next(part for part in form.opcode.split(".") if part in REDUCED)
    kind = form.type.replace("b32", "u32").replace("b64", "u64")
    function = reduction(e, operation, (kind,))
    operands = _run_operands(e, target, shared, e.vector(e.read(size, "u32")))
    _issue(e, operands, True, True, lambda *rest: _store_run(e, TYPES.index(kind), rest, function))


def _store_run(e: Emitter, kind: int, rest: tuple[Value, Value, Sequence[Value], Value], reduce: Value) -> None:
    lanes, table, sites, check = rest
    _run(e, lanes, table, 1, kind, sites, reduce, check)


@instruction("cp.async.bulk.commit_group", reads=(), writes="")
def bulk_commit(e: Emitter, form: Form) -> None:
    """Copies are finished when they are issued."""


@instruction("cp.async.bulk.wait_group[.read]", reads=None)
def bulk_wait(e: Emitter, form: Form, n: Operand) -> None:
    """Copies are finished when they are issued."""


@instruction(
    f"cp.async.bulk.prefetch.tensor.{_RANKS}.L2.global[.tile][.L2::cache_hint]",
    "cp.async.bulk.prefetch.L2.global[.L2::cache_hint]",
    reads=None,
)
def bulk_prefetch(e: Emitter, form: Form, *what: Operand) -> None:
    """A hint."""


def _box_operands(e: Emitter, form: Form, box: Operand, shared: Operand) -> tuple[int, list[Value]]:
    """The number of dimensions, and the rows of the table."""
    rank = int(form.required[0][0])
    if not isinstance(box, Group) or len(box.items) != 2 or not isinstance(box.items[1], Group):
        raise e.unsupported("a tensor without coordinates")
    place, coordinates = box.items[0], box.items[1].items
    if len(coordinates) != rank:
        raise e.unsupported(f"{len(coordinates)} coordinates")
    assert isinstance(place, Address)
    rows = [address_of(e, place, "global"), _in_shared(e, shared)]
    return rank, rows + [e.cast("sext", e.read(item, "s32"), I64) for item in coordinates]


def _run_operands(e: Emitter, place: Operand, shared: Operand, n_bytes: Value) -> list[Value]:
    assert isinstance(place, Address)
    return [address_of(e, place, "global"), _in_shared(e, shared), e.cast("zext", n_bytes, I64)]


def _in_shared(e: Emitter, operand: Operand) -> Value:
    assert isinstance(operand, Address)
    return e.builder.add(*e.alike(address_of(e, operand, "shared"), e.scratch["shared_base"]))


def request(e: Emitter, rows: Sequence[Value]) -> Value:
    """The table of a request: rows of 32 numbers of 64 bits. All requests of a kernel use the same memory."""

    def room() -> Value:
        made = e.builder.alloca(vector_of(I64, LANES * _N_ROWS))
        return e.builder.inttoptr(e.builder.ptrtoint(made, I64), POINTER)

    table = e.once("bulk request", room)
    for number, value in enumerate(rows):
        e.builder.store(e.vector(value), _row(e, table, number), align=8)
    return table


def _row(e: Emitter, table: Value, number: int) -> Value:
    return e.builder.gep(table, [I64(LANES * number)], source_etype=I64)


def _issue(e: Emitter, operands: Sequence[Value], is_store: bool, is_atomic: bool, copy: Callable[..., None]) -> None:
    """Let the lanes that are on copy, if there are any; ``copy(lanes, table, sites, check)`` writes the call."""
    if is_atomic:
        e.is_ordered = True  # of sums of floats the order shows, and the type is the map's
    lanes = e.lanes()
    numbers = places(e, is_store, is_atomic)
    with e.builder.if_then(e.builder.icmp_unsigned("!=", lanes, I32(0))):
        if e.sites.counting:
            tally.add_lanes(e, numbers[0] + LANES_SLOT, lanes)
        sites = [site_value(e, number) for number in numbers]
        copy(
            lanes, request(e, operands), sites, hooks.bulk(e, sites[0], sites[1], is_store) if e.is_checked else _null()
        )


def places(e: Emitter, is_store: bool, is_atomic: bool = False) -> tuple[int, int]:
    """Sites of what the instruction does in global and in shared memory."""
    first = e.sites.access(e.instruction, "global", is_store, 1, is_atomic)
    e.sites.is_again = True
    second = e.sites.access(e.instruction, "shared", not is_store, 1)
    e.sites.is_again = False
    return first, second


def site_value(e: Emitter, number: int) -> Value:
    """A site as the runtime takes it: its complement where nothing is counted."""
    return I64(number if e.sites.counting else ~number)


def runtime_function(e: Emitter, name: str, result: ir.Type, n_numbers: int, n_pointers: int) -> ir.Function:
    """A function of ``runtime/bulk.ll``: of the context, the lanes, the table, numbers, then pointers."""
    function = e.module.globals.get(name)
    if function is None:
        kinds = [POINTER, I32, POINTER, *[I64] * n_numbers, *[POINTER] * n_pointers]
        function = ir.Function(e.module, ir.FunctionType(result, kinds), name)
    return function


def _box(
    e: Emitter,
    lanes: Value,
    table: Value,
    is_store: int,
    rank: int,
    sites: Sequence[Value],
    reduce: Value,
    check: Value,
) -> Value:
    numbers = [I64(is_store), I64(rank), *sites, e.scratch["parameters_high"]]
    function = runtime_function(e, "tk_box", I32, len(numbers), 2)
    return e.builder.call(function, [e.context, lanes, table, *numbers, reduce, check])


def _run(
    e: Emitter,
    lanes: Value,
    table: Value,
    is_store: int,
    kind: int,
    sites: Sequence[Value],
    reduce: Value,
    check: Value,
) -> Value:
    numbers = [I64(is_store), I64(kind), *sites]
    function = runtime_function(e, "tk_bulk", I32, len(numbers), 2)
    return e.builder.call(function, [e.context, lanes, table, *numbers, reduce, check])


def _null() -> Value:
    return ir.Constant(POINTER, None)
