"""The arithmetic of tensor-core instructions: one function a form, shared by all instructions of a kernel.

A fragment is described by one rule. With E elements of the matrix in a register, g = lane / 4 and t = lane % 4,
element h of A's register r stands at row g + 8 (r % 2), column k = E t + h + 4 E (r / 2); of B's at row
k = E t + h + 4 E r, column g; element i of C at row g + 8 (i / 2), column 2 t + i % 2.

The product stays in C's layout. For every k, one element of A is spread over the four lanes of its row, and four
elements of B over all rows; both are multiplied and added in ``f32`` (``f64`` for f64), k going up from 0. Integer
products are summed in ``f32`` too, which holds them exactly. Not modelled: the order in which hardware adds.

A function takes the places of the registers. It lays B out by k in a table, and then goes through the lanes in parts,
so that the sums of a part stay in the processor's registers until they are done.
"""

from __future__ import annotations

from collections.abc import Sequence

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import RESIDENT_ALIGN, Emitter
from teachkit.emulator.engine.processor import converts_half
from teachkit.emulator.engine.shapes import (
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    POINTER,
    WIDTHS,
    Poison,
    Value,
    lane_constants,
    vector_of,
)
from teachkit.emulator.isa.formats import float_to_half, half_to_float, pack, upper
from teachkit.emulator.isa.fp8 import e4m3_to_half
from teachkit.emulator.ptx.model import Group, Operand, Register

ELEMENTS = {
    "f16": 2,
    "bf16": 2,
    "tf32": 1,
    "s8": 4,
    "u8": 4,
    "e4m3": 4,
    "e5m2": 4,
    "f64": 1,
    "s4": 8,
    "u4": 8,
    "b1": 32,
}

_ROW = 4  # lanes that hold one row
_TABLE_LANES = 8  # four elements of an even column of C and four of an odd one
_LARGEST_K = 64  # of s4; f64 has 16 at most


def product(e: Emitter, types: tuple[str, ...], how: str, sizes: Sequence[int], words: Sequence[Value]) -> list[Value]:
    """Registers of D = A B + C from ``words``, those of A, B and C.

    ``types`` are of D, A, B and C; ``sizes`` are how many registers A, B, C and D have. ``how`` is "satfinite", or for
    ``b1`` the operation ("xor" or "and") whose ones are counted.
    """
    places = [kept(e, str(i), word) for i, word in enumerate(words)]
    word = words[0].type
    results = [room(e, f"d{i}", word) for i in range(sizes[-1])]
    product_in_place(e, types, how, sizes, [*places, *results])
    return [e.builder.load(place, typ=word, align=RESIDENT_ALIGN) for place in results]


def product_in_place(e: Emitter, types: tuple[str, ...], how: str, sizes: Sequence[int], places: list[Value]) -> None:
    """The same from memory to memory: ``places`` of the registers of A, B, C and D, ``sizes`` of each.

    D may be any of the others.
    """
    name = ".".join(["tk_mma", *types, how, *map(str, sizes[:3])])
    function = e.module.globals.get(name)
    if function is None:
        function = _define(e, types, how, name, sizes)
    e.builder.call(function, [room(e, "table", vector_of(F64, _TABLE_LANES), _LARGEST_K), *places])


def room(e: Emitter, name: str, shape: ir.Type, n: int = 1) -> Value:
    """Memory of the running warp, the same for all instructions of a kernel."""
    return e.once(f"matrix {name} {shape}", lambda: e.builder.alloca(shape, I32(n)))


def kept(e: Emitter, name: str, value: Value) -> Value:
    """Put a value into memory; its place."""
    place = room(e, name, value.type)
    e.builder.store(value, place, align=RESIDENT_ALIGN)
    return place


