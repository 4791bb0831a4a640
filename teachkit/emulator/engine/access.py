"""Loads and stores of a warp: the common case inline, every other case in the runtime.

The common case is 32 lanes that touch consecutive memory, in bounds and aligned: one comparison of the addresses, or
of what they are computed from, proves it, and then the access is one wide load or store and its count is arithmetic.
Anything else (gaps, lanes off, out of bounds) goes through a packed buffer that the runtime fills or empties lane by
lane.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from teachkit.emulator.engine import apart, ir, tally
from teachkit.emulator.engine.addresses import Place, gap_of, place_of
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.interleave import load_dealt, store_interleaved
from teachkit.emulator.engine.paths import all_of, either, every_lane, is_aligned
from teachkit.emulator.engine.shapes import (
    I8,
    I32,
    I64,
    POINTER,
    WIDTHS,
    Poison,
    Value,
    is_vector,
    lane_constants,
    vector_of,
)
from teachkit.emulator.ptx.model import Address, Operand

MAX_LANE_BYTES = 16
_MOST_INLINE = 64  # accesses of a kernel
_LINE_BYTES, _PAGE_BYTES = 64, 4096  # of the host


def load(e: Emitter, space: str, operand: Address, targets: Sequence[Operand], ptx_type: str) -> None:
    """Load consecutive elements of ``ptx_type`` into ``targets``. Lanes that are off keep what they had."""
    bits, n = WIDTHS[ptx_type], len(targets)
    for target, value in zip(targets, load_values(e, space, operand, bits, n, targets), strict=True):
        e.write_loaded(target, value, ptx_type)


def load_values(
    e: Emitter, space: str, operand: Address, bits: int, n: int, targets: Sequence[Operand] = ()
) -> list[Value]:
    """``n`` consecutive elements of ``bits`` a lane, as ``n`` values; scalars where all lanes load one address.

    Lanes that are off get what ``targets`` hold, or zero without ``targets``.
    """
    place = place_of(e, space, operand)
    lane_bytes = n * bits // 8
    mask = e.mask()
    if place.stride is None and not is_vector(place.address) and mask is None and not e.is_checked:
        return _load_scalar(e, space, place, bits, n)
    if mask is None:
        return load_dealt(e, _resolve(e, space, place, lane_bytes, ()), bits, n)
    old = [e.held(target, bits) for target in targets] or [e.vector(ir.Constant(ir.IntType(bits), 0))] * n
    return load_dealt(e, _resolve(e, space, place, lane_bytes, old), bits, n)


def load_packed(e: Emitter, space: str, operand: Address, lane_bytes: int) -> Value:
    """Where ``lane_bytes`` of each lane lie side by side after a load. Lanes that are off get zeros.

    It may be the memory that was loaded from, so nothing may be written there.
    """
    one = _Access.of(e, space, place_of(e, space, operand), lane_bytes, False)
    if one.may_be_run and one.step == lane_bytes:
        return one.find(e, clears=e.mask() is not None)
    zeros = [] if e.mask() is None else [ir.Splat(vector_of(I64, LANES * lane_bytes // 8), I64(0))]
    one.by_runtime(e, e.scratch["packed"], zeros)
    return e.scratch["packed"]


def store_packed(e: Emitter, space: str, operand: Address, packed: Value, lane_bytes: int) -> None:
    """The reverse: store from where the lanes' bytes lie side by side."""
    one = _Access.of(e, space, place_of(e, space, operand), lane_bytes, True)
    if one.may_be_run:
        apart.put(e, space, one.place, one.lanes, lane_bytes, one.site, packed)
    else:
        one.by_runtime(e, packed)


