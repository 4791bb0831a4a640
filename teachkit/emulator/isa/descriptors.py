"""Matrices in shared memory that a tensor core finds by a descriptor, cut into tiles of 8 rows of 16 bytes.

A descriptor is 64 bits: where the matrix starts (bits 0 to 13), its leading (16 to 29) and its stride offset (32 to
45), all in units of 16 bytes; the base offset (49 to 51); the swizzle (62 and 63: none, 128, 64 or 32 bytes).
With W = 1, 8, 4 or 2 pieces of 16 bytes in a line of the swizzle's pattern, row r of a tile lies 16 W r bytes behind
its row 0. By K (a row is 16 bytes of K, rows are M or N) the next 8 rows are the stride offset away, the next piece
of K 16 bytes, or without a swizzle the leading offset. By M or N (a row is 8 elements of M or N, rows are K) the next
8 elements are 16 bytes away until a line is full, and the next line the leading offset; the next 8 of K the stride
offset. Without a swizzle the two change places: the next 8 elements are the stride offset away, the next 8 of K the
leading offset.
The swizzle exchanges the pieces of a line: bits 4 to 6 (W = 8; 4 and 5, or 4 alone) of a byte's address are xored with
those three places above, which number the line, counted from the base offset in units of 128 bytes.
On sm_100 the swizzle has bit 61 too, which is 0 for these four, and bits 46 to 48 are 1.

Source: PTX ISA, "Asynchronous Warpgroup Level Matrix Shared Memory Layout"; CUTLASS, "Construction method for GMMA
Descriptors" in mma_traits_sm90_gmma.hpp.
"""

from __future__ import annotations

from teachkit.emulator.engine import apart, ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import I32, I64, POINTER, Value

TILE_BYTES = 128
_ROWS = 8


def load_tiles(
    e: Emitter, descriptor: Value, first: Value, n: int, *, by_k: bool, site: int, lanes: Value, to: Value
) -> None:
    """Copy tiles to ``to``: of ``n`` groups of 8 rows of the matrix (M or N) from number ``first``, two along K each.

    In a tile at ``to`` row r is 16 bytes of K of the matrix's row r, whichever way it lies in memory, so that it is
    the register of a fragment. A row outside the block's shared memory is a fault of lane r at ``site``; it is zeros.
    Nothing is read where ``lanes`` is 0.
    """
    e.builder.call(
        tiles_function(e, by_k), [e.context, descriptor, first, I64(n), *limits(e), I64(~site), *buffers(e), lanes, to]
    )


def limits(e: Emitter) -> list[Value]:
    """Where the block's shared memory begins and ends."""
    return [e.scratch["shared_base"], e.scratch["shared_end"]]


def buffers(e: Emitter) -> list[Value]:
    """Memory in which rows are read one by one."""
    return [e.scratch["addresses"], e.scratch["packed"]]


def tiles_function(e: Emitter, by_k: bool, n_k: int = 2, turns: bool = True) -> ir.Function:
    """The function of :func:`load_tiles`, with ``n_k`` tiles along K in a group.

    It takes the context, the descriptor, the first group and how many, the :func:`limits` of shared memory, the
    complement of the site, the :func:`buffers`, the lanes, and where to. Without ``turns`` the rows of tiles stay as
    they lie by M or N: row r is 16 bytes of M or N of K's element r.
    """
    turns = turns and not by_k
    name = f"tk_tiles_by_{'k' if by_k else 'mn'}_{n_k}{'_turned' if turns else ''}"
    arguments = [POINTER, I64, I64, I64, I64, I64, I64, POINTER, POINTER, I32, POINTER]
    if name in e.module.globals:
        return e.module.globals[name]
    load = apart.runtime(e, "tk_load_shared").get_reference()
    return helper(e, name, ir.VoidType(), arguments, _text(name, load, by_k, n_k.bit_length() - 1, turns, e.is_checked))


