"""Matrix fragments: ``ldmatrix``, ``stmatrix``, ``movmatrix`` and ``mma.sync``.

A fragment is described by one rule. With E elements of the matrix in a 32-bit register (1 for f64), g = lane / 4
and t = lane % 4, element h of A's register r stands at row g + 8 (r % 2), column E t + h + 4 E (r / 2); of B's
at row E t + h + 4 E r, column g; element i of C at row g + 8 (i / 2), column 2 t + i % 2.
Source: PTX ISA, "Matrix Fragments for mma" of each shape.
Not modelled: 4-bit and 1-bit shapes, and the order in which tensor cores add. Sparse products are in sparse.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.fp8 import decode_fp8
from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction, unsupported
from teachkit.emulator.oracle.tally import LANES, warps
from teachkit.emulator.oracle.values import Array, decode, encode
from teachkit.emulator.ptx.model import Group, Instruction, Operand

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_ROWS = 8
_ROW_BYTES = 16
_INPUTS = {"f16": 16, "bf16": 16, "tf32": 32, "s8": 8, "u8": 8, "e4m3": 8, "e5m2": 8, "f64": 64}
_SHAPES = {
    "f16": ("m16n8k8", "m16n8k16"),
    "bf16": ("m16n8k8", "m16n8k16"),
    "tf32": ("m16n8k4", "m16n8k8"),
    "s8": ("m16n8k16", "m16n8k32"),
    "u8": ("m16n8k16", "m16n8k32"),
    "e4m3": ("m16n8k16", "m16n8k32"),
    "e5m2": ("m16n8k16", "m16n8k32"),
    "f64": ("m8n8k4", "m16n8k4", "m16n8k8", "m16n8k16"),
}


@instruction("ldmatrix")
def load_matrix(form: Form) -> Operation:
    """Lane 8 i + j gives the address of row j of matrix i; lane l gets elements 2 (l % 4), + 1 of row l / 4."""
    n, transposed = _matrices(form)

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        rows = _rows(machine, item, item.operands[1], n, mask, store=False)
        elements = rows.view(np.uint16)  # [n_warps, n, 8, 8]
        if transposed:
            elements = elements.transpose(0, 1, 3, 2)
        words = np.ascontiguousarray(elements).view(np.uint32).reshape(len(rows), n, LANES)
        for i, register in enumerate(_registers(item.operands[0])):
            machine.write(register, words[:, i].reshape(-1), "b32", mask)

    return Step(run)


@instruction("stmatrix")
def store_matrix(form: Form) -> Operation:
    n, transposed = _matrices(form)

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        values = [np.broadcast_to(machine.read(x, "b32"), mask.shape) for x in _registers(item.operands[1])]
        words = np.stack([warps(value) for value in values], axis=1)
        elements = np.ascontiguousarray(words).view(np.uint16).reshape(-1, n, _ROWS, _ROWS)
        if transposed:
            elements = np.ascontiguousarray(elements.transpose(0, 1, 3, 2))
        _rows(machine, item, item.operands[0], n, mask, store=True, octets=elements.view(np.uint8))

    return Step(run)


@instruction("movmatrix")
def transpose_matrix(form: Form) -> Operation:
    for name in ("sync", "aligned", "m8n8", "trans", "b16"):
        form.one(name)

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        words = np.ascontiguousarray(np.broadcast_to(machine.read(item.operands[1], "b32"), mask.shape))
        elements = words.view(np.uint16).reshape(-1, _ROWS, _ROWS).transpose(0, 2, 1)
        machine.write(item.operands[0], np.ascontiguousarray(elements).view(np.uint32).reshape(-1), "b32", mask)

    return Step(run)


def _matrices(form: Form) -> tuple[int, bool]:
    form.one("sync")
    form.one("aligned")
    form.one("m8n8")
    n = int(form.one("x1", "x2", "x4")[1:])
    transposed = form.flag("trans")
    form.maybe("shared", "shared::cta")
    form.one("b16")
    return n, transposed


def _registers(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Group) else (operand,)


def _rows(
    machine: Machine,
    item: Instruction,
    address: Operand,
    n: int,
    mask: Array,
    *,
    store: bool,
    octets: Array | None = None,
) -> Array:
    """Read or write the 8-row matrices, uint8 [n_warps, n, 8, 16]; each matrix is one phase of its 8 rows."""
    lane = np.arange(mask.size) % LANES
    gives_row = mask & (lane < _ROWS * n)
    rows = np.zeros((mask.size, _ROW_BYTES), np.uint8)
    if octets is not None:
        rows.reshape(-1, LANES, _ROW_BYTES)[:, : _ROWS * n] = octets.reshape(-1, _ROWS * n, _ROW_BYTES)
    for part in machine.access.parts(item, "shared", address, _ROW_BYTES, gives_row):
        machine.tally.wavefronts(item, part.offsets, part.lanes // _ROWS, _ROW_BYTES, store=store)
        if store:
            machine.access.put(part, rows[part.lanes])
        else:
            rows[part.lanes] = machine.access.fetch(part, _ROW_BYTES)
    return np.ascontiguousarray(rows.reshape(-1, LANES, _ROW_BYTES)[:, : _ROWS * n]).reshape(-1, n, _ROWS, _ROW_BYTES)


@instruction("mma")
def multiply_matrices(form: Form) -> Operation:
    """D = A B + C for every warp."""
    form.one("sync")
    form.one("aligned")
    shape = form.one(*{name for names in _SHAPES.values() for name in names})
    form.one("row")
    form.one("col")
    saturates = form.flag("satfinite")
    d_type = form.one("f16", "f32", "f64", "s32")
    a_type, b_type = form.one(*_INPUTS), form.one(*_INPUTS)
    c_type = form.one("f16", "f32", "f64", "s32")
    if shape not in _SHAPES[a_type] or _INPUTS[a_type] != _INPUTS[b_type]:
        raise UnmatchedForm(f"shape {shape} for .{a_type} and .{b_type}")
    m, n, k = (int(part) for part in shape[1:].replace("n", " ").replace("k", " ").split())

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        if not warps(mask)[warps(mask).any(1)].all():
            raise unsupported(item, "a warp in which some lanes are off")
        a = gather(machine, item.operands[1], a_type, m, k, place_a)
        b = gather(machine, item.operands[2], b_type, k, n, place_b)
        c = gather(machine, item.operands[3], c_type, m, n, place_c)
        exact = object if d_type == "s32" else np.float64
        d = a.astype(exact) @ b.astype(exact) + c.astype(exact)
        if d_type == "s32":
            limits = np.iinfo(np.int32)
            wrapped = (d + (1 << 31)) % (1 << 32) - (1 << 31)
            d = np.clip(d, limits.min, limits.max) if saturates else wrapped
        scatter(machine, item.operands[0], d, d_type, mask)

    return Step(run, per_warp={"flop_tensor": 2 * m * n * k})


def place_a(lane: Array, register: int, h: int, e: int) -> tuple[Array, Array]:
    return lane // 4 + 8 * (register % 2), e * (lane % 4) + h + 4 * e * (register // 2)


def place_b(lane: Array, register: int, h: int, e: int) -> tuple[Array, Array]:
    return e * (lane % 4) + h + 4 * e * register, lane // 4


def place_c(lane: Array, register: int, h: int, e: int) -> tuple[Array, Array]:
    i = register * e + h
    return lane // 4 + 8 * (i // 2), 2 * (lane % 4) + i % 2


def gather(machine: Machine, operand: Operand, kind: str, rows: int, cols: int, place) -> Array:  # type: ignore[no-untyped-def]
    """The matrix of each warp, [n_warps, rows, cols], from its lanes' registers."""
    lane = np.arange(LANES)
    matrix: Array | None = None
    for number, register in enumerate(_registers(operand)):
        elements = _elements(machine, register, kind)  # [n_warps, 32, e]
        if matrix is None:
            matrix = np.zeros((elements.shape[0], rows, cols), elements.dtype)
        for h in range(elements.shape[2]):
            row, col = place(lane, number, h, elements.shape[2])
            matrix[:, row, col] = elements[:, :, h]
    assert matrix is not None
    return matrix


