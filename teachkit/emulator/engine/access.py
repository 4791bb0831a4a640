"""Loads and stores of a warp: the common case inline, every other case in the runtime.

The common case is 32 lanes that touch consecutive memory, in bounds and aligned: one comparison of the
addresses proves it, and then the access is one wide load or store and its count is arithmetic. Anything else
(gaps, lanes off, out of bounds) goes through a packed buffer that the runtime fills or empties lane by lane.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import (
    LANES,
    SECTOR_BYTES,
    TRACE_COUNT_SHIFT,
    TRACE_SECTOR_SHIFT,
    offset,
)
from teachkit.emulator.engine.emit import (
    I8,
    I32,
    I64,
    POINTER,
    WIDTHS,
    Emitter,
    Poison,
    Value,
    is_vector,
    lane_constants,
    vector_of,
)
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.interleave import load_dealt, store_interleaved
from teachkit.emulator.ptx.model import Address, Operand, Register, Symbol

MAX_LANE_BYTES = 16
_LINE_BYTES, _PAGE_BYTES = 64, 4096  # of the host
_BANK_BYTES = 4


def address_of(e: Emitter, operand: Address, space: str) -> Value:
    """The operand's address as 64-bit integers: in the window of ``space`` for shared, of the host for global."""
    base = operand.base
    if isinstance(base, Register):
        width = "u64" if e.register_types[base.name].endswith("64") else "u32"
        value = e.read(base, width)
        if width == "u32":
            value = e.builder.add(value, e.constant(value, operand.offset)) if operand.offset else value
            return e.cast("zext", value, I64)
    elif isinstance(base, Symbol):
        value = e.symbol(base.name, "u64")
    else:
        value = e.read(base, "u64")
    return e.builder.add(value, e.constant(value, operand.offset)) if operand.offset else value


def load(e: Emitter, space: str, operand: Address, targets: Sequence[Operand], ptx_type: str) -> None:
    """Load consecutive elements of ``ptx_type`` into ``targets``. Lanes that are off keep what they had."""
    bits, n = WIDTHS[ptx_type], len(targets)
    for target, value in zip(targets, load_values(e, space, operand, bits, n, targets), strict=True):
        e.write(target, value, ptx_type, keep_off_lanes=False)


def load_values(
    e: Emitter, space: str, operand: Address, bits: int, n: int, targets: Sequence[Operand] = ()
) -> list[Value]:
    """``n`` consecutive elements of ``bits`` a lane, as ``n`` values; scalars where all lanes load one address.

    Lanes that are off get what ``targets`` hold, or zero without ``targets``.
    """
    stride = _stride(e, operand)
    address, low, high = whereabouts(e, space, operand, stride)
    lane_bytes = n * bits // 8
    mask = e.mask()
    if stride is None and not is_vector(address) and mask is None and not e.is_checked:
        return _load_scalar(e, space, address, low, high, bits, n)
    old = [e.vector(e.read(t, f"b{bits}")) for t in targets] or [e.vector(ir.Constant(ir.IntType(bits), 0))] * n

    def keep() -> None:
        store_interleaved(e, old, e.scratch["packed"], 64, is_rare=True)

    memory = _resolve(e, space, operand, address, low, high, lane_bytes, stride, None if mask is None else keep)
    return load_dealt(e, memory, bits, n)


