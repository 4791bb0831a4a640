"""Consecutive elements of each lane to one value a lane, and back: the two sides of a vector load or store.

In memory the elements of a lane stand side by side; in registers, the lanes. LLVM writes good code for such a shuffle
where the processor picks from two registers at will (AVX-512). Without, four elements of 32 bits are moved by the
runtime: such a shuffle takes LLVM longer than all else that a kernel's access needs.
"""

from __future__ import annotations

from collections.abc import Sequence

from teachkit.emulator.engine import ir, processor
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I8, I16, I32, I64, POINTER, Poison, Value, lane_constants, vector_of

_HALF = 16  # bits: two elements to a word of a lane
_WHOLE = vector_of(I32)
ROOM_ALIGN = 64  # of vectors on the stack, bytes: what the processor moves at once
_MOST_ROOMS = 32  # of 512 bytes on the stack; what is loaded beyond them LLVM keeps where it likes


def interleave(e: Emitter, values: Sequence[Value]) -> Value:
    """Element i of lane l at place l * n + i."""
    values = list(values)
    while len(values) > 1:
        half = len(values) // 2
        values = [_zip(e, values[i], values[i + half]) for i in range(half)]
    return values[0]


def store_interleaved(e: Emitter, values: Sequence[Value], memory: Value, align: int) -> None:
    """Store ``values`` interleaved, at a place that is a multiple of ``align`` bytes."""
    bits = values[0].type.element.width
    if bits == _HALF and len(values) % 2 == 0:
        wide = [e.cast("zext", value, I32) for value in values]
        high = [e.builder.shl(word, e.constant(word, _HALF)) for word in wide[1::2]]
        pairs = [e.builder.or_(*pair) for pair in zip(wide[::2], high, strict=True)]
        store_interleaved(e, pairs, memory, align)
        return
    if not _goes_by_parts(bits, len(values)):
        e.builder.store(interleave(e, values), memory, align=align)
        return
    room = _room_of(values)
    if room is None:
        room = e.once("interleaved", lambda: _room(e))
        for i, value in enumerate(values):
            e.builder.store(value, _row(e, room, i), align=ROOM_ALIGN)
    e.builder.call(_runtime(e, "tk_interleave"), [memory, room])


def load_dealt(e: Emitter, memory: Value, bits: int, n: int, align: int | None = None) -> list[Value]:
    """The reverse, out of memory: ``n`` values from ``n`` elements a lane."""
    if _goes_by_parts(bits, n):
        # Where registers are values they are read again from there, as the processor has too few to keep them.
        stays = not e.has_resident_vectors and e.n_rooms < _MOST_ROOMS
        room = e.once(f"dealt {e.n_rooms}" if stays else "dealt", lambda: _room(e))
        e.n_rooms += stays
        e.builder.call(_runtime(e, "tk_deal"), [memory, room])
        rows = [_row(e, room, i) for i in range(n)]
        values = [e.builder.load(row, ROOM_ALIGN, _WHOLE) for row in rows]
        if not stays:
            return values
        return [ir.Stored(*pair, room, i, ROOM_ALIGN) for i, pair in enumerate(zip(values, rows, strict=True))]
    if bits == _HALF and n % 2 == 0:
        words = load_dealt(e, memory, 2 * bits, n // 2, align=_HALF // 8)
        parts = [part for word in words for part in (word, e.builder.lshr(word, e.constant(word, _HALF)))]
        return [e.cast("trunc", part, I16) for part in parts]
    shape = vector_of(ir.IntType(bits), LANES * n)
    packed = e.builder.load(memory, typ=shape, align=align or bits // 8)
    if n == 1:
        return [packed]
    return [
        e.builder.shuffle_vector(packed, Poison(shape), lane_constants(I32, range(i, LANES * n, n))) for i in range(n)
    ]


def _room(e: Emitter) -> Value:
    return e.builder.alloca(vector_of(I32, 4 * LANES), align=ROOM_ALIGN)


def _room_of(values: Sequence[Value]) -> Value | None:
    """Where ``values`` lie one after another already, as they were loaded together."""
    rooms = [value.room for i, value in enumerate(values) if isinstance(value, ir.Stored) and value.row == i]
    return rooms[0] if len(rooms) == len(values) and all(room is rooms[0] for room in rooms) else None


def _row(e: Emitter, room: Value, i: int) -> Value:
    """Where one value of all lanes stands."""
    return e.builder.gep(room, [I64(i * LANES * 4)], source_etype=I8)


def _runtime(e: Emitter, name: str) -> ir.Function:
    """A function of ``runtime/interleave.ll``; it takes memory, and four values one after another."""
    function = e.module.globals.get(name)
    if function is None:
        function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), [POINTER, POINTER]), name)
        function.convention = "preserve_mostcc"
    return function


def _goes_by_parts(bits: int, n: int) -> bool:
    return bits == 32 and n == 4 and not processor.has_wide_vectors()


def _zip(e: Emitter, a: Value, b: Value) -> Value:
    n = a.type.count
    places = [place for i in range(n) for place in (i, n + i)]
    return e.builder.shuffle_vector(a, b, lane_constants(I32, places))
