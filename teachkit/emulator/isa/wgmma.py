"""``wgmma``: products of matrices by four consecutive warps, of which B, and often A, lie in shared memory.

Warp w of the four has rows 16 w to 16 w + 15 of D and of A, as fragments of ``mma.m16n8`` side by side. So each does
its own product when it gets there: B and its rows of A are copied to registers of fragments, and then comes one
product of ``mma.sync`` for every 8 columns. Nothing is left to wait for: ``wgmma.fence``, ``commit_group`` and
``wait_group`` only count as instructions.

A warp counts ``flop_tensor`` for its 16 rows, 2 * 16 * N * K. Tensor cores read shared memory by themselves, so no
load is counted: neither requests nor wavefronts of shared memory.
``emulator.check()`` sees every row that is read (bounds, races, what nobody wrote); not that ``wgmma.fence``,
``wait_group`` or ``fence.proxy.async`` are missing. Not modelled: sparse A; the order in which hardware adds.

Source: PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions".
"""

from __future__ import annotations

import re

from teachkit.emulator.engine import tally
from teachkit.emulator.engine.emit import RESIDENT_ALIGN, Emitter
from teachkit.emulator.engine.shapes import I1, I8, I32, I64, Value, vector_of
from teachkit.emulator.isa.descriptors import TILE_BYTES, load_tiles
from teachkit.emulator.isa.fragments import Columns, Rows, laid_out, room
from teachkit.emulator.isa.products import items_of, kept, place_of_register, product_of
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Group, Immediate, Operand

_MMA = "wgmma.mma_async.sync.aligned"
_N_A = 4  # registers of A
_N_B = 2  # of B for 8 columns
_MOST_TILES = 2 * 32  # of 256 columns
_WHOLE_N = (8, 16, 24, *range(32, 257, 16))  # columns of products of whole numbers
_SIGNS = {"f16": 0x80008000, "bf16": 0x80008000, "tf32": 1 << 31, "e4m3": 0x80808080, "e5m2": 0x80808080}


def _shapes(k: int, columns: tuple[int, ...] | range = range(8, 257, 8)) -> str:
    return "|".join(f"m64n{n}k{k}" for n in columns)


@instruction("wgmma.(fence|commit_group).sync.aligned", reads=(), writes="")
def wgmma_fence(e: Emitter, form: Form) -> None:
    """Products are finished when they are issued."""


@instruction("wgmma.wait_group.sync.aligned", reads=None)
def wgmma_wait(e: Emitter, form: Form, n: Operand) -> None:
    """Products are finished when they are issued."""


