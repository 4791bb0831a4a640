"""The arithmetic of ``tcgen05.mma``: tables of A and B by k, and sums over them where D lies in tensor memory.

A table has for each k the elements of all rows of A, or columns of B, as ``f32``. A column of D in tensor memory is 16
rows side by side, times 4 or 8: so the sums of four columns stay in the processor's registers, and for each k 16
elements of A are multiplied by one of B. As for ``mma.sync``, k goes up from 0, in ``f32``, and products of whole
numbers are summed in ``f32`` too, which holds them exactly, before they are added to D. An element of 16 bits has a
column of its own in D, and shares it with the next in A. Not modelled: the order in which hardware adds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import (
    F32,
    I1,
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
from teachkit.emulator.isa.descriptors import TILE_BYTES
from teachkit.emulator.isa.formats import float_to_half, half_to_float
from teachkit.emulator.isa.fragments import ELEMENTS, decoded
from teachkit.emulator.isa.products import registers_of

COLUMN_BYTES = 128 * 4  # of tensor memory
K_BYTES = 32  # of K in an instruction
TABLE_BYTES = 32 * 256 * 4  # of 32 k

_ROW_BYTES = 256 * 4  # of a table
_ROWS = 8  # of a tile
_CHUNK = 16  # rows of D that are side by side
_AT_ONCE = 4  # columns of D
_ALIGN = 16


def tiles_along_k(kind: str, by_k: bool) -> int:
    """How many tiles of 8 rows of 16 bytes there are along K."""
    return 2 if by_k else ELEMENTS[kind] * K_BYTES // (4 * _ROWS)


def rows_of_group(kind: str, by_k: bool) -> int:
    """Rows of A, or columns of B, in a group of such tiles."""
    return _ROWS if by_k else 4 * ELEMENTS[kind]


def table_of_tiles(e: Emitter, kind: str, by_k: bool) -> ir.Function:
    """The function that makes a table of tiles: of where they are, how many, where to, and bits to turn over."""
    name = f"tk_tensor_table_{kind}_by_{'k' if by_k else 'mn'}"
    n_apart, n_k = ELEMENTS[kind], tiles_along_k(kind, by_k)

    def build(tiles: Value, n: Value, table: Value, flipped: Value) -> None:
        b = e.builder
        for_each(e, n, 1, lambda m: tile(b.gep(tiles, [b.mul(m, I64(TILE_BYTES))], source_etype=I8), m, table, flipped))

    def tile(place: Value, m: Value, table: Value, flipped: Value) -> None:
        b = e.builder
        words = b.load(place, typ=vector_of(I32), align=_ALIGN)
        parts = [_flip(e, part, flipped) for part in decoded(e, words, kind)]
        group, j = b.lshr(m, I64(n_k.bit_length() - 1)), b.and_(m, I64(n_k - 1))
        first_k = b.mul(j, I64(4 * n_apart if by_k else _ROWS))
        offset = b.add(b.mul(first_k, I64(_ROW_BYTES)), b.mul(group, I64(4 * rows_of_group(kind, by_k))))
        start = b.gep(table, [offset], source_etype=I8)
        if by_k:  # four words a row of the matrix
            rows = [_picked(e, part, range(word, 32, 4)) for word in range(4) for part in parts]
        else:  # a row of the tile is one k
            rows = [_interleaved(e, [_picked(e, part, range(4 * r, 4 * r + 4)) for part in parts]) for r in range(8)]
        for k, row in enumerate(rows):
            b.store(row, b.gep(start, [I64(k * _ROW_BYTES)], source_etype=I8), align=_ALIGN)

    return _function(e, name, [POINTER, I64, POINTER, I32], build)


def table_of_columns(e: Emitter, kind: str) -> ir.Function:
    """The same of A in tensor memory: of where it is, rows, bytes from 16 rows to the next, where to, bits to turn."""
    n_apart = ELEMENTS[kind]

    def build(place: Value, n_rows: Value, step: Value, table: Value, flipped: Value) -> None:
        for_each(e, n_rows, _CHUNK, lambda row: chunk(place, row, step, table, flipped))

    def chunk(place: Value, row: Value, step: Value, table: Value, flipped: Value) -> None:
        b = e.builder
        start = b.gep(place, [b.mul(b.lshr(row, I64(4)), step)], source_etype=I8)
        to = b.gep(table, [b.mul(row, I64(4))], source_etype=I8)
        for column in range(K_BYTES // 4):
            at = b.gep(start, [I64(COLUMN_BYTES * column)], source_etype=I8)
            words = b.load(at, typ=vector_of(I32, _CHUNK), align=_ALIGN)
            for h, part in enumerate(decoded(e, words, kind)):
                k = column * n_apart + h
                b.store(_flip(e, part, flipped), b.gep(to, [I64(k * _ROW_BYTES)], source_etype=I8), align=_ALIGN)

    return _function(e, f"tk_tensor_table_{kind}_columns", [POINTER, I64, I64, POINTER, I32], build)


def sums(e: Emitter, d_type: str, n_k: int) -> ir.Function:
    """The function that adds A B to D: of the tables, D, its rows, bytes from 16 rows to the next, its columns, whether
    it adds to what is there, and whether it saturates."""

    def build(a: Value, b_table: Value, d: Value, rows: Value, step: Value, columns: Value, adds: Value, sat: Value):  # type: ignore[no-untyped-def]
        def some(column: Value) -> None:
            for_each(e, rows, _CHUNK, lambda row: chunk(row, column))

        def chunk(row: Value, column: Value) -> None:
            b = e.builder
            shift = b.add(b.mul(b.lshr(row, I64(4)), step), b.mul(column, I64(COLUMN_BYTES)))
            first = b.gep(d, [shift], source_etype=I8)
            places = [b.gep(first, [I64(COLUMN_BYTES * i)], source_etype=I8) for i in range(_AT_ONCE)]
            a_at = b.gep(a, [b.mul(row, I64(4))], source_etype=I8)
            b_at = b.gep(b_table, [b.mul(column, I64(4))], source_etype=I8)
            _sums_of_chunk(e, d_type, n_k, a_at, b_at, places, adds, sat)

        for_each(e, columns, _AT_ONCE, some)

    name = f"tk_tensor_sums_{d_type}_{n_k}"
    return _function(e, name, [POINTER, POINTER, POINTER, I64, I64, I64, I1, I1], build)


def _sums_of_chunk(
    e: Emitter, d_type: str, n_k: int, a_at: Value, b_at: Value, places: Sequence[Value], adds: Value, sat: Value
) -> None:
    b, words, floats = e.builder, vector_of(I32, _CHUNK), vector_of(F32, _CHUNK)
    zero = ir.Constant(words, None)
    before = [b.select(adds, b.load(place, typ=words, align=_ALIGN), zero) for place in places]
    if d_type == "f16":
        totals = [half_to_float(e, e.cast("trunc", word, I16), "f16") for word in before]
    elif d_type == "s32":
        totals = [ir.Constant(floats, None)] * len(before)
    else:
        totals = [b.bitcast(word, floats) for word in before]
    for k in range(n_k):
        rows = b.load(b.gep(a_at, [I64(k * _ROW_BYTES)], source_etype=I8), typ=floats, align=_ALIGN)
        for i in range(len(places)):
            at = b.gep(b_at, [I64(k * _ROW_BYTES + 4 * i)], source_etype=I8)
            one = e.vector(b.load(at, typ=F32, align=4), _CHUNK)
            totals[i] = e.intrinsic("llvm.fmuladd", rows, one, totals[i])
    for place, total, word in zip(places, totals, before, strict=True):
        if d_type == "f16":
            result = e.cast("zext", float_to_half(e, total, "f16"), I32)
        elif d_type == "s32":
            plain, full = (registers_of(e, [total], "s32", [word], how)[0] for how in ("", "satfinite"))
            result = b.select(sat, full, plain)
        else:
            result = e.bits(total)
        b.store(result, place, align=_ALIGN)


def for_each(e: Emitter, n: Value, step: int, body: Callable[[Value], None]) -> None:
    """A loop over 0, ``step``, ... below ``n``, which is above 0."""
    b = e.builder
    before, loop, done = b.block, b.append_basic_block("each"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    number = b.phi(I64)
    number.add_incoming(I64(0), before)
    body(number)
    following = b.add(number, I64(step))
    number.add_incoming(following, b.block)
    b.cbranch(b.icmp_unsigned("<", following, n), loop, done)
    b.position_at_end(done)


def _function(e: Emitter, name: str, kinds: Sequence[ir.Type], build: Callable[..., None]) -> ir.Function:
    """The function of that name, written at its first use."""
    found: ir.Function | None = e.module.globals.get(name)
    if found is not None:
        return found
    function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), list(kinds)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    caller, e.builder = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
    build(*function.args)
    e.builder.ret_void()
    e.builder = caller
    return function


def _flip(e: Emitter, value: Value, bits: Value) -> Value:
    b, n = e.builder, value.type.count
    return b.bitcast(b.xor(b.bitcast(value, vector_of(I32, n)), e.vector(bits, n)), value.type)


def _picked(e: Emitter, value: Value, places: Sequence[int]) -> Value:
    return e.builder.shuffle_vector(value, Poison(value.type), lane_constants(I32, list(places)))


def _interleaved(e: Emitter, parts: Sequence[Value]) -> Value:
    """Element 0 of every part, then element 1."""
    if len(parts) == 1:
        return parts[0]
    n = parts[0].type.count
    halves = [_interleaved(e, parts[i::2]) for i in (0, 1)]
    order = [i // 2 + (i % 2) * n * (len(parts) // 2) for i in range(n * len(parts))]
    return e.builder.shuffle_vector(halves[0], halves[1], lane_constants(I32, order))