def _text(name: str, load: str, by_k: bool, log_n_k: int, turns: bool, is_checked: bool) -> str:
    along_k = "select i1 %plain, i64 %lead, i64 16" if by_k else "select i1 %plain, i64 %lead, i64 %stride"
    group = "mul i64 %i, %stride" if by_k else "add i64 %in.line, %lines"
    return f"""define internal void @{name}(ptr %ctx, i64 %descriptor, i64 %first, i64 %n, i64 %low, i64 %high, \
i64 %site, ptr %addresses, ptr %packed, i32 %lanes, ptr %to) noinline {{
entry:
  %start.16 = and i64 %descriptor, 16383
  %start = shl i64 %start.16, 4
  %lead.at = lshr i64 %descriptor, 12
  %lead = and i64 %lead.at, 262128
  %stride.at = lshr i64 %descriptor, 28
  %stride = and i64 %stride.at, 262128
  %base.at = lshr i64 %descriptor, 42
  %base = and i64 %base.at, 896
  %mode = lshr i64 %descriptor, 62
  %plain = icmp eq i64 %mode, 0
  %log.swizzled = sub i64 4, %mode
  %log = select i1 %plain, i64 0, i64 %log.swizzled
  %width = shl i64 1, %log
  %places = sub i64 %width, 1
  %swizzled = shl i64 %places, 4
  %pitch = shl i64 %width, 4
  %line = select i1 %plain, i64 %stride, i64 %lead
  %along.k = {along_k}
{_spread("pitch")}
  %rows = mul <8 x i64> %pitch.n, <{_vector(range(_ROWS))}>
{_spread("swizzled")}
{_spread("base")}
{_spread("low")}
  %size = sub i64 %high, %low
{_spread("size")}
  %none = icmp eq i32 %lanes, 0
  %n.tiles = shl i64 %n, {log_n_k}
  br i1 %none, label %end, label %tile

tile:
  %m = phi i64 [ 0, %entry ], [ %m.next, %copy ]
  %group.m = lshr i64 %m, {log_n_k}
  %i = add i64 %group.m, %first
  %j = and i64 %m, {(1 << log_n_k) - 1}
  %place = and i64 %i, %places
  %in.line = shl i64 %place, 4
  %line.i = lshr i64 %i, %log
  %lines = mul i64 %line.i, %line
  %group = {group}
  %piece = mul i64 %j, %along.k
  %at.group = add i64 %start, %group
  %at.row = add i64 %at.group, %piece
{_spread("at.row")}
  %straight = add <8 x i64> %at.row.n, %rows
  %from.base = sub <8 x i64> %straight, %base.n
  %numbers = lshr <8 x i64> %from.base, splat (i64 3)
  %exchanged = and <8 x i64> %numbers, %swizzled.n
  %at = xor <8 x i64> %straight, %exchanged
  %host = add <8 x i64> %at, %low.n
  %ends = add <8 x i64> %at, splat (i64 16)
  %inside = icmp ule <8 x i64> %ends, %size.n
  %inside.bits = bitcast <8 x i1> %inside to i8
  %all = icmp eq i8 %inside.bits, {"0" if is_checked else "-1"}
  br i1 {"false" if is_checked else "%all"}, label %copy, label %one.by.one

one.by.one:
  store <8 x i64> %host, ptr %addresses, align 64
  store <16 x i64> zeroinitializer, ptr %packed, align 64
  call void {load}(ptr %ctx, ptr %addresses, i32 {(1 << _ROWS) - 1}, i64 %low, i64 %high, i64 %site, i64 16, \
ptr %packed)
  %packed.at = ptrtoint ptr %packed to i64
{_spread("packed.at")}
  %packed.rows = add <8 x i64> %packed.at.n, <{_vector(range(0, 16 * _ROWS, 16))}>
  br label %copy

copy:
  %from = phi <8 x i64> [ %host, %tile ], [ %packed.rows, %one.by.one ]
  %m.bytes = mul i64 %m, {TILE_BYTES}
  %tile.at = getelementptr i8, ptr %to, i64 %m.bytes
{_copy(turns)}
  %m.next = add i64 %m, 1
  %more = icmp ult i64 %m.next, %n.tiles
  br i1 %more, label %tile, label %end

end:
  ret void
}}"""


def _copy(turns: bool) -> str:
    """Rows from ``%from`` to ``%tile.at``, turned over if they are to be (elements of 16 bits)."""
    lines = []
    for r in range(_ROWS):
        lines += [
            f"%number{r} = extractelement <8 x i64> %from, i64 {r}",
            f"%from{r} = inttoptr i64 %number{r} to ptr",
            f"%row0.{r} = load <8 x i16>, ptr %from{r}, align 16",
        ]
    last = 0
    if turns:
        # Row and column are six bits of an element's number. Each turn moves them round by one; after three they
        # have changed places.
        low = _vector([n // 2 + _ROWS * (n % 2) for n in range(_ROWS)], "i32")
        high = _vector([n // 2 + 4 + _ROWS * (n % 2) for n in range(_ROWS)], "i32")
        for last in (1, 2, 3):
            for r in range(_ROWS):
                a, b = (f"<8 x i16> %row{last - 1}.{source}" for source in (r // 2, r // 2 + 4))
                order = high if r % 2 else low
                lines.append(f"%row{last}.{r} = shufflevector {a}, {b}, <8 x i32> <{order}>")
    for r in range(_ROWS):
        lines.append(f"%to{r} = getelementptr i8, ptr %tile.at, i64 {16 * r}")
        lines.append(f"store <8 x i16> %row{last}.{r}, ptr %to{r}, align 16")
    return "\n".join(f"  {line}" for line in lines)


def _spread(name: str) -> str:
    """The number ``name`` eight times, as ``name``.n."""
    one = f"  %{name}.1 = insertelement <8 x i64> poison, i64 %{name}, i64 0"
    return f"{one}\n  %{name}.n = shufflevector <8 x i64> %{name}.1, <8 x i64> poison, <8 x i32> zeroinitializer"


def _vector(numbers: list[int] | range, kind: str = "i64") -> str:
    return ", ".join(f"{kind} {number}" for number in numbers)
