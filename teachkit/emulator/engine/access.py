"""Loads and stores of a warp: the common case inline, every other case in the runtime.

The common case is 32 lanes that touch consecutive memory, in bounds and aligned: one comparison of the
addresses proves it, and then the access is one wide load or store and its count is arithmetic. Anything else
(gaps, lanes off, out of bounds) goes through a packed buffer that the runtime fills or empties lane by lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from teachkit.emulator.engine import apart, ir, tally
from teachkit.emulator.engine.addresses import Place, gap_of, place_of
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.interleave import load_dealt, store_interleaved
from teachkit.emulator.engine.paths import either, every_lane, is_aligned
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
        return load_dealt(e, _resolve(e, space, place, lane_bytes, None), bits, n)
    old = [e.held(target, bits) for target in targets] or [e.vector(ir.Constant(ir.IntType(bits), 0))] * n

    def keep() -> None:
        store_interleaved(e, old, e.scratch["packed"], 64, is_rare=True)

    return load_dealt(e, _resolve(e, space, place, lane_bytes, keep), bits, n)


def load_packed(e: Emitter, space: str, operand: Address, lane_bytes: int) -> Value:
    """Where ``lane_bytes`` of each lane lie side by side after a load. Lanes that are off get zeros.

    It may be the memory that was loaded from, so nothing may be written there.
    """

    def clear() -> None:
        e.builder.store(ir.Constant(vector_of(I64, LANES * lane_bytes // 8), None), e.scratch["packed"], align=64)

    place = place_of(e, space, operand)
    return _resolve(e, space, place, lane_bytes, None if e.mask() is None else clear)


def store_packed(e: Emitter, space: str, operand: Address, packed: Value, lane_bytes: int) -> None:
    """The reverse: store from where the lanes' bytes lie side by side."""

    def fast(memory: Value) -> list[Value]:
        whole = e.builder.load(packed, typ=vector_of(I32, LANES * lane_bytes // 4), align=4)
        e.builder.store(whole, memory, align=4)
        return []

    _split(e, space, place_of(e, space, operand), lane_bytes, True, fast, lambda: packed)


def store(e: Emitter, space: str, operand: Address, values: list[Value], bits: int) -> None:
    """The reverse of :func:`load`. Where lanes store to one address, the highest lane wins."""
    place = place_of(e, space, operand)
    values = [e.vector(value) for value in values]

    def fast(memory: Value) -> list[Value]:
        store_interleaved(e, values, memory, bits // 8)
        return []

    def pack() -> Value:
        store_interleaved(e, values, e.scratch["packed"], 64, is_rare=True)
        return e.scratch["packed"]

    _split(e, space, place, len(values) * bits // 8, True, fast, pack)


def _resolve(e: Emitter, space: str, place: Place, lane_bytes: int, prepare: Callable[[], None] | None) -> Value:
    """Pointer to the lanes' data in order: the memory itself, or the packed buffer after a gather into it.

    ``prepare`` writes there what lanes get that are off.
    """
    packed = e.scratch["packed"]

    def slow() -> Value:
        if prepare is not None:
            prepare()
        return packed

    def fast(memory: Value) -> list[Value]:
        gap = gap_of(space, place.stride, lane_bytes)
        if gap:
            element = ir.IntType(8 * lane_bytes)
            wide = e.builder.load(memory, typ=vector_of(element, LANES * gap), align=lane_bytes)
            order = lane_constants(I32, range(0, LANES * gap, gap))
            e.builder.store(e.builder.shuffle_vector(wide, Poison(wide.type), order), packed, align=64)
            memory = packed
        return [memory]

    (pointer,) = _split(e, space, place, lane_bytes, False, fast, slow)
    return pointer


def _split(
    e: Emitter,
    space: str,
    place: Place,
    lane_bytes: int,
    store: bool,
    fast: Callable[[Value], list[Value]],
    slow: Callable[[], Value],
) -> list[Value]:
    """Branch on whether all lanes are on and touch one aligned, in-bounds run of memory.

    ``slow`` gets the packed buffer ready for all other cases, and says where it is. A load comes back with where its
    data are.
    """
    b = e.builder
    verb = "store" if store else "load"
    lanes = e.lanes()
    step = place.stride if not store and gap_of(space, place.stride, lane_bytes) else lane_bytes
    assert step is not None
    site = e.sites.access(
        e.instruction, space, store, lane_bytes, run_passes=tally.passes(space, store, step, lane_bytes)
    )

    def all_else() -> list[Value]:
        packed = slow()
        apart.call(e, verb, space, place, lanes, lane_bytes, site, packed)
        return [] if store else [packed]

    if e.is_checked or place.stride not in (None, step) or not (place.stride or is_vector(place.address)):
        return all_else()
    start = b.extract_element(place.address, I32(0)) if is_vector(place.address) else place.address
    first = b.add(b.zext(start, I64), place.low) if place.is_offset else start
    conditions = [inside(e, first, LANES * step, place), *is_aligned(e, first, lane_bytes)]
    if e.mask() is not None:
        conditions.append(every_lane(e, lanes))
    if place.stride is None:
        conditions.append(_in_a_row(e, place.address, start, lane_bytes))

    def together() -> list[Value]:
        if space == "global":
            prefetch(e, first, LANES * step, LANES * lane_bytes, store)
        _count_run(e, place, space, site, first, lane_bytes, (LANES - 1) * step + lane_bytes, store)
        return fast(b.inttoptr(first, POINTER))

    return either(e, conditions, together, all_else)


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


def _in_a_row(e: Emitter, address: Value, start: Value, lane_bytes: int) -> Value:
    """Whether each lane's address is the one before it plus ``lane_bytes``."""
    b = e.builder
    steps = lane_constants(start.type, [lane * lane_bytes for lane in range(LANES)])
    off = b.xor(address, b.add(e.vector(start), steps))
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
