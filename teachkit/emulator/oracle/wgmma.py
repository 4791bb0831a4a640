"""``wgmma``: every element of a matrix in shared memory by its own address, worked out from the canonical layouts.

A layout is a shape and a stride for each of the parts into which a coordinate is taken apart, first the fastest. With
T elements in 16 bytes and W pieces of 16 bytes in a line, in elements, the leading and stride offsets as L and S:

=========  ==========================================  =====================
lies by K  rows (8, rest), columns (T, 2)              (W T, S), (1, T)
... plain  the same                                    (T, S), (1, L)
by M or N  rows (T, W, rest), columns (8, rest)        (1, T, L), (W T, S)
... plain  rows (T, rest), columns (8, rest)           (1, S), (T, L)
=========  ==========================================  =====================

Then line n of 128 bytes has its pieces of 16 bytes exchanged: piece p is at p xor n, as far as W goes.
Source: PTX ISA, "Asynchronous warpgroup level matrix shared memory layout"; CUTLASS, mma_traits_sm90_gmma.hpp.
Not modelled: sparse A, and the order in which tensor cores add.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.fp8 import decode_fp8
from teachkit.emulator.oracle.matrix import gather, place_a, place_c, scatter
from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction, unsupported
from teachkit.emulator.oracle.tally import LANES, warps
from teachkit.emulator.oracle.values import Array, decode
from teachkit.emulator.ptx.model import Group, Immediate, Instruction, Operand

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_K = {"f16": 16, "bf16": 16, "tf32": 8, "e4m3": 32, "e5m2": 32, "s8": 32, "u8": 32, "b1": 256}
_RESULTS = {
    **dict.fromkeys(("f16", "e4m3", "e5m2"), ("f16", "f32")),
    **dict.fromkeys(("bf16", "tf32"), ("f32",)),
    **dict.fromkeys(("s8", "u8", "b1"), ("s32",)),
}
_SHAPES = {f"m64n{n}k{k}": (n, k) for n in range(8, 257, 8) for k in set(_K.values())}
_ROW_BYTES = 32  # of K, in every shape
_PIECE = 16


@instruction("wgmma")
def warpgroup(form: Form) -> Operation:
    verb = form.one("fence", "commit_group", "wait_group", "mma_async")
    form.one("sync")
    form.one("aligned")
    if verb != "mma_async":
        return Step(lambda machine, item, mask: None)
    n, k = _SHAPES[form.one(*_SHAPES)]
    saturates = form.flag("satfinite")
    d_type = form.one("f16", "f32", "s32")
    a_type, b_type = form.one(*_K), form.one(*_K)
    if a_type == "b1":
        form.one("and")
        form.one("popc")
    kinds_agree = a_type == b_type or {a_type, b_type} in ({"e4m3", "e5m2"}, {"s8", "u8"})
    whole = d_type == "s32"
    if not kinds_agree or _K[a_type] != k or d_type not in _RESULTS[a_type] or (saturates and a_type[1:] != "8"):
        raise UnmatchedForm(f"k {k} for .{d_type}, .{a_type} and .{b_type}")
    if whole and n > 24 and n % 16:
        raise UnmatchedForm(f"{n} columns of .s32")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        if not warps(mask)[warps(mask).any(1)].all():
            raise unsupported(item, "a warp in which some lanes are off")
        options = [option.value for option in item.operands[4:] if isinstance(option, Immediate)]
        in_registers = isinstance(item.operands[1], Group)
        signs = options[:2] if not whole else [1, 1]
        ways = [*([0] if in_registers else []), *options[2:]] if a_type in ("f16", "bf16") else [0, 0]
        if in_registers:
            kind = "u8" if a_type == "b1" else a_type
            a = gather(machine, item.operands[1], kind, 16, 32 if a_type == "b1" else k, place_a)
            if a_type == "b1":
                a = _bits(a)
        else:
            a = _from_shared(machine, item, item.operands[1], mask, a_type, ways[0], 16)
        b = _from_shared(machine, item, item.operands[2], mask, b_type, ways[1], n).transpose(0, 2, 1)
        exact = np.int64 if whole else np.float64
        d = np.prod(signs) * (a.astype(exact) @ b.astype(exact))
        adds = np.broadcast_to(machine.read(item.operands[3], "pred"), mask.shape).reshape(-1, LANES)[:, 0]
        if adds.any():
            d[adds] += gather(machine, item.operands[0], d_type, 16, n, _place_d)[adds].astype(exact)
        if whole:
            limits = np.iinfo(np.int32)
            d = np.clip(d, limits.min, limits.max) if saturates else d.astype(np.int32)
        _scatter(machine, item.operands[0], d, d_type, mask)

    return Step(run, per_warp={"flop_tensor": 2 * 16 * n * k})


def _place_d(lane: Array, register: int, h: int, e: int) -> tuple[Array, Array]:
    """Eight columns of D after the other."""
    n_registers = 4 // e
    row, column = place_c(lane, register % n_registers, h, e)
    return row, column + 8 * (register // n_registers)


def _scatter(machine: Machine, operand: Operand, d: Array, kind: str, mask: Array) -> None:
    assert isinstance(operand, Group)
    n_registers = 2 if kind == "f16" else 4
    for j in range(d.shape[2] // 8):
        part = Group(operand.items[n_registers * j : n_registers * (j + 1)])
        scatter(machine, part, d[:, :, 8 * j : 8 * j + 8], kind, mask)


@dataclasses.dataclass(frozen=True)
class Descriptor:
    """What its 64 bits say, in bytes."""

    start: int
    leading: int
    stride: int
    base: int
    n_pieces: int  # of a line

    @classmethod
    def of(cls, word: int) -> Descriptor:
        """From its bits."""
        start, leading, stride = (16 * (word >> at & 0x3FFF) for at in (0, 16, 32))
        return cls(start, leading, stride, 128 * (word >> 49 & 7), {0: 1, 1: 8, 2: 4, 3: 2}[word >> 62])

    def addresses(self, n_rows: int, element: int, by_mn: int) -> Array:
        """Of each element of ``element`` bytes, [n_rows, 32 / element]."""
        t, w, plain = _PIECE // element, self.n_pieces, self.n_pieces == 1
        far = n_rows
        if by_mn:
            lines = ((far, self.stride),) if plain else ((w, _PIECE), (far, self.leading))
            rows = ((t, element), *lines)
            columns = ((8, _PIECE * w), (far, self.leading if plain else self.stride))
        else:
            rows = ((8, _PIECE * w), (far, self.stride))
            columns = ((t, element), (2, self.leading if plain else _PIECE))
        return self._exchanged(
            self.start + _along(n_rows, rows)[:, None] + _along(_ROW_BYTES // element, columns)[None, :]
        )

    def _exchanged(self, address: Array) -> Array:
        piece, line = address // _PIECE % self.n_pieces, (address - self.base) // 128 % self.n_pieces
        return np.asarray(address + _PIECE * ((piece ^ line) - piece))


def _along(n: int, parts: tuple[tuple[int, int], ...]) -> Array:
    """Offsets of coordinates 0 to ``n`` - 1, taken apart by the sizes of ``parts``, each times its stride."""
    left, offset = np.arange(n), np.zeros(n, np.int64)
    for size, stride in parts:
        offset += left % size * stride
        left = left // size
    return offset


def _from_shared(
    machine: Machine, item: Instruction, operand: Operand, mask: Array, kind: str, by_mn: int, n_rows: int
) -> Array:
    """What each warp reads, [n_warps, n_rows, K]: of A its own 16 rows of the 64."""
    words = np.broadcast_to(machine.read(operand, "b64"), mask.shape).reshape(-1, LANES)[:, 0]
    element = {"f16": 2, "bf16": 2, "tf32": 4}.get(kind, 1)
    is_a = operand is item.operands[1]
    found = np.zeros((words.size, n_rows, _ROW_BYTES), np.uint8)
    for warp in np.flatnonzero(warps(mask).any(1)):
        at = Descriptor.of(int(words[warp])).addresses(64 if is_a else n_rows, element, by_mn)
        if is_a:
            at = at[16 * (warp % 4) : 16 * (warp % 4) + 16]
        every = (at[..., None] + np.arange(element)).reshape(n_rows, _ROW_BYTES)
        outside = every >= machine.shared.size
        if outside.any():
            machine.fault("bounds", item, int(warp) * LANES, int(every[outside].min()) // 16 * 16, 16)
        found[warp] = np.where(outside, 0, machine.shared[np.where(outside, 0, every)])
    return decoded(found, kind)


def decoded(octets: Array, kind: str) -> Array:
    """Elements of a type from their bytes, along the last axis."""
    if kind == "b1":
        return _bits(octets)
    if kind in ("e4m3", "e5m2"):
        return decode_fp8(octets, kind)
    if kind in ("s8", "u8"):
        return octets.view(np.int8 if kind == "s8" else np.uint8)
    if kind == "tf32":
        return (octets.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    return decode(octets.view(np.uint16), kind)


def _bits(octets: Array) -> Array:
    return np.unpackbits(np.ascontiguousarray(octets).astype(np.uint8), axis=-1, bitorder="little")