def _define(e: Emitter, types: tuple[str, ...], how: str, name: str, sizes: Sequence[int]) -> ir.Function:
    function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), [POINTER] * (1 + sum(sizes))), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    caller, b = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
    e.builder = b
    table, *places = function.args
    a_at, b_at, c_at, d_at = (places[sum(sizes[:i]) :][:n] for i, n in enumerate(sizes))
    word = ir.IntType(64 if types[0] == "f64" else 32)
    n = _TABLE_LANES if types[0] == "f64" else 2 * _TABLE_LANES
    columns = _Columns(e, table, types[2])
    columns.fill(b_at, word)

    first, loop, done = b.block, b.append_basic_block("part"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    at = b.phi(I64)
    at.add_incoming(I64(0), first)

    def part(place: Value) -> Value:
        return b.load(b.gep(place, [at], source_etype=I8), typ=vector_of(word, n), align=RESIDENT_ALIGN)

    rows, before = [part(place) for place in a_at], [part(place) for place in c_at]
    results = _sums(e, types, how, rows, columns, before)
    for place, value in zip(d_at, results, strict=True):
        b.store(value, b.gep(place, [at], source_etype=I8), align=RESIDENT_ALIGN)
    following = b.add(at, I64(n * word.width // 8))
    at.add_incoming(following, b.block)
    b.cbranch(b.icmp_unsigned("<", following, I64(LANES * word.width // 8)), loop, done)
    b.position_at_end(done)
    b.ret_void()
    e.builder = caller
    return function


class _Columns:
    """B by k: for each k, four elements of the even columns of C and four of the odd, in a table in memory."""

    def __init__(self, e: Emitter, table: Value, kind: str) -> None:
        self._e, self._table, self._kind = e, table, kind
        self.n_k = 0

    def fill(self, places: Sequence[Value], word: ir.IntType) -> None:
        """Lay out the registers at ``places``. Eight lanes are two columns: four such are transposed in one go."""
        e, b, kind = self._e, self._e.builder, self._kind
        for place in places:
            parts = []
            for lane in range(0, LANES, _TABLE_LANES):
                at = b.gep(place, [I64(lane * word.width // 8)], source_etype=I8)
                parts.append(_spread(e, b.load(at, typ=vector_of(word, _TABLE_LANES), align=RESIDENT_ALIGN), kind))
            for index, four in enumerate(zip(*parts, strict=True)):
                for s, column in enumerate(_transposed(e, list(four))):
                    at = b.gep(self._table, [I64(self._offset(self.n_k + _k_of(kind, index, s)))], source_etype=I8)
                    b.store(column, at, align=RESIDENT_ALIGN)
            self.n_k += _ROW * _n_apart(kind)

    def at(self, k: int, j: int, n: int) -> Value:
        """Elements of row ``k`` and the even (``j`` 0) or odd (1) columns, repeated over ``n`` lanes."""
        e, element = self._e, _element(self._kind)
        offset = self._offset(k) + j * self._offset(1) // 2
        at = e.builder.gep(self._table, [I64(offset)], source_etype=I8)
        four = e.builder.load(at, typ=vector_of(element, _ROW), align=16)
        return _picked(e, four, [lane % _ROW for lane in range(n)])

    def _offset(self, k: int) -> int:
        return k * _TABLE_LANES * (8 if self._kind == "f64" else 4)


def _element(kind: str) -> ir.Type:
    return F64 if kind == "f64" else I32 if kind == "b1" else F32


def _sums(
    e: Emitter, types: tuple[str, ...], how: str, rows: list[Value], columns: _Columns, before: list[Value]
) -> list[Value]:
    """Registers of D for the lanes of one part, from those of A and C."""
    d_type, a_type, _, c_type = types
    b, n = e.builder, rows[0].type.count
    c = [element for register in before for element in decoded(e, register, c_type)]
    is_bits = a_type == "b1"
    sums = list(c)
    if d_type == "s32" and not is_bits:
        sums = [ir.Splat(vector_of(F32, n), F32(0.0)) for _ in c]
    spread = [_spread(e, register, a_type) for register in rows]
    n_halves = len(c) // 2
    for k in range(columns.n_k):
        step, inside = divmod(k, _ROW * _n_apart(a_type))
        index, s = _place_of(a_type, inside)
        halves = [spread[n_halves * step + half][index] for half in range(n_halves)]
        values = [_picked(e, value, [lane // _ROW * _ROW + s for lane in range(n)]) for value in halves]
        for j in (0, 1):
            column = columns.at(k, j, n)
            for half in range(n_halves):
                i = 2 * half + j
                if is_bits:
                    combined = (b.xor if how == "xor" else b.and_)(values[half], column)
                    sums[i] = b.add(sums[i], e.intrinsic("llvm.ctpop", combined))
                else:
                    name = "llvm.fma" if a_type == "f64" else "llvm.fmuladd"
                    sums[i] = e.intrinsic(name, values[half], column, sums[i])
    if is_bits:
        return sums
    return registers_of(e, sums, d_type, c, how)


def registers_of(e: Emitter, sums: list[Value], d_type: str, c: list[Value], how: str) -> list[Value]:
    """Registers of D from its elements. Of integers ``sums`` are the products alone, and ``c`` the elements of C."""
    if d_type == "f16":
        short = [float_to_half(e, value, "f16") for value in sums]
        return [pack(e, short[i], short[i + 1]) for i in range(0, len(short), 2)]
    if d_type == "s32":
        whole = [e.cast("fptosi", value, I32) for value in sums]
        if how == "satfinite":
            return [e.intrinsic("llvm.sadd.sat", *pair) for pair in zip(c, whole, strict=True)]
        return [e.builder.add(*pair) for pair in zip(c, whole, strict=True)]
    return [e.bits(value) for value in sums]


def return_all(e: Emitter, words: list[Value]) -> None:
    """End a function that gives several registers."""
    result: Value = Poison(ir.LiteralStructType([word.type for word in words]))
    for index, word in enumerate(words):
        result = e.builder.insert_value(result, word, index)
    e.builder.ret(result)


def place_of_register(e: Emitter, operand: Operand, wide: str) -> Value | None:
    """Where the operand's 32 lanes lie side by side in memory, None where they do not.

    A register that is not in the frame is in memory too until LLVM finds that it need not be.
    """
    if not isinstance(operand, Register) or operand.name in e.uniform or operand.name in e.strides:
        return None
    is_wide = operand.name in e.registers and WIDTHS[e.register_types[operand.name]] == WIDTHS[wide]
    return e.registers[operand.name] if is_wide else None


def items_of(operand: Operand) -> tuple[Operand, ...]:
    """The registers of a group, or the one that there is."""
    return operand.items if isinstance(operand, Group) else (operand,)


# ------------------------------------------------------------------------------------------- elements of a register


def _n_apart(kind: str) -> int:
    """Elements of a register that are multiplied one by one; bits go 32 at a time."""
    return 1 if kind == "b1" else ELEMENTS[kind]


def _is_by_fours(kind: str) -> bool:
    """Whether :func:`_spread` gives vectors whose rows hold four consecutive k, as halves come out of a conversion."""
    return kind == "f16" and converts_half()


def _place_of(kind: str, k: int) -> tuple[int, int]:
    """Which of the vectors of :func:`_spread` holds element ``k`` of a row, and in which lane of the row's four."""
    if _is_by_fours(kind):
        return divmod(k, _ROW)
    s, index = divmod(k, _n_apart(kind))
    return index, s


def _k_of(kind: str, index: int, s: int) -> int:
    """The reverse of :func:`_place_of`."""
    return _ROW * index + s if _is_by_fours(kind) else _n_apart(kind) * s + index


def _spread(e: Emitter, register: Value, kind: str) -> list[Value]:
    """The elements of a register as vectors of ``f32`` or ``f64`` with the register's lanes; bits stay."""
    if kind == "b1":
        return [register]
    if not _is_by_fours(kind):
        return decoded(e, register, kind)
    n = register.type.count
    halves = e.builder.bitcast(register, vector_of(F16, 2 * n))
    floats = e.cast("fpext", halves, F32)  # in each row all eight k, in order
    fours = [_picked(e, floats, [lane // _ROW * 8 + four + lane % _ROW for lane in range(n)]) for four in (0, _ROW)]
    # The fence keeps LLVM from joining this move with the next, which then goes across the halves of a register.
    return [e.intrinsic("llvm.arithmetic.fence", four) for four in fours]


def decoded(e: Emitter, register: Value, kind: str) -> list[Value]:
    """The elements of a register, lowest first, as ``f32`` or ``f64``; ``s32`` stays."""
    b, n = e.builder, register.type.count
    if kind == "s32":
        return [register]
    if kind == "f64":
        return [b.bitcast(register, vector_of(F64, n))]
    if kind == "f32":
        return [b.bitcast(register, vector_of(F32, n))]
    if kind == "tf32":
        return [b.bitcast(b.and_(register, e.constant(register, 0xFFFFE000)), vector_of(F32, n))]
    if kind in ("f16", "bf16"):
        return [half_to_float(e, half, kind) for half in (e.cast("trunc", register, I16), upper(e, register))]
    if kind in ("s4", "u4"):
        high = [b.shl(register, e.constant(register, 28 - 4 * i)) for i in range(8)]
        shift = b.ashr if kind == "s4" else b.lshr
        return [e.cast("sitofp", shift(digit, e.constant(digit, 28)), F32) for digit in high]
    octets = [b.lshr(register, e.constant(register, 8 * i)) for i in range(4)]
    if kind == "s8":
        return [e.cast("sitofp", e.cast("trunc", octet, I8), F32) for octet in octets]
    low = [b.and_(octet, e.constant(octet, 0xFF)) for octet in octets]
    if kind == "u8":
        return [e.cast("sitofp", octet, F32) for octet in low]
    short = [e.cast("trunc", octet, I16) for octet in low]
    halves = [e4m3_to_half(e, s) if kind == "e4m3" else b.shl(s, e.constant(s, 8)) for s in short]
    return [half_to_float(e, half, "f16") for half in halves]


def _transposed(e: Emitter, rows: list[Value]) -> list[Value]:
    """Four vectors of two columns each, four k in a column, as four of one k each: columns 0 2 4 6, 1 3 5 7."""
    low_words, high_words = (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)
    low_pairs, high_pairs = (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)
    first = [_picked(e, rows[i], order, rows[i + 1]) for order in (low_words, high_words) for i in (0, 2)]
    return [_picked(e, first[i], order, first[i + 1]) for i in (0, 2) for order in (low_pairs, high_pairs)]


def _picked(e: Emitter, value: Value, places: Sequence[int], other: Value | None = None) -> Value:
    second = Poison(value.type) if other is None else other
    return e.builder.shuffle_vector(value, second, lane_constants(I32, places))