def store(e: Emitter, space: str, operand: Address, values: list[Value], bits: int) -> None:
    """The reverse of :func:`load`. Where lanes store to one address, the highest lane wins."""
    one = _Access.of(e, space, place_of(e, space, operand), len(values) * bits // 8, True)
    values = [e.vector(value) for value in values]
    packed = e.scratch["packed"]

    def write(where: Value) -> None:
        store_interleaved(e, values, where, bits // 8)

    def all_else() -> list[Value]:
        one.by_runtime(e, packed)
        return []

    def count() -> list[Value]:
        one.count_run(e, first)
        return []

    if not one.may_be_run:
        store_interleaved(e, values, packed, 64)
        all_else()
    elif one.is_long:
        apart.store(e, space, one.place, one.lanes, one.lane_bytes, one.site, write)
    else:
        first, conditions = one.run(e)
        is_run = all_of(e, conditions)
        write(e.builder.select(is_run, e.builder.inttoptr(first, POINTER), packed))
        either(e, [is_run], count, all_else)


def _resolve(e: Emitter, space: str, place: Place, lane_bytes: int, old: Sequence[Value]) -> Value:
    """Pointer to the lanes' data in order: the memory itself, or the packed buffer after a gather into it.

    ``old`` is what lanes get that are off.
    """
    b, packed = e.builder, e.scratch["packed"]
    one = _Access.of(e, space, place, lane_bytes, False)

    def together() -> list[Value]:
        one.count_run(e, first)
        memory = b.inttoptr(first, POINTER)
        gap = gap_of(space, place.stride, lane_bytes)
        if not gap:
            return [memory]
        element = ir.IntType(8 * lane_bytes)
        wide = b.load(memory, typ=vector_of(element, LANES * gap), align=lane_bytes)
        order = lane_constants(I32, range(0, LANES * gap, gap))
        b.store(b.shuffle_vector(wide, Poison(wide.type), order), packed, align=64)
        return [packed]

    def all_else() -> list[Value]:
        one.by_runtime(e, packed, old)
        return [packed]

    if not one.may_be_run:
        return all_else()[0]
    if one.is_long and apart.are_zeros(old):
        return one.find(e, clears=bool(old))
    first, conditions = one.run(e)
    return either(e, conditions, together, all_else)[0]


@dataclasses.dataclass(frozen=True, slots=True)
class _Access:
    """One access by the instruction that the emitter is at.

    ``may_be_run``: whether it may turn out that all lanes are on and touch one aligned, in-bounds run of memory.
    ``is_long``: whether the code of a run is better written once, in the runtime.
    """

    space: str
    place: Place
    lanes: Value
    lane_bytes: int
    is_store: bool
    is_masked: bool
    site: int
    step: int  # bytes from lane to lane in a run
    may_be_run: bool
    is_long: bool

    @classmethod
    def of(cls, e: Emitter, space: str, place: Place, lane_bytes: int, is_store: bool) -> _Access:
        """An access by the instruction that the emitter is at."""
        lanes, is_masked = e.lanes(), e.mask() is not None
        step = lane_bytes if is_store or not gap_of(space, place.stride, lane_bytes) else place.stride
        assert step is not None
        run_passes = tally.passes(space, is_store, step, lane_bytes)
        site = e.sites.access(e.instruction, space, is_store, lane_bytes, run_passes=run_passes)
        may_be_run = (
            not e.is_checked and place.stride in (None, step) and bool(place.stride or is_vector(place.address))
        )
        if isinstance(place.address, ir.Indexed) and lane_bytes % place.address.scale:
            may_be_run = False
        is_long = step == lane_bytes and _is_long(e, space, place, lane_bytes)
        return cls(space, place, lanes, lane_bytes, is_store, is_masked, site, step, may_be_run, is_long)

    def run(self, e: Emitter) -> tuple[Value, list[Value]]:
        """The host address of a run, and what must hold so that it is one."""
        first, follow = _first(e, self.place, self.lane_bytes)
        conditions = [inside(e, first, LANES * self.step, self.place), *is_aligned(e, first, self.lane_bytes)]
        if self.is_masked:
            conditions.append(every_lane(e, self.lanes))
        return first, [*conditions, *follow]

    def find(self, e: Emitter, *, clears: bool) -> Value:
        """Have the runtime find where the data lie that it loads."""
        return apart.find(e, self.space, self.place, self.lanes, self.lane_bytes, self.site, clears=clears)

    def count_run(self, e: Emitter, first: Value) -> None:
        """Count it as one run, and prefetch what follows."""
        if self.space == "global":
            prefetch(e, first, LANES * self.step, LANES * self.lane_bytes, self.is_store)
        n_bytes = (LANES - 1) * self.step + self.lane_bytes
        _count_run(e, self.place, self.space, self.site, first, self.lane_bytes, n_bytes, self.is_store)

    def by_runtime(self, e: Emitter, packed: Value, old: Sequence[Value] = ()) -> None:
        """Have the runtime check, count and move it."""
        verb = "store" if self.is_store else "load"
        apart.call(e, verb, self.space, self.place, self.lanes, self.lane_bytes, self.site, packed, old)


def _is_long(e: Emitter, space: str, place: Place, lane_bytes: int) -> bool:
    """Whether the runtime has the code of a run: it has it for other lanes anyway, and the lanes' addresses are long to
    compare, or it runs once. Where one number says where all lanes are there is little to write, but the processor has
    no room for the data of very many such accesses at once, which then lie on the stack."""
    address = place.address
    runs_once = space == "global" and not e.is_in_loop
    if not is_vector(address):
        if not runs_once and lane_bytes < MAX_LANE_BYTES:
            return False
        e.n_inline += 1
        return e.n_inline > _MOST_INLINE
    is_each = not place.is_offset and not isinstance(address, ir.Indexed)
    return runs_once or lane_bytes == MAX_LANE_BYTES or is_each


def _first(e: Emitter, place: Place, lane_bytes: int) -> tuple[Value, list[Value]]:
    """The host address of lane 0, and what must hold so that the others follow it in a row."""
    b, address = e.builder, place.address
    if not is_vector(address):
        return address, []
    if not isinstance(address, ir.Indexed):
        start = b.extract_element(address, I32(0))
        first = b.add(b.zext(start, I64), place.low) if place.is_offset else start
        return first, [_in_a_row(e, address, start, lane_bytes)]
    step = lane_bytes // address.scale  # from one lane's index to the next
    start = b.extract_element(address.index, I32(0))
    widened = b.sext(start, I64) if address.is_signed else b.zext(start, I64)
    first = b.add(address.base, b.mul(widened, I64(address.scale)))
    # No index starts anew behind the last.
    compare, end = (b.icmp_signed, 1 << 31) if address.is_signed else (b.icmp_unsigned, 1 << 32)
    return first, [compare("<", start, I32(end - LANES * step)), _in_a_row(e, address.index, start, step)]


def _count_run(
    e: Emitter, place: Place, space: str, site: int, first: Value, lane_bytes: int, n_bytes: int, store: bool
) -> None:
    if not e.sites.counting:
        return
    if space == "global":
        counted = tally.from_sector(e, first, place.low, lane_bytes)
        tally.run_in_global(e, site, counted, n_bytes, store)
    else:
        tally.run_in_shared(e, site)


def _load_scalar(e: Emitter, space: str, place: Place, bits: int, n: int) -> list[Value]:
    """All 32 lanes load one address: one scalar load, one sector or one wavefront."""
    b = e.builder
    lane_bytes = n * bits // 8
    site = e.sites.access(e.instruction, space, False, lane_bytes, run_passes=tally.passes(space, False, 0, lane_bytes))

    def one() -> list[Value]:
        _count_run(e, place, space, site, place.address, lane_bytes, lane_bytes, False)
        return [b.inttoptr(place.address, POINTER)]

    def all_else() -> list[Value]:
        packed = e.scratch["packed"]
        apart.call(e, "load", space, place, I32(-1), lane_bytes, site, packed)
        return [packed]

    conditions = [inside(e, place.address, lane_bytes, place), *is_aligned(e, place.address, lane_bytes)]
    (memory,) = either(e, conditions, one, all_else)
    element = ir.IntType(bits)
    return [
        b.load(b.gep(memory, [I64(i * bits // 8)], source_etype=I8), typ=element, align=bits // 8) for i in range(n)
    ]


def inside(e: Emitter, address: Value, n_bytes: int, place: Place) -> Value:
    """Whether ``n_bytes`` from ``address`` lie in the interval, in a way that no address can overflow."""

    def room_for() -> Value:
        return e.intrinsic("llvm.usub.sat", e.builder.sub(place.high, place.low), I64(n_bytes - 1))

    room = e.once(f"room {place.low.ref} {place.high.ref} {n_bytes}", room_for)
    return e.builder.icmp_unsigned("<", e.builder.sub(address, place.low), room)


def _in_a_row(e: Emitter, lanes: Value, start: Value, step: int) -> Value:
    """Whether each lane's address or index is the one before it plus ``step``."""
    b = e.builder
    steps = lane_constants(start.type, [lane * step for lane in range(LANES)])
    off = b.xor(lanes, b.add(e.vector(start), steps))
    # One bit that is wrong anywhere will do: processors without masks of lanes take long to make one.
    wrong = e.intrinsic("llvm.vector.reduce.or", off, returns=start.type)
    return b.icmp_unsigned("==", wrong, start.type(0))


def prefetch(e: Emitter, first: Value, n_bytes: int, n_used: int, store: bool) -> None:
    """Fetch what lies a page further: a stream gets there soon, and the processor's own prefetchers stop at pages.

    An access with gaps fetches its share: others will use the bytes between.
    """
    b = e.builder
    function = e.module.globals.get("llvm.prefetch.p0")
    if function is None:
        signature = ir.FunctionType(ir.VoidType(), [POINTER, I32, I32, I32])
        function = ir.Function(e.module, signature, "llvm.prefetch.p0")
    if n_used < n_bytes:
        number = b.and_(first, I64(n_bytes // LANES - 1))  # byte of the gap, which says which of its neighbours this is
        first = b.add(first, b.mul(number, I64(LANES)))
    for line in range(0, n_used, _LINE_BYTES):
        ahead = b.add(first, I64(_PAGE_BYTES + line))
        b.call(function, [b.inttoptr(ahead, POINTER), I32(int(store)), I32(3), I32(1)])
