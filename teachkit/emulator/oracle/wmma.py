"""``wmma``: where each element of a matrix lies in a warp's registers, and whole-matrix products.

Element (i, j) of A, with E elements in a register, is in lane 4 (i % 8) + (j / E) % 4, at place j % E of the register
of its tile; tiles are 8 rows by 4 E columns, ordered down 16 rows, then to the right. B is the mirror image: (j, i),
down first. C has tiles of 8 by 8 with two neighbours of a row in a lane, ordered down 16 rows, then to the right.
The layout is this emulator's: PTX leaves it open. Not modelled: the order in which tensor cores add.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction
from teachkit.emulator.oracle.tally import LANES
from teachkit.emulator.oracle.values import Array, encode, width
from teachkit.emulator.oracle.values import decode as decode_bits
from teachkit.emulator.ptx.model import Group, Instruction, Operand

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_LARGE = ("m16n16k16", "m8n32k16", "m32n8k16")
_SHAPES = {
    **dict.fromkeys(("f16", "bf16", "s8", "u8"), _LARGE),
    "tf32": ("m16n16k8",),
    "f64": ("m8n8k4",),
    **dict.fromkeys(("s4", "u4"), ("m8n8k32",)),
    "b1": ("m8n8k128",),
}
_RESULT_SHAPES = {
    "f16": _LARGE,
    "f32": (*_LARGE, "m16n16k8"),
    "s32": (*_LARGE, "m8n8k32", "m8n8k128"),
    "f64": ("m8n8k4",),
}
_BITS = {
    "f16": 16,
    "bf16": 16,
    "s8": 8,
    "u8": 8,
    "tf32": 32,
    "f64": 64,
    "s4": 4,
    "u4": 4,
    "b1": 1,
    "f32": 32,
    "s32": 32,
}
_ALL_SHAPES = sorted({shape for shapes in (*_SHAPES.values(), *_RESULT_SHAPES.values()) for shape in shapes})


def _place(matrix: str, rows: int, cols: int, kind: str) -> tuple[Array, Array, Array]:
    """(lane, register, place in the register) of each element, [rows, cols]."""
    i, j = np.mgrid[:rows, :cols]
    per_register = 2 if kind == "f16" else 1
    per_lane = 2 if matrix == "c" else max(1, 32 // _BITS[kind])
    per_register = per_register if matrix == "c" else per_lane
    halves = 2 if rows > 8 else 1
    n_across = cols // (4 * per_lane)
    tile = (i // 16 * n_across + j // (4 * per_lane)) * halves + i // 8 % halves
    element = tile * per_lane + j % per_lane
    return 4 * (i % 8) + j // per_lane % 4, element // per_register, element % per_register


def _order_b(rows: int, cols: int, kind: str) -> tuple[Array, Array, Array]:
    """B's tiles stand down first: those of 8 columns after all rows of the 8 columns before."""
    per_lane = max(1, 32 // _BITS[kind])
    i, j = np.mgrid[:rows, :cols]
    tile = j // 8 * (rows // (4 * per_lane)) + i // (4 * per_lane)
    return 4 * (j % 8) + i // per_lane % 4, tile, i % per_lane


def _where(matrix: str, rows: int, cols: int, kind: str) -> tuple[Array, Array, Array]:
    return _order_b(rows, cols, kind) if matrix == "b" else _place(matrix, rows, cols, kind)


def _extent(matrix: str, shape: str) -> tuple[int, int]:
    m, n, k = (int(size) for size in re.split("[mnk]", shape)[1:])
    return {"a": (m, k), "b": (k, n), "c": (m, n)}[matrix]


@instruction("wmma")
def whole_matrix(form: Form) -> Operation:
    action = form.one("load", "store", "mma")
    if action == "mma":
        return _multiply(form)
    matrix = form.one("a", "b", "c") if action == "load" else form.one("d").replace("d", "c")
    form.one("sync")
    form.one("aligned")
    layout = form.one("row", "col")
    shape = form.one(*_ALL_SHAPES)
    space = form.maybe("global", "shared", "shared::cta", default="generic").partition("::")[0]
    kind = form.one(*_BITS)
    if shape not in (_RESULT_SHAPES if matrix == "c" else _SHAPES).get(kind, ()):
        raise UnmatchedForm(f"shape {shape} for .{kind}")
    if _BITS[kind] < 8 and (matrix, layout) not in (("a", "row"), ("b", "col")):
        raise UnmatchedForm(f".{layout} for .{kind}")
    moving = _Moving(matrix, layout, shape, space, kind)
    return Step(moving.load if action == "load" else moving.store)


class _Moving:
    """A load or a store: which bytes of memory each lane moves, access by access."""

    def __init__(self, matrix: str, layout: str, shape: str, space: str, kind: str) -> None:
        self.kind, self.space = kind, space
        self.rows, self.cols = _extent(matrix, shape)
        self.is_row = layout == "row"
        lane, register, inside = _where(matrix, self.rows, self.cols, kind)
        self.is_run = self.is_row == (matrix != "b")
        self.n_run = (2 if matrix == "c" else max(1, 32 // _BITS[kind])) if self.is_run else 1
        self.per_register = int(inside.max()) + 1
        # Elements of each lane in the order of its registers: [n elements, 32] rows and columns.
        order = np.lexsort((inside.ravel(), register.ravel(), lane.ravel()))
        self.row = (order // self.cols).reshape(LANES, -1).T
        self.col = (order % self.cols).reshape(LANES, -1).T

    def _accesses(self, machine: Machine, operands: tuple[Operand, ...]) -> list[tuple[int, Array]]:
        """(bytes, shift of each thread from the operand's address)."""
        if operands:
            stride = np.broadcast_to(machine.read(operands[0], "u32"), machine.n_threads).astype(np.int64)
        else:
            stride = np.full(machine.n_threads, self.cols if self.is_row else self.rows, np.int64)
        lane = np.arange(machine.n_threads) % LANES
        major, minor = (self.row, self.col) if self.is_row else (self.col, self.row)
        bits = _BITS[self.kind]
        return [
            (self.n_run * bits // 8, (stride * major[e, lane] + minor[e, lane]) * bits // 8)
            for e in range(0, len(self.row), self.n_run)
        ]

    def load(self, machine: Machine, item: Instruction, mask: Array) -> None:
        """Registers from memory; a fragment with more registers than that repeats them."""
        target, source, *rest = item.operands
        octets = [
            machine.access.load(item, self.space, source, n_bytes, mask, shift)
            for n_bytes, shift in self._accesses(machine, tuple(rest))
        ]
        size = 8 if self.kind == "f64" else 4
        words = np.concatenate(octets, axis=1).view(f"u{size}")
        for number, register in enumerate(_items(target)):
            machine.write(register, words[:, number % words.shape[1]].copy(), f"b{8 * size}", mask)

    def store(self, machine: Machine, item: Instruction, mask: Array) -> None:
        """Memory from registers."""
        target, source, *rest = item.operands
        kind = "b64" if self.kind == "f64" else "b32"
        words = [np.broadcast_to(machine.read(register, kind), mask.shape) for register in _items(source)]
        octets = np.ascontiguousarray(np.stack(words, axis=1)).view(np.uint8)
        at = 0
        for n_bytes, shift in self._accesses(machine, tuple(rest)):
            machine.access.store(item, self.space, target, octets[:, at : at + n_bytes].copy(), mask, shift)
            at += n_bytes


def _multiply(form: Form) -> Operation:
    operation = form.maybe("xor", "and")
    if operation:
        form.one("popc")
    form.one("sync")
    form.one("aligned")
    form.one("row", "col")
    form.maybe("row", "col")
    shape = form.one(*_ALL_SHAPES)
    saturates, _ = form.flag("satfinite"), form.flag("rn")
    types = [form.one(*_BITS)]
    while any(part in _BITS for part in form.rest):
        types.append(form.one(*_BITS))
    d_type, a_type, b_type, c_type = types if len(types) == 4 else (types[0], "f16", "f16", types[-1])
    if shape not in _SHAPES[a_type] or _BITS[a_type] != _BITS[b_type] or (a_type == "b1") != bool(operation):
        raise UnmatchedForm(f"shape {shape} for .{a_type} and .{b_type}")
    m, n, k = (int(size) for size in re.split("[mnk]", shape)[1:])

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        a = _gather(machine, item.operands[1], "a", shape, a_type)
        b = _gather(machine, item.operands[2], "b", shape, b_type)
        c = _gather(machine, item.operands[3], "c", shape, c_type)
        exact = object if d_type == "s32" else np.float64
        if operation:
            combine = np.logical_xor if operation == "xor" else np.logical_and
            product = combine(a[:, :, :, None], b[:, None, :, :]).sum(2).astype(object)
        else:
            product = a.astype(exact) @ b.astype(exact)
        d = product + c.astype(exact)
        if d_type == "s32":
            limits = np.iinfo(np.int32)
            d = np.clip(d, limits.min, limits.max) if saturates else (d + (1 << 31)) % (1 << 32) - (1 << 31)
        _scatter(machine, item.operands[0], d, shape, d_type, mask)

    return Step(run, per_warp={"flop_tensor": 2 * m * n * k})


def _items(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Group) else (operand,)


def _gather(machine: Machine, operand: Operand, matrix: str, shape: str, kind: str) -> Array:
    """The matrix of each warp, [n_warps, rows, cols]."""
    bits = _BITS[kind]
    word = "b64" if kind == "f64" else "b32"
    registers = [np.broadcast_to(machine.read(x, word), machine.n_threads).reshape(-1, LANES) for x in _items(operand)]
    lane, register, inside = _where(matrix, *_extent(matrix, shape), kind)
    words = np.stack(registers, axis=-1)[:, lane, register]
    fields = (words >> (inside * bits).astype(words.dtype)) & words.dtype.type((1 << bits) - 1)
    if kind in ("u4", "b1"):
        return np.asarray(fields)
    if kind == "s4":
        return np.asarray((fields.astype(np.int64) ^ 8) - 8)
    if kind == "tf32":
        return np.asarray((fields & np.uint32(0xFFFFE000)).view(np.float32))
    unsigned = np.ascontiguousarray(fields.astype(f"u{width(kind) // 8}"))
    return decode_bits(unsigned, kind)


def _scatter(machine: Machine, operand: Operand, matrix: Array, shape: str, kind: str, mask: Array) -> None:
    dtype = {"f16": np.float16, "f32": np.float32, "f64": np.float64, "s32": np.int32}[kind]
    bits = encode(matrix.astype(dtype), kind)
    lane, register, inside = _where("c", *_extent("c", shape), kind)
    for number, target in enumerate(_items(operand)):
        words = np.zeros((len(bits), LANES), np.uint64)
        here = register == number
        for place in np.unique(inside[here]):
            chosen = here & (inside == place)
            words[:, lane[chosen]] |= bits[:, chosen].astype(np.uint64) << np.uint64(_BITS[kind] * int(place))
        size = 64 if kind == "f64" else 32
        machine.write(target, words.reshape(-1).astype(f"u{size // 8}"), f"b{size}", mask)
