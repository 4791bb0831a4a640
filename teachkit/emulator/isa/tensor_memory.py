"""Tensor memory: 128 lanes of 512 columns of 4 bytes, which a block allocates by columns and warps load and store.

An address has the lane in its upper 16 bits and the column in the lower. Warp w may load and store lanes 32 (w % 4) to
32 (w % 4) + 31. A load or store moves ``x1`` to ``x128`` times a shape; below, T is the thread and r the register:

=========  =====================================  ==============================  ================================
shape      lane                                   column                          registers each
=========  =====================================  ==============================  ================================
32x32b     T                                      r                               1
16x32bx2   T % 16                                 r, from T = 16 on + an offset   1
16x64b     T / 4 + 8 (T % 2)                      T / 2 % 2 + 2 r                 1
16x128b    T / 4 + 8 (r % 2)                      T % 4 + 4 (r / 2)               2
16x256b    T / 4 + 8 (r / 2 % 2)                  2 (T % 4) + r % 2 + 8 (r / 4)   4
=========  =====================================  ==============================  ================================

With ``.pack::16b`` a register holds the lower halves of two columns, 2 c and 2 c + 1 for c as above; with
``.unpack::16b`` it goes to two (the upper halves become 0, which PTX leaves open).
Everything is done when it is issued, so ``tcgen05.wait`` and ``fence`` only count as instructions. Nothing of it goes
through the load and store unit, so nothing but instructions is counted. Allocated memory is all ones (NaN) until it is
written. A block that ends with memory allocated is at fault, and so is one that asks for more than there is.
Not modelled: blocks that wait for each other's memory, ``.red``, ``tcgen05.cp`` and ``shift``, pairs of blocks.

Source: PTX ISA, "Tensor Memory", "tcgen05.alloc", "tcgen05.ld", "Data Movement Shape"; CUTLASS, copy_traits_sm100.hpp.
"""

from __future__ import annotations

from teachkit.emulator.engine import access, ir, tally
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import I8, I32, I64, POINTER, Poison, Value, lane_constants, vector_of
from teachkit.emulator.isa.products import items_of
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.isa.tensor_products import COLUMN_BYTES
from teachkit.emulator.ptx.model import Address, Immediate, Operand, Register

_WARP_LANES = 32
_PERIODS = {"16x64b": 1, "16x128b": 2, "16x256b": 4}  # registers after which the pattern comes again
_COLUMNS = {"16x64b": 2, "16x128b": 4, "16x256b": 8}  # further on
_COUNTS = "(x1|x2|x4|x8|x16|x32|x64|x128)"
_HALVES = "(x1|x2|x4|x8|x16|x32|x64)"
_QUARTERS = "(x1|x2|x4|x8|x16|x32)"


@instruction("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32", reads=None)
@instruction("tcgen05.alloc.cta_group::1.sync.aligned.b32", reads=None)
def alloc(e: Emitter, form: Form, to: Operand, n: Operand) -> None:
    """The address of ``n`` columns is stored in shared memory."""
    assert isinstance(to, Address)
    if "shared::cta" not in form.opcode:
        raise e.unsupported("a generic address")
    assert e.instruction is not None
    tally.plain(e, e.instruction)
    function = runtime(e, "tk_tensor_alloc", I32, [I32, I32])
    value = e.builder.call(function, [e.context, e.lanes(), scalar(e, e.read(n, "u32")), place(e)])
    counting, e.sites.counting, e.sites.is_again = e.sites.counting, False, True
    access.store(e, "shared", to, [value], 32)
    e.sites.counting, e.sites.is_again = counting, False


@instruction("tcgen05.dealloc.cta_group::1.sync.aligned.b32", reads=None)
def dealloc(e: Emitter, form: Form, address: Operand, n: Operand) -> None:
    """They are given back."""
    function = runtime(e, "tk_tensor_dealloc", ir.VoidType(), [I32, I32, I32])
    values = [scalar(e, e.read(operand, "u32")) for operand in (address, n)]
    e.builder.call(function, [e.context, e.lanes(), *values, place(e)])


@instruction("tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned", reads=None)
def relinquish(e: Emitter, form: Form) -> None:
    """The block allocates no more."""
    function = runtime(e, "tk_tensor_relinquish", ir.VoidType(), [I32])
    e.builder.call(function, [e.context, e.lanes(), place(e)])


@instruction(
    "tcgen05.wait::ld.sync.aligned",
    "tcgen05.wait::st.sync.aligned",
    "tcgen05.fence::before_thread_sync",
    "tcgen05.fence::after_thread_sync",
    reads=(),
    writes="",
)
def wait(e: Emitter, form: Form) -> None:
    """Everything is finished when it is issued. After a load the other warps have their turn (``flow.pauses``)."""


