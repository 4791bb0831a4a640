"""``mma.m8n8k4`` on halves: four products at once, each with the matrices of eight lanes.

Source: PTX ISA, "Matrix Fragments for mma.m8n8k4 with .f16 floating point type".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction, unsupported
from teachkit.emulator.oracle.tally import LANES, warps
from teachkit.emulator.oracle.values import Array, decode, encode
from teachkit.emulator.ptx.model import Group, Instruction, Operand

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

# An axis of two (lower or upper lanes) and axes of what a lane counts with, [half, lane of four, element]:
# where they go in a matrix [row, column]. Elements of f32 sums count as [column / 4, row / 2 % 2, column % 2].


@instruction("mma")
def multiply_by_quad_pairs(form: Form) -> Operation:
    for name in ("sync", "aligned", "m8n8k4"):
        form.one(name)
    a_layout, b_layout = form.one("row", "col"), form.one("row", "col")
    d_type = form.one("f16", "f32")
    if form.rest[:2] != ["f16", "f16"]:
        raise UnmatchedForm("not a product of halves")
    del form.rest[:2]
    c_type = form.one("f16", d_type)

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        if not warps(mask)[warps(mask).any(1)].all():
            raise unsupported(item, "a warp in which some lanes are off")
        d, a, b, c = item.operands
        left = _elements(machine, a, "f16")  # [warp, pair, half, lane, element]
        left = left if a_layout == "row" else left.swapaxes(3, 4)
        left = left.reshape(*left.shape[:2], 8, 4)
        right = _elements(machine, b, "f16")
        right = right if b_layout == "col" else right.swapaxes(3, 4)
        right = right.reshape(*right.shape[:2], 8, 4).swapaxes(2, 3)
        before = _elements(machine, c, c_type)
        if c_type == "f32":
            before = _turned(before)
        total = left.astype(np.float64) @ right.astype(np.float64) + before.reshape(*before.shape[:2], 8, 8)
        after = total.reshape(*total.shape[:2], 2, 4, 8)
        _write(machine, d, after if d_type == "f16" else _turned(after), d_type, mask)

    return Step(run, per_warp={"flop_tensor": 4 * 2 * 8 * 8 * 4})


def _turned(sums: Array) -> Array:
    """From [.., lane (column / 2 % 2, row % 2), element (column / 4, row / 2 % 2, column % 2)] to [.., row, column].

    The same exchange leads back.
    """
    parts = sums.reshape(*sums.shape[:3], 2, 2, 2, 2, 2)
    return np.asarray(parts.swapaxes(3, 6)).reshape(*sums.shape)


def _registers(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Group) else (operand,)


def _elements(machine: Machine, operand: Operand, kind: str) -> Array:
    """[n_warps, quad pair, lower or upper lanes, lane of four, element]."""
    words = [np.broadcast_to(machine.read(item, "b32"), machine.n_threads) for item in _registers(operand)]
    bits = np.ascontiguousarray(np.stack(words, axis=-1))
    values = bits.view(np.float16) if kind == "f16" else decode(bits, kind)
    return values.reshape(-1, 2, 4, 4, values.shape[-1]).swapaxes(1, 2)


def _write(machine: Machine, operand: Operand, values: Array, kind: str, mask: Array) -> None:
    lanes = values.swapaxes(1, 2).reshape(-1, 8)
    assert len(lanes) % LANES == 0
    for number, register in enumerate(_registers(operand)):
        if kind == "f16":
            pair = lanes[:, 2 * number : 2 * number + 2].astype(np.float16)
            machine.write(register, encode(pair, "f16x2"), "b32", mask)
        else:
            machine.write(register, lanes[:, number].astype(np.float32), "f32", mask)