def load_packed(e: Emitter, space: str, operand: Address, lane_bytes: int) -> Value:
    """Where ``lane_bytes`` of each lane lie side by side after a load. Lanes that are off get zeros.

    It may be the memory that was loaded from, so nothing may be written there.
    """
    stride = _stride(e, operand)
    address, low, high = whereabouts(e, space, operand, stride)

    def clear() -> None:
        e.builder.store(ir.Constant(vector_of(I64, LANES * lane_bytes // 8), None), e.scratch["packed"], align=64)

    return _resolve(e, space, operand, address, low, high, lane_bytes, stride, None if e.mask() is None else clear)


def store_packed(e: Emitter, space: str, operand: Address, packed: Value, lane_bytes: int) -> None:
    """The reverse: store from where the lanes' bytes lie side by side."""
    stride = _stride(e, operand)
    address, low, high = whereabouts(e, space, operand, stride)

    def fast(memory: Value) -> None:
        whole = e.builder.load(packed, typ=vector_of(I32, LANES * lane_bytes // 4), align=4)
        e.builder.store(whole, memory, align=4)

    def slow(function: Value, arguments: list[Value]) -> None:
        if stride is None:
            arguments = [*arguments[:-1], packed]
        else:  # the function writes the lanes' addresses behind the packed buffer
            fast(e.scratch["packed"])
        e.builder.call(function, arguments)

    _split(e, space, operand, address, low, high, lane_bytes, stride, True, fast, slow)


def store(e: Emitter, space: str, operand: Address, values: list[Value], bits: int) -> None:
    """The reverse of :func:`load`. Where lanes store to one address, the highest lane wins."""
    stride = _stride(e, operand)
    address, low, high = whereabouts(e, space, operand, stride)
    n = len(values)
    lane_bytes = n * bits // 8
    values = [e.vector(value) for value in values]

    def slow(function: Value, arguments: list[Value]) -> None:
        store_interleaved(e, values, e.scratch["packed"], 64, is_rare=True)
        e.builder.call(function, arguments)

    def fast(memory: Value) -> None:
        store_interleaved(e, values, memory, bits // 8)

    _split(e, space, operand, address, low, high, lane_bytes, stride, True, fast, slow)


def _stride(e: Emitter, operand: Address) -> int | None:
    """Bytes from one lane's address to the next, where that is known before running."""
    if e.is_checked:
        return None
    return e.strides.get(operand.base.name) if isinstance(operand.base, Register) else None


def _gap(space: str, stride: int | None, lane_bytes: int) -> int:
    """How many elements lie from one lane's to the next, if few enough to load them all and pick; else 0.

    With at most 32 bytes between lanes every sector from the first to the last is touched, as in a run.
    """
    if space != "global" or stride is None or lane_bytes > 8 or stride % lane_bytes:
        return 0
    return stride // lane_bytes if stride // lane_bytes in (2, 3, 4) and stride <= SECTOR_BYTES else 0


def place(e: Emitter, space: str, operand: Address, *, of_first: bool = False) -> tuple[Value, Value, Value]:
    """Host address of the operand, in lane 0 or in all lanes, and the interval it must stay in."""
    before, e.lane_zero = e.lane_zero, of_first or e.lane_zero
    address = address_of(e, operand, space)
    e.lane_zero = before
    if space == "shared":
        base = e.scratch["shared_base"]
        host = e.builder.add(e.vector(base) if is_vector(address) else base, address)
        return host, base, e.scratch["shared_end"]
    root = root_of(e, operand)
    low, high = e.bounds[root] if root in e.bounds else (I64(0), I64(0))
    return address, low, high


def whereabouts(e: Emitter, space: str, operand: Address, stride: int | None) -> tuple[Value, Value, Value]:
    """As :func:`place`, for :func:`arguments_at`: a vector of 32 bits is of offsets from the start of the interval."""
    is_offset = space == "shared" and stride is None and _is_narrow(e, operand) and not e.is_checked
    if is_offset:
        offsets = e.read(operand.base, "u32")
        if is_vector(offsets):
            offsets = e.builder.add(offsets, e.constant(offsets, operand.offset)) if operand.offset else offsets
            return offsets, e.scratch["shared_base"], e.scratch["shared_end"]
    return place(e, space, operand, of_first=stride is not None)


def root_of(e: Emitter, operand: Address) -> str | None:
    """The parameter or variable that an address is computed from, None where it is not just one."""
    if isinstance(operand.base, Register):
        return e.provenance.get(operand.base.name)
    return operand.base.name if isinstance(operand.base, Symbol) else None


def in_window(e: Emitter, host: Value, lanes: Value, window: str) -> Value:
    """Which of ``lanes`` have a generic address in this block's ``window`` ("shared" or "local"), as 32 bits."""
    b = e.builder
    above = b.icmp_unsigned(">=", host, e.vector(e.scratch[f"{window}_base"]))
    below = b.icmp_unsigned("<", host, e.vector(e.scratch[f"{window}_end"]))
    return b.and_(b.bitcast(b.and_(above, below), I32), lanes)


def _resolve(
    e: Emitter,
    space: str,
    operand: Address,
    address: Value,
    low: Value,
    high: Value,
    lane_bytes: int,
    stride: int | None,
    prepare: Callable[[], None] | None,
) -> Value:
    """Pointer to the lanes' data in order: the memory itself, or the packed buffer after a gather into it.

    ``prepare`` writes there what lanes get that are off.
    """
    ends: list[tuple[Value, ir.Block]] = []

    def slow(function: Value, arguments: list[Value]) -> None:
        if prepare is not None:
            prepare()
        e.builder.call(function, arguments)
        ends.append((e.scratch["packed"], e.builder.block))

    def fast(memory: Value) -> None:
        gap = _gap(space, stride, lane_bytes)
        if gap:
            element = ir.IntType(8 * lane_bytes)
            wide = e.builder.load(memory, typ=vector_of(element, LANES * gap), align=lane_bytes)
            order = lane_constants(I32, range(0, LANES * gap, gap))
            e.builder.store(e.builder.shuffle_vector(wide, Poison(wide.type), order), e.scratch["packed"], align=64)
            memory = e.scratch["packed"]
        ends.append((memory, e.builder.block))

    _split(e, space, operand, address, low, high, lane_bytes, stride, False, fast, slow)
    pointer = e.builder.phi(POINTER)
    for value, block in ends:
        pointer.add_incoming(value, block)
    return pointer


def _split(
    e: Emitter,
    space: str,
    operand: Address,
    address: Value,
    low: Value,
    high: Value,
    lane_bytes: int,
    stride: int | None,
    store: bool,
    fast: Callable[[Value], None],
    slow: Callable[[Value, list[Value]], None],
) -> None:
    """Branch on whether all lanes are on and touch one aligned, in-bounds run of memory.

    ``address`` is lane 0's where there is a stride. ``slow`` is given the function that handles all other cases.
    """
    b = e.builder
    verb = "store" if store else "load"
    site = e.sites.access(e.instruction, space, store, lane_bytes)
    lanes = e.lanes()
    place = I64(site if e.sites.counting else ~site)
    rest = [lanes, low, high, place, I64(lane_bytes), e.scratch["packed"]]

    def all_else() -> None:
        if stride is None:
            slow(*arguments_at(e, f"tk_{verb}_{space}", address, rest))
        else:
            slow(_spread(e, f"tk_{verb}_{space}", stride, _is_narrow(e, operand)), [e.context, address, *rest])

    if stride is None:
        address = e.vector(address)
    is_narrow = is_vector(address) and address.type.element == I32
    if e.is_checked:
        all_else()
        join = b.append_basic_block("checked")
        b.branch(join)
        b.position_at_end(join)
        return
    start = address if stride is not None else b.extract_element(address, I32(0))
    first = b.add(b.zext(start, I64), low) if is_narrow else start
    step = lane_bytes
    if stride is not None and (stride == lane_bytes or (not store and _gap(space, stride, lane_bytes))):
        together, step = lanes, stride
    elif stride is not None:
        together = I32(0)  # never in a row
    else:
        steps = lane_constants(start.type, [lane * lane_bytes for lane in range(LANES)])
        in_a_row = b.icmp_unsigned("==", address, b.add(e.vector(start), steps))
        together = b.and_(b.bitcast(in_a_row, I32), lanes)
    conditions = [b.icmp_signed("==", together, I32(-1)), _inside(e, first, LANES * step, low, high)]
    if lane_bytes > 1:
        conditions.append(b.icmp_unsigned("==", b.and_(first, I64(lane_bytes - 1)), I64(0)))
    simple = conditions[0]
    for condition in conditions[1:]:
        simple = b.and_(simple, condition)
    fast_block, slow_block, join = (b.append_basic_block(name) for name in ("together", "apart", "joined"))
    branch = b.cbranch(simple, fast_block, slow_block)
    branch.set_weights([63, 1])

    b.position_at_end(fast_block)
    if space == "global":
        _prefetch(e, first, LANES * step, store)
    if e.sites.counting:
        if space == "global":
            wavefronts = 0 if store else _bank_wavefronts(step, lane_bytes)
            _count_run(e, site, first, (LANES - 1) * step + lane_bytes, store, wavefronts)
        else:
            wavefronts = max(1, LANES * lane_bytes // 128)
            add_counts(e, site, [I64(1), I64(LANES), I64(wavefronts), I64(0)])
    fast(b.inttoptr(first, POINTER))
    b.branch(join)

    b.position_at_end(slow_block)
    all_else()
    b.branch(join)
    b.position_at_end(join)


def arguments_at(e: Emitter, name: str, address: Value, rest: list[Value]) -> tuple[Value, list[Value]]:
    """The runtime's function ``name`` and its arguments for all lanes' addresses, or offsets from an interval's start.

    ``rest`` are its arguments from the lanes on.
    """
    is_offset = address.type.element == I32
    e.builder.store(address, e.scratch["addresses"], align=64)
    function = _widened(e, name) if is_offset else runtime(e, name)
    return function, [e.context, e.scratch["addresses"], *rest]


def _is_narrow(e: Emitter, operand: Address) -> bool:
    """Whether the operand's address is computed in 32 bits, and so may wrap from lane to lane."""
    return isinstance(operand.base, Register) and not e.register_types[operand.base.name].endswith("64")


def _spread(e: Emitter, name: str, stride: int, is_narrow: bool) -> ir.Function:
    """The runtime's function ``name``, given lane 0's address and the stride: one copy for all accesses of a kernel."""
    runtime(e, name)
    bits = 32 if is_narrow else 64
    steps = lane_constants(ir.IntType(bits), [lane * stride % (1 << bits) for lane in range(LANES)])
    first = "  %short = sub i64 %first, %low\n  %base = trunc i64 %short to i32\n" if is_narrow else ""
    base = "%base" if is_narrow else "%first"
    spread = f"""  %one = insertelement <32 x i{bits}> poison, i{bits} {base}, i64 0
  %same = shufflevector <32 x i{bits}> %one, <32 x i{bits}> poison, <32 x i32> zeroinitializer
  %each = add <32 x i{bits}> %same, {steps.get_reference()}
"""
    whole = "%each"
    if is_narrow:
        whole = "%host"
        spread += """  %wide = zext <32 x i32> %each to <32 x i64>
  %window = insertelement <32 x i64> poison, i64 %low, i64 0
  %windows = shufflevector <32 x i64> %window, <32 x i64> poison, <32 x i32> zeroinitializer
  %host = add <32 x i64> %wide, %windows
"""
    arguments = "i32 %lanes, i64 %low, i64 %high, i64 %place, i64 %size, ptr %packed"
    own = f"{name}_by_{stride % (1 << bits)}_{bits}"
    text = f"""define internal void @{own}(ptr %ctx, i64 %first, {arguments}) noinline cold {{
{first}{spread}  %addresses = getelementptr i8, ptr %packed, i64 {LANES * MAX_LANE_BYTES}
  store <32 x i64> {whole}, ptr %addresses, align 64
  call void @{name}(ptr %ctx, ptr %addresses, {arguments})
  ret void
}}
"""
    parameters = [POINTER, I64, I32, I64, I64, I64, I64, POINTER]
    return helper(e, own, ir.VoidType(), parameters, text)


def _widened(e: Emitter, name: str) -> ir.Function:
    """The runtime's function ``name`` for 32-bit offsets from ``low``, made addresses in place."""
    runtime(e, name)
    arguments = "i32 %lanes, i64 %low, i64 %high, i64 %place, i64 %size, ptr %packed"
    own = f"{name}_at_offsets"
    text = f"""define internal void @{own}(ptr %ctx, ptr %addresses, {arguments}) noinline cold {{
  %offset = load <32 x i32>, ptr %addresses, align 64
  %wide = zext <32 x i32> %offset to <32 x i64>
  %window = insertelement <32 x i64> poison, i64 %low, i64 0
  %windows = shufflevector <32 x i64> %window, <32 x i64> poison, <32 x i32> zeroinitializer
  %host = add <32 x i64> %wide, %windows
  store <32 x i64> %host, ptr %addresses, align 64
  call void @{name}(ptr %ctx, ptr %addresses, {arguments})
  ret void
}}
"""
    parameters = [POINTER, POINTER, I32, I64, I64, I64, I64, POINTER]
    return helper(e, own, ir.VoidType(), parameters, text)


def _prefetch(e: Emitter, first: Value, n_bytes: int, store: bool) -> None:
    """Fetch what lies a page further: a stream gets there soon, and the processor's own prefetchers stop at pages."""
    function = e.module.globals.get("llvm.prefetch.p0")
    if function is None:
        signature = ir.FunctionType(ir.VoidType(), [POINTER, I32, I32, I32])
        function = ir.Function(e.module, signature, "llvm.prefetch.p0")
    for line in range(0, n_bytes, _LINE_BYTES):
        ahead = e.builder.add(first, I64(_PAGE_BYTES + line))
        e.builder.call(function, [e.builder.inttoptr(ahead, POINTER), I32(int(store)), I32(3), I32(1)])


def _load_scalar(e: Emitter, space: str, address: Value, low: Value, high: Value, bits: int, n: int) -> list[Value]:
    """All 32 lanes load one address: one scalar load, one sector or one wavefront."""
    b = e.builder
    lane_bytes = n * bits // 8
    site = e.sites.access(e.instruction, space, False, lane_bytes)
    fits = _inside(e, address, lane_bytes, low, high)
    if lane_bytes > 1:
        fits = b.and_(fits, b.icmp_unsigned("==", b.and_(address, I64(lane_bytes - 1)), I64(0)))
    fast_block, slow_block, join = (b.append_basic_block(name) for name in ("one", "apart", "joined"))
    b.cbranch(fits, fast_block, slow_block).set_weights([63, 1])

    b.position_at_end(fast_block)
    if e.sites.counting:
        if space == "global":
            _count_run(e, site, address, lane_bytes, False, max(1, lane_bytes // 4))
        else:
            phases = max(1, lane_bytes // 4)
            add_counts(e, site, [I64(1), I64(LANES), I64(phases), I64(0)])
    pointer = b.inttoptr(address, POINTER)
    b.branch(join)

    b.position_at_end(slow_block)
    b.store(e.vector(address), e.scratch["addresses"], align=64)
    place = I64(site if e.sites.counting else ~site)
    arguments = [e.context, e.scratch["addresses"], I32(-1), low, high, place, I64(lane_bytes), e.scratch["packed"]]
    b.call(runtime(e, f"tk_load_{space}"), arguments)
    b.branch(join)

    b.position_at_end(join)
    memory = b.phi(POINTER)
    memory.add_incoming(pointer, fast_block)
    memory.add_incoming(e.scratch["packed"], slow_block)
    element = ir.IntType(bits)
    return [
        b.load(b.gep(memory, [I64(i * bits // 8)], source_etype=I8), typ=element, align=bits // 8) for i in range(n)
    ]


def _inside(e: Emitter, address: Value, n_bytes: int, low: Value, high: Value) -> Value:
    """Whether ``n_bytes`` from ``address`` lie in [low, high), in a way that no address can overflow."""
    room = e.intrinsic("llvm.usub.sat", e.builder.sub(high, low), I64(n_bytes - 1))
    return e.builder.icmp_unsigned("<", e.builder.sub(address, low), room)


def _bank_wavefronts(step: int, lane_bytes: int) -> int:
    """Passes through the banks of a load by all lanes, ``step`` bytes apart: the rule of ``tk_wavefronts``."""
    n_words = max(1, lane_bytes // _BANK_BYTES)
    total = 0
    for first in range(0, LANES, LANES // n_words):
        words = {(lane * step) // _BANK_BYTES // n_words for lane in range(first, first + LANES // n_words)}
        total += max(collections.Counter(word % (LANES // n_words) for word in words).values())
    return total


def _count_run(e: Emitter, site: int, first: Value, n_bytes: int, store: bool, wavefronts: int) -> None:
    """Count an access by all 32 lanes that touches every sector of ``n_bytes`` from ``first``; trace it."""
    b = e.builder
    shift = I64(SECTOR_BYTES.bit_length() - 1)
    sector = b.lshr(first, shift)
    last = b.lshr(b.add(first, I64(n_bytes - 1)), shift)
    more = b.sub(last, sector)
    add_counts(e, site, [I64(1), I64(LANES), b.add(more, I64(1)), I64(wavefronts)])
    record = b.or_(b.shl(sector, I64(TRACE_SECTOR_SHIFT)), b.shl(more, I64(TRACE_COUNT_SHIFT)))
    if store:
        record = b.or_(record, I64(1))
    cursor_slot = b.gep(e.context, [I64(offset("trace_cursor"))], source_etype=I8)
    cursor = b.load(cursor_slot, typ=POINTER)
    b.store(record, cursor, align=8)
    b.store(b.gep(cursor, [I64(8)], source_etype=I8), cursor_slot)


def add_counts(e: Emitter, slot: int, amounts: list[Value]) -> None:
    """Add to consecutive counters of a site."""
    b = e.builder
    pointer = b.gep(e.scratch["sites"], [I64(8 * slot)], source_etype=I8)
    shape = vector_of(I64, len(amounts))
    amount: Value = ir.Constant(shape, [a if isinstance(a, ir.Constant) else I64(0) for a in amounts])
    for index, value in enumerate(amounts):
        if not isinstance(value, ir.Constant):
            amount = b.insert_element(amount, value, I32(index))
    b.store(b.add(b.load(pointer, typ=shape, align=8), amount), pointer, align=8)


def runtime(e: Emitter, name: str) -> Value:
    """A function of ``runtime/*.ll``, declared in the kernel's module."""
    if e.is_checked:
        return hooks.guarded(e, name)
    function = e.module.globals.get(name)
    if function is None:
        parameters = [POINTER, POINTER, I32, I64, I64, I64, I64, POINTER]
        function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), parameters), name)
        function.attributes.add("cold")
    return function