@instruction(
    f"tcgen05.ld.sync.aligned.(32x32b|16x64b).{_COUNTS}[.pack::16b].b32",
    f"tcgen05.ld.sync.aligned.(16x128b).{_HALVES}[.pack::16b].b32",
    f"tcgen05.ld.sync.aligned.(16x256b).{_QUARTERS}[.pack::16b].b32",
    f"tcgen05.ld.sync.aligned.(16x32bx2).{_COUNTS}[.pack::16b].b32",
    reads=None,
)
def load(e: Emitter, form: Form, target: Operand, address: Operand, *offset: Operand) -> None:
    """Registers from tensor memory."""
    items, packs = items_of(target), bool(form.optional)
    starts = _starts(e, form, len(items), address, offset, packs)
    values = []
    for register in range(len(items)):
        if packs:
            low, high = (_load_one(e, _shape(form), starts, register, half) for half in (0, 1))
            b = e.builder
            value = b.or_(b.and_(low, e.constant(low, 0xFFFF)), b.shl(high, e.constant(high, 16)))
        else:
            value = _load_one(e, _shape(form), starts, register, None)
        values.append(value)
    for item, value in zip(items, values, strict=True):
        # All lanes run it, or those that do not have nothing left to do: without a guard no register needs keeping.
        e.write(item, value, "b32", keep_off_lanes=e.guard is not None)


@instruction(
    f"tcgen05.st.sync.aligned.(32x32b|16x64b).{_COUNTS}[.unpack::16b].b32",
    f"tcgen05.st.sync.aligned.(16x128b).{_HALVES}[.unpack::16b].b32",
    f"tcgen05.st.sync.aligned.(16x256b).{_QUARTERS}[.unpack::16b].b32",
    f"tcgen05.st.sync.aligned.(16x32bx2).{_COUNTS}[.unpack::16b].b32",
    reads=None,
)
def store(e: Emitter, form: Form, address: Operand, *rest: Operand) -> None:
    """The reverse."""
    *offset, source = rest
    items, unpacks = items_of(source), bool(form.optional)
    starts = _starts(e, form, len(items), address, tuple(offset), unpacks)
    for register, item in enumerate(items):
        value = e.vector(e.read(item, "b32"))
        if unpacks:
            low, high = e.builder.and_(value, e.constant(value, 0xFFFF)), e.builder.lshr(value, e.constant(value, 16))
            _store_one(e, _shape(form), starts, register, 0, low)
            _store_one(e, _shape(form), starts, register, 1, high)
        else:
            _store_one(e, _shape(form), starts, register, None, value)


def _shape(form: Form) -> str:
    return form.opcode.split(".")[4]


def _starts(
    e: Emitter, form: Form, n_items: int, address: Operand, offset: tuple[Operand, ...], halves: bool
) -> list[Value]:
    """Pointers to where lanes 0 to 15, and from 16 on, have their first column."""
    shape, times = _shape(form), int(form.opcode.split(".")[5][1:])
    n = times * _PERIODS.get(shape, 1)
    if n_items != n or len(offset) != int(shape == "16x32bx2"):
        raise e.unsupported(f"{n_items} registers")
    n_columns = times * _COLUMNS.get(shape, 1) * (2 if halves else 1)
    first = address_in(e, address)
    warp = e.builder.and_(e.field("warp", I64), I64(3))
    base = e.builder.shl(warp, I64(5))
    mask = I64(0xFFFF if shape == "32x32b" else 0xFFFF & ~16)
    function, site = place_function(e), place(e)
    starts = [e.builder.call(function, [e.context, e.lanes(), first, I64(n_columns), mask, base, site])]
    if offset:
        if not isinstance(offset[0], Immediate):
            raise e.unsupported("an offset in a register")
        second = e.builder.add(first, I32(offset[0].value))
        starts.append(e.builder.call(function, [e.context, e.lanes(), second, I64(n_columns), mask, base, site]))
    return starts


def _at(e: Emitter, start: Value, column: int, half: int | None) -> Value:
    column = column if half is None else 2 * column + half
    return e.builder.gep(start, [I64(COLUMN_BYTES * column)], source_etype=I8)


