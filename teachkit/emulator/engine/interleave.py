"""Consecutive elements of each lane to one value a lane, and back: the two sides of a vector load or store.

In memory the elements of a lane stand side by side; in registers, the lanes. LLVM writes good code for such a shuffle
where the processor picks from two registers at will (AVX-512). Without, four elements of 32 bits are moved as the
processor's own steps, 8 lanes at a time: LLVM finds worse ones, three times as long, and takes many times as long to.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from teachkit.emulator.engine import ir, processor
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import I16, I32, POINTER, Poison, Value, lane_constants, vector_of

_HALF = 16  # bits: two elements to a word of a lane
_PART = 8  # lanes: four elements of each are four registers of 256 bits
_WHOLE, _QUARTER = vector_of(I32), vector_of(I32, _PART)
# Of two registers, as AVX2 has them: places in the first, and 8 more for those in the second.
_LOW_HALVES, _HIGH_HALVES = (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)
_LOW_WORDS, _HIGH_WORDS = (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)
_LOW_PAIRS, _HIGH_PAIRS = (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)


def interleave(e: Emitter, values: Sequence[Value]) -> Value:
    """Element i of lane l at place l * n + i."""
    values = list(values)
    while len(values) > 1:
        half = len(values) // 2
        values = [_zip(e, values[i], values[i + half]) for i in range(half)]
    return values[0]


def store_interleaved(e: Emitter, values: Sequence[Value], memory: Value, align: int, *, is_rare: bool = False) -> None:
    """Store ``values`` interleaved; ``is_rare`` where small code is worth more than fast code."""
    bits = values[0].type.element.width
    if bits == _HALF and len(values) % 2 == 0:
        wide = [e.cast("zext", value, I32) for value in values]
        high = [e.builder.shl(word, e.constant(word, _HALF)) for word in wide[1::2]]
        pairs = [e.builder.or_(*pair) for pair in zip(wide[::2], high, strict=True)]
        store_interleaved(e, pairs, memory, align, is_rare=is_rare)
        return
    if not _goes_by_parts(bits, len(values)):
        e.builder.store(interleave(e, values), memory, align=align)
        return
    name = "tk_interleave_rare" if is_rare else "tk_interleave"
    attributes = "noinline cold" if is_rare else _inlining(e)
    text = f"define internal void @{name}{_INTERLEAVE_SIGNATURE} {attributes} {{\n{_interleave_text()}}}\n"
    function = helper(e, name, ir.VoidType(), [POINTER, *[_WHOLE] * 4], text)
    e.builder.call(function, [memory, *values])


def load_dealt(e: Emitter, memory: Value, bits: int, n: int, align: int | None = None) -> list[Value]:
    """The reverse, out of memory: ``n`` values from ``n`` elements a lane."""
    if _goes_by_parts(bits, n):
        shape: ir.Type = ir.LiteralStructType([_WHOLE] * 4)
        text = f"define internal {shape} @tk_deal(ptr %memory) {_inlining(e)} {{\n{_deal_text()}}}\n"
        dealt = e.builder.call(helper(e, "tk_deal", shape, [POINTER], text), [memory])
        return [e.builder.extract_value(dealt, i) for i in range(4)]
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


def _inlining(e: Emitter) -> str:
    """A kernel that keeps its registers in memory anyway shares one copy."""
    return "noinline" if e.residents else "alwaysinline"


def _goes_by_parts(bits: int, n: int) -> bool:
    return bits == 32 and n == 4 and not processor.has_wide_vectors()


def _zip(e: Emitter, a: Value, b: Value) -> Value:
    n = a.type.count
    places = [place for i in range(n) for place in (i, n + i)]
    return e.builder.shuffle_vector(a, b, lane_constants(I32, places))


_INTERLEAVE_SIGNATURE = f"(ptr %memory, {', '.join(f'{_WHOLE} %value.{i}' for i in range(4))})"


class _Lines:
    """Lines of LLVM text that shuffle vectors."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def new(self, line: str) -> str:
        """Append ``line`` under a new name."""
        name = f"%v.{len(self.lines)}"
        self.lines.append(f"  {name} = {line}")
        return name

    def shuffled(self, a: str, b: str, places: Sequence[int], n: int = _PART) -> str:
        """``places`` of two vectors of ``n`` elements."""
        order = ", ".join(f"i32 {place}" for place in places)
        return self.new(f"shufflevector <{n} x i32> {a}, <{n} x i32> {b}, <{len(places)} x i32> <{order}>")

    def joined(self, parts: list[str]) -> str:
        """The four parts of a whole behind one another."""
        low, high = (self.shuffled(parts[i], parts[i + 1], range(2 * _PART)) for i in (0, 2))
        return self.shuffled(low, high, range(4 * _PART), 2 * _PART)

    def row(self, lane: int, index: int) -> str:
        """Address of two lanes."""
        return self.new(f"getelementptr i8, ptr %memory, i64 {16 * lane + 32 * index}")


@functools.cache
def _deal_text() -> str:
    """Four registers of two lanes each become four of one element each, of 8 lanes; four times."""
    t = _Lines()
    columns: list[list[str]] = []
    for lane in range(0, LANES, _PART):
        a, b, c, d = (t.new(f"load {_QUARTER}, ptr {t.row(lane, i)}, align 4") for i in range(4))
        p, q = t.shuffled(a, c, _LOW_HALVES), t.shuffled(a, c, _HIGH_HALVES)  # lanes 0 4, 1 5
        r, s = t.shuffled(b, d, _LOW_HALVES), t.shuffled(b, d, _HIGH_HALVES)  # lanes 2 6, 3 7
        u, v, w, x = (t.shuffled(*pair, order) for order in (_LOW_WORDS, _HIGH_WORDS) for pair in ((p, q), (r, s)))
        columns.append([t.shuffled(*pair, order) for pair in ((u, v), (w, x)) for order in (_LOW_PAIRS, _HIGH_PAIRS)])
    result = "poison"
    shape = ir.LiteralStructType([_WHOLE] * 4)
    for i in range(4):
        whole = t.joined([column[i] for column in columns])
        result = t.new(f"insertvalue {shape} {result}, {_WHOLE} {whole}, {i}")
    return "\n".join(t.lines) + f"\n  ret {shape} {result}\n"


@functools.cache
def _interleave_text() -> str:
    """The reverse."""
    t = _Lines()
    for lane in range(0, LANES, _PART):
        places = range(lane, lane + _PART)
        a, b, c, d = (t.shuffled(f"%value.{i}", "poison", places, LANES) for i in range(4))
        p, q, r, s = (t.shuffled(*pair, order) for order in (_LOW_WORDS, _HIGH_WORDS) for pair in ((a, b), (c, d)))
        u, v, w, x = (t.shuffled(*pair, order) for pair in ((p, q), (r, s)) for order in (_LOW_PAIRS, _HIGH_PAIRS))
        rows = [t.shuffled(*pair, order) for order in (_LOW_HALVES, _HIGH_HALVES) for pair in ((u, v), (w, x))]
        for i, row in enumerate(rows):
            t.lines.append(f"  store {_QUARTER} {row}, ptr {t.row(lane, i)}, align 4")
    return "\n".join(t.lines) + "\n  ret void\n"