@instruction(
    f"{_MMA}.({_shapes(16)}).(f16|f32).f16.f16",
    f"{_MMA}.({_shapes(16)}).f32.bf16.bf16",
    f"{_MMA}.({_shapes(8)}).f32.tf32.tf32",
    f"{_MMA}.({_shapes(32)}).(f16|f32).(e4m3|e5m2).(e4m3|e5m2)",
    f"{_MMA}.({_shapes(32, _WHOLE_N)})[.satfinite].s32.(s8|u8).(s8|u8)",
    f"{_MMA}.({_shapes(256, _WHOLE_N)}).s32.b1.b1.and.popc",
    reads=None,
)
def wgmma(e: Emitter, form: Form, d: Operand, a: Operand, b: Operand, adds: Operand, *options: Operand) -> None:
    """D = A B + D, or A B where ``adds`` does not hold. ``options``: signs of A and B; whether each lies by M or N."""
    shape, d_type, a_type, b_type = form.required[:4]
    n = int(re.split("[nk]", shape)[1])
    targets, n_d = items_of(d), 2 if d_type == "f16" else 4
    sign, by_k = _options(e, a_type, isinstance(a, Group), options)
    if len(targets) != n_d * n // 8 or (isinstance(a, Group) and len(a.items) != _N_A):
        raise e.unsupported(f"{len(targets)} registers of D and {len(items_of(a))} of A")
    assert e.instruction is not None
    tally.plain(e, e.instruction)
    e.sites.is_again = True
    site = e.sites.access(e.instruction, "shared", False, 16)
    e.sites.is_again = False
    rows = _rows(e, a, site, by_k[0], _SIGNS[a_type] if sign < 0 else 0)
    columns = room(e, "columns", vector_of(I32), _MOST_TILES)
    load_tiles(e, _descriptor(e, b), I64(0), n // 8, by_k=by_k[1], site=site, lanes=e.lanes(), to=columns)

    how = "and" if a_type == "b1" else "satfinite" if "satfinite" in form.optional else ""
    sums = [place for item in targets if (place := place_of_register(e, item, "b32")) is not None]
    is_in_place = e.active is None and e.guard is None and len(sums) == len(targets)
    if not is_in_place:
        sums = [kept(e, f"sum{i}", e.vector(e.read(item, "b32"))) for i, item in enumerate(targets)]
    with e.builder.if_then(e.builder.not_(_holds(e, adds))):
        for place in sums:
            e.builder.store(e.vector(I32(0)), place, align=RESIDENT_ALIGN)
    types, sizes = (d_type, a_type, b_type, d_type), (_N_A, _N_B, n_d, n_d)
    rows_at = laid_out(e, Rows, a_type, rows, None)
    for tile in range(n // 8):
        b_at = [_at(e, columns, _N_B * tile + register) for register in range(_N_B)]
        d_at = sums[n_d * tile : n_d * tile + n_d]
        product_of(e, types, how, sizes, rows_at, laid_out(e, Columns, b_type, b_at, None), [*d_at, *d_at])
    for item, place in zip(targets, sums, strict=True) if not is_in_place else ():
        e.write(item, e.builder.load(place, typ=vector_of(I32), align=RESIDENT_ALIGN), "b32")


def _options(e: Emitter, kind: str, has_registers: bool, given: tuple[Operand, ...]) -> tuple[int, tuple[bool, bool]]:
    """The sign of the product; whether A and B lie by K."""
    values = [option.value if isinstance(option, Immediate) else None for option in given]
    n_signs = 2 if kind in _SIGNS else 0
    n_ways = (1 if has_registers else 2) if kind in ("f16", "bf16") else 0
    signs, ways = values[:n_signs], values[n_signs:]
    if len(values) != n_signs + n_ways or not {*signs} <= {1, -1} or not {*ways} <= {0, 1}:
        raise e.unsupported(f"options {values}")
    sign = -1 if len({*signs}) == 2 else 1
    by_k = [not way for way in ways]
    return sign, (by_k[0] if n_ways == 2 else True, by_k[-1] if n_ways else True)


def _rows(e: Emitter, a: Operand, site: int, by_k: bool, flipped: int) -> list[Value]:
    """Places of the four registers of the warp's rows of A, bits ``flipped``."""
    if isinstance(a, Group):
        found = [
            (None if flipped else place_of_register(e, item, "b32")) or kept(e, f"a{i}", e.vector(e.read(item, "b32")))
            for i, item in enumerate(a.items)
        ]
    else:
        to = room(e, "rows", vector_of(I32), _N_A)
        warp = e.builder.and_(e.field("warp", I64), I64(3))
        first = e.builder.shl(warp, I64(1))
        load_tiles(e, _descriptor(e, a), first, 2, by_k=by_k, site=site, lanes=e.lanes(), to=to)
        found = [_at(e, to, tile) for tile in (0, 2, 1, 3)]  # down, then along K
    for place in found if flipped else []:
        value = e.builder.load(place, typ=vector_of(I32), align=RESIDENT_ALIGN)
        e.builder.store(e.builder.xor(value, e.constant(value, flipped)), place, align=RESIDENT_ALIGN)
    return found


def _at(e: Emitter, room_of_tiles: Value, tile: int) -> Value:
    return e.builder.gep(room_of_tiles, [I64(TILE_BYTES * tile)], source_etype=I8)


def _descriptor(e: Emitter, operand: Operand) -> Value:
    value = e.read(operand, "b64")
    return value if value.type == I64 else e.first_active(value)


def _holds(e: Emitter, adds: Operand) -> Value:
    if isinstance(adds, Immediate):
        return I1(int(adds.value != 0))
    value = e.read(adds, "pred")
    return value if value.type == I1 else e.first_active(value)