def _load_one(e: Emitter, shape: str, starts: list[Value], register: int, half: int | None) -> Value:
    b = e.builder
    if shape == "32x32b":
        return b.load(_at(e, starts[0], register, half), typ=vector_of(I32), align=64)
    if shape == "16x32bx2":
        parts = [b.load(_at(e, start, register, half), typ=vector_of(I32, 16), align=64) for start in starts]
        return b.shuffle_vector(parts[0], parts[1], lane_constants(I32, list(range(_WARP_LANES))))
    step, period = divmod(register, _PERIODS[shape])
    return b.call(_mover(e, shape, period, half, is_store=False), [_at(e, starts[0], step * _COLUMNS[shape], half)])


def _store_one(e: Emitter, shape: str, starts: list[Value], register: int, half: int | None, value: Value) -> None:
    b = e.builder
    if shape == "32x32b":
        b.store(value, _at(e, starts[0], register, half), align=64)
    elif shape == "16x32bx2":
        for i, start in enumerate(starts):
            part = b.shuffle_vector(value, Poison(value.type), lane_constants(I32, list(range(16 * i, 16 * i + 16))))
            b.store(part, _at(e, start, register, half), align=64)
    else:
        step, period = divmod(register, _PERIODS[shape])
        at = _at(e, starts[0], step * _COLUMNS[shape], half)
        b.call(_mover(e, shape, period, half, is_store=True), [at, value])


def _lane_and_column(shape: str, thread: int, register: int) -> tuple[int, int]:
    if shape == "16x64b":
        return thread // 4 + 8 * (thread % 2), thread // 2 % 2
    if shape == "16x128b":
        return thread // 4 + 8 * (register % 2), thread % 4
    return thread // 4 + 8 * (register // 2 % 2), 2 * (thread % 4) + register % 2


def _mover(e: Emitter, shape: str, register: int, half: int | None, *, is_store: bool) -> ir.Function:
    """The function that moves a register of one of the shapes whose lanes go across columns."""
    every = [_lane_and_column(shape, thread, register) for thread in range(_WARP_LANES)]
    scale = 1 if half is None else 2
    offsets = ", ".join(f"i64 {4 * lane + COLUMN_BYTES * scale * column}" for lane, column in every)
    name = f"tk_tensor_{'store' if is_store else 'load'}_{shape}_{register}_{scale}"
    words, on = "<32 x i32>", "<32 x i1> splat (i1 true)"
    pointers = f"  %all = getelementptr i8, ptr %p, <32 x i64> <{offsets}>\n"
    if is_store:
        text = f"define internal void @{name}(ptr %p, {words} %value) noinline {{\n{pointers}"
        text += f"  call void @llvm.masked.scatter.v32i32.v32p0({words} %value, <32 x ptr> %all, {on})\n  ret void\n}}"
        declared = f"declare void @llvm.masked.scatter.v32i32.v32p0({words}, <32 x ptr>, <32 x i1>)"
        return helper(e, name, ir.VoidType(), [POINTER, vector_of(I32)], text, [declared])
    text = f"define internal {words} @{name}(ptr %p) noinline {{\n{pointers}"
    text += f"  %v = call {words} @llvm.masked.gather.v32i32.v32p0(<32 x ptr> %all, {on}, {words} poison)\n"
    text += f"  ret {words} %v\n}}"
    declared = f"declare {words} @llvm.masked.gather.v32i32.v32p0(<32 x ptr>, <32 x i1>, {words})"
    return helper(e, name, vector_of(I32), [POINTER], text, [declared])


def address_in(e: Emitter, operand: Operand) -> Value:
    """The address in tensor memory that an operand in brackets names, which is the same in all lanes."""
    if not isinstance(operand, Address) or not isinstance(operand.base, (Register, Immediate)):
        raise e.unsupported(f"address {operand!r}")
    return e.builder.add(scalar(e, e.read(operand.base, "u32")), I32(operand.offset))


def scalar(e: Emitter, value: Value) -> Value:
    """What all lanes hold."""
    return value if not isinstance(value.type, ir.VectorType) else e.first_active(value)


def place(e: Emitter) -> Value:
    """The instruction's site, for faults."""
    assert e.instruction is not None
    return I64(e.sites.tensor(e.instruction))


def place_function(e: Emitter) -> ir.Function:
    """``tk_tensor_place``: of the context, lanes, an address, columns, bits of its lane, what they must be, a site."""
    return runtime(e, "tk_tensor_place", POINTER, [I32, I32, I64, I64, I64])


def runtime(e: Emitter, name: str, result: ir.Type, kinds: list[ir.Type]) -> ir.Function:
    """A function of ``runtime/tensor_memory.ll``: of the context, of ``kinds``, and of a site."""
    function: ir.Function | None = e.module.globals.get(name)
    if function is None:
        function = ir.Function(e.module, ir.FunctionType(result, [POINTER, *kinds, I64]), name)
    return function
