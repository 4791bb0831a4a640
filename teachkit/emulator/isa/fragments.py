"""Fragments of A and B, laid out in memory as the products take them.

A fragment is described by one rule. With E elements of the matrix in a register, g = lane / 4 and t = lane % 4,
element h of A's register r stands at row g + 8 (r % 2), column k = E t + h + 4 E (r / 2); of B's at row
k = E t + h + 4 E r, column g; element i of C at row g + 8 (i / 2), column 2 t + i % 2.

A's elements become ``f32`` (``f64`` of f64) where they stand. B's go into a table by k, which then holds, of one k
after the other, four elements of the even columns of C and four of the odd.

A kernel uses a fragment again and again: each of A with all of B, each of B with all of A. While a block of code has
not written its registers, what was laid out is taken as it is.
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
    Poison,
    Value,
    lane_constants,
    vector_of,
)
from teachkit.emulator.isa.formats import half_to_float, upper
from teachkit.emulator.isa.fp8 import e4m3_to_half

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
_MOST_LAID_OUT = 16  # fragments of A, and of B


def room(e: Emitter, name: str, shape: ir.Type, n: int = 1) -> Value:
    """Memory of the running warp, the same for all instructions of a kernel."""
    return e.once(f"matrix {name} {shape} {n}", lambda: e.builder.alloca(shape, I32(n)))


def element_of_kind(kind: str) -> ir.Type:
    """What an element is laid out as; bits stay 32 of them in a word."""
    return F64 if kind == "f64" else I32 if kind == "b1" else F32


def size_of_k(kind: str, n: int) -> int:
    """Rows of B where a lane has ``n`` registers of it; of bits, words in a column."""
    return n * _ROW * _n_apart(kind)


class Rows:
    """Registers of A, each of ``kind``: their elements where they stand."""

    def __init__(self, e: Emitter, kind: str, table: Value) -> None:
        self._e, self._kind, self._table = e, kind, table

    @staticmethod
    def size(kind: str, n: int) -> tuple[ir.Type, int]:
        """What a table of ``n`` registers consists of, and how many."""
        return vector_of(element_of_kind(kind)), n * _n_apart(kind)

    def fill(self, places: Sequence[Value], word: ir.IntType) -> None:
        """Lay out the registers at ``places``, in parts of 512 bits."""
        e, b, n = self._e, self._e.builder, 512 // word.width
        for register, place in enumerate(places):
            for lane in range(0, LANES, n):
                at = b.gep(place, [I64(lane * word.width // 8)], source_etype=I8)
                part = b.load(at, typ=vector_of(word, n), align=RESIDENT_ALIGN)
                for index, elements in enumerate(_spread(e, part, self._kind)):
                    b.store(elements, self._at(register, index, I64(lane * word.width // 8)), align=RESIDENT_ALIGN)

    def at(self, k: int, half: int, n_halves: int, part: Value, n: int) -> Value:
        """Element ``k`` of each row of the upper (``half`` 0) or lower rows, in all lanes of the row: ``n`` lanes.

        ``part`` is how many bytes of a register come before these.
        """
        step, inside = divmod(k, _ROW * _n_apart(self._kind))
        index, s = _place_of(self._kind, inside)
        at = self._at(n_halves * step + half, index, part)
        elements = self._e.builder.load(at, typ=vector_of(element_of_kind(self._kind), n), align=RESIDENT_ALIGN)
        return _picked(self._e, elements, [lane // _ROW * _ROW + s for lane in range(n)])

    def _at(self, register: int, index: int, part: Value) -> Value:
        size = LANES * (8 if self._kind == "f64" else 4)
        first = size * (register * _n_apart(self._kind) + index)
        at = self._e.builder.gep(self._table, [I64(first)], source_etype=I8)
        return self._e.builder.gep(at, [part], source_etype=I8)


class Columns:
    """Registers of B, each of ``kind``, by k."""

    def __init__(self, e: Emitter, kind: str, table: Value) -> None:
        self._e, self._kind, self._table = e, kind, table

    @staticmethod
    def size(kind: str, n: int) -> tuple[ir.Type, int]:
        """What a table of ``n`` registers consists of, and how many."""
        return vector_of(element_of_kind(kind), _TABLE_LANES), size_of_k(kind, n)

    def fill(self, places: Sequence[Value], word: ir.IntType) -> None:
        """Lay out the registers at ``places``. Eight lanes are two columns: four such are transposed in one go."""
        e, b, kind = self._e, self._e.builder, self._kind
        for register, place in enumerate(places):
            parts = []
            for lane in range(0, LANES, _TABLE_LANES):
                at = b.gep(place, [I64(lane * word.width // 8)], source_etype=I8)
                parts.append(_spread(e, b.load(at, typ=vector_of(word, _TABLE_LANES), align=RESIDENT_ALIGN), kind))
            first = register * _ROW * _n_apart(kind)
            for index, four in enumerate(zip(*parts, strict=True)):
                for s, column in enumerate(_transposed(e, list(four))):
                    at = b.gep(self._table, [I64(self._offset(first + _k_of(kind, index, s)))], source_etype=I8)
                    b.store(column, at, align=RESIDENT_ALIGN)

    def at(self, k: int, j: int, n: int) -> Value:
        """Elements of row ``k`` and the even (``j`` 0) or odd (1) columns, repeated over ``n`` lanes."""
        e = self._e
        offset = self._offset(k) + j * self._offset(1) // 2
        at = e.builder.gep(self._table, [I64(offset)], source_etype=I8)
        four = e.builder.load(at, typ=vector_of(element_of_kind(self._kind), _ROW), align=16)
        return _picked(e, four, [lane % _ROW for lane in range(n)])

    def _offset(self, k: int) -> int:
        return k * _TABLE_LANES * (8 if self._kind == "f64" else 4)


def laid_out(
    e: Emitter, layout: type[Rows] | type[Columns], kind: str, places: Sequence[Value], names: Sequence[str] | None
) -> Value:
    """The table of the registers at ``places``, made now or, while those called ``names`` stay, found.

    Where there are too many, the one unused for longest makes room.
    """
    known, role = e.laid_out, layout.__name__.lower()
    key = (role, kind, *(names or ()))
    slot = known.pop(key, None) if names else None
    is_new = slot is None
    if slot is None:
        used = {other: slot for other, slot in known.items() if other[0] == role}
        free = [slot for slot in range(_MOST_LAID_OUT) if slot not in used.values()]
        slot = free[0] if free else known.pop(next(iter(used)))
    if names:
        known[key] = slot
    table = room(e, f"{role} {slot}", *layout.size(kind, len(places)))
    if is_new:
        name = f"tk_{role}.{kind}.{len(places)}"
        function = e.module.globals.get(name) or _define(e, layout, kind, name, len(places))
        e.builder.call(function, [table, *places])
    return table


def _define(e: Emitter, layout: type[Rows] | type[Columns], kind: str, name: str, n: int) -> ir.Function:
    """The function that lays out ``n`` registers: of the table, and of their places."""
    function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), [POINTER] * (1 + n)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    caller, e.builder = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
    table, *places = function.args
    layout(e, kind, table).fill(places, ir.IntType(64 if kind == "f64" else 32))
    e.builder.ret_void()
    e.builder = caller
    return function


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