def _elements(machine: Machine, register: Operand, kind: str) -> Array:
    bits = 64 if kind == "f64" else 32
    word = np.ascontiguousarray(np.broadcast_to(machine.read(register, f"b{bits}"), machine.n_threads))
    if kind in ("f16", "bf16"):
        values = decode(word, f"{kind}x2")
    elif kind in ("s8", "u8"):
        values = word.view(np.int8 if kind == "s8" else np.uint8).reshape(-1, 4)
    elif kind in ("e4m3", "e5m2"):
        values = decode_fp8(word.view(np.uint8).reshape(-1, 4), kind)
    elif kind == "tf32":
        values = (word & np.uint32(0xFFFFE000)).view(np.float32)[:, None]
    else:
        values = decode(word, kind)[:, None]
    return values.reshape(-1, LANES, values.shape[-1])


def scatter(machine: Machine, operand: Operand, matrix: Array, kind: str, mask: Array) -> None:
    lane = np.arange(LANES)
    e = 2 if kind == "f16" else 1
    dtype = {"f16": np.float16, "f32": np.float32, "f64": np.float64, "s32": np.int32}[kind]
    for number, register in enumerate(_registers(operand)):
        parts = [matrix[:, *place_c(lane, number, h, e)].reshape(-1).astype(dtype) for h in range(e)]
        if e == 2:
            machine.write(register, encode(np.stack(parts, axis=-1), "f16x2"), "b32", mask)
        else:
            machine.write(register, parts[0], kind, mask)
