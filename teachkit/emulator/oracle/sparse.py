"""``mma.sp``: products with an A of which only some of each few neighbours in a row are stored.

The metadata of a warp is first put together as bits of whole rows, [16, 2 bits for each place]; a row's bits lie in
one lane after the other, 16 of them a lane for wide elements (row g below row g + 8), 32 for bytes (row g + 8 one
lane further). Source: PTX ISA, "Sparse matrix storage" and "Matrix fragments for ... sparse matrix A".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.matrix import gather, place_a, place_b, place_c, scatter
from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction, unsupported
from teachkit.emulator.oracle.tally import LANES, warps
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Immediate, Instruction

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_WIDTHS = {"f16": (16, 32), "bf16": (16, 32), "tf32": (8, 16), "s8": (32, 64), "u8": (32, 64)}  # k of each type
_M, _N = 16, 8


@instruction("mma")
def multiply_sparse(form: Form) -> Operation:
    form.one("sp", "sp::ordered_metadata")
    for name in ("sync", "aligned", "row", "col"):
        form.one(name)
    k = int(form.one("m16n8k8", "m16n8k16", "m16n8k32", "m16n8k64").rpartition("k")[2])
    saturates = form.flag("satfinite")
    d_type = form.one("f16", "f32", "s32")
    a_type, b_type = form.one(*_WIDTHS), form.one(*_WIDTHS)
    c_type = form.one("f16", "f32", "s32")
    if d_type != c_type:
        raise UnmatchedForm(f"a sum of .{d_type} and .{c_type}")
    if k not in _WIDTHS[a_type] or _WIDTHS[a_type] != _WIDTHS[b_type]:
        raise UnmatchedForm(f"k {k} for .{a_type} and .{b_type}")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        if not warps(mask)[warps(mask).any(1)].all():
            raise unsupported(item, "a warp in which some lanes are off")
        a = gather(machine, item.operands[1], a_type, _M, k // 2, place_a)
        b = gather(machine, item.operands[2], b_type, k, _N, place_b)
        c = gather(machine, item.operands[3], c_type, _M, _N, place_c)
        exact = np.int64 if d_type == "s32" else np.float64
        rows = _columns(machine, item, a_type, k)  # [n_warps, 16, k / 2]
        chosen = np.take_along_axis(b[:, None], rows[..., None], axis=2)  # [n_warps, 16, k / 2, 8]
        d = (a[..., None].astype(exact) * chosen.astype(exact)).sum(2) + c.astype(exact)
        if d_type == "s32":
            limits = np.iinfo(np.int32)
            d = np.clip(d, limits.min, limits.max) if saturates else d.astype(np.int32)
        scatter(machine, item.operands[0], d, d_type, mask)

    return Step(run, per_warp={"flop_tensor": _M * _N * k})


def _columns(machine: Machine, item: Instruction, kind: str, k: int) -> Array:
    """The column of the whole A in which each stored element stands."""
    metadata, selector = item.operands[4:]
    n_bits = k * (2 if kind == "tf32" else 1)  # of a row: four a chunk of four columns, or of two
    n_lanes = 2 * n_bits // 32
    if not isinstance(selector, Immediate) or selector.value not in range(4 // n_lanes):
        raise unsupported(item, "this sparsity selector")
    words = np.ascontiguousarray(np.broadcast_to(machine.read(metadata, "b32"), machine.n_threads))
    lanes = words.reshape(-1, LANES // 4, 4)[:, :, n_lanes * selector.value :][:, :, :n_lanes]  # [n_warps, 8, n_lanes]
    if kind in ("s8", "u8"):
        both = np.stack([lanes[..., 0::2], lanes[..., 1::2]], axis=1)  # [n_warps, 2, 8, n]
    else:
        both = np.moveaxis(np.ascontiguousarray(lanes).view(np.uint16).reshape(*lanes.shape, 2), -1, 1)
    octets = np.ascontiguousarray(both).view(np.uint8).reshape(len(words) // LANES, _M, n_bits // 8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little").reshape(*octets.shape[:2], n_bits // 2, 2)
    places = bits[..., 0] + 2 * bits[..., 1].astype(np.int64)  # [n_warps, 16, two a chunk]
    if kind == "tf32":
        places = places[..., ::2] // 2
        return places + 2 * np.arange(places.shape[-1])
    return places + 4 * (np.arange(places.shape[-1]) // 2)
