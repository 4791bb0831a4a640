"""Moves, packing and unpacking, and addresses of variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.memory_map import LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BYTES
from teachkit.emulator.oracle.table import Form, Operation, Step, instruction, unsupported
from teachkit.emulator.oracle.values import UINT, Array, raw, width
from teachkit.emulator.ptx.model import Group, Instruction

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_TYPES = ("pred", *(f"{kind}{bits}" for kind in "bus" for bits in (16, 32, 64)), "f32", "f64", "b128")
_WINDOWS = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW}


@instruction("mov")
def move(form: Form) -> Operation:
    kind = form.one(*_TYPES)

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        target, source = item.operands
        if kind == "b128":
            _move_parts(machine, item, mask)
        elif isinstance(source, Group):
            _pack(machine, item, kind, mask)
        elif isinstance(target, Group):
            _unpack(machine, item, kind, mask)
        else:
            machine.write(target, machine.read(source, raw(kind)), raw(kind), mask)

    return Step(run)


def _pack(machine: Machine, item: Instruction, kind: str, mask: Array) -> None:
    target, source = item.operands
    assert isinstance(source, Group)
    part = f"b{width(kind) // len(source.items)}"
    total = np.zeros(mask.shape, np.uint64)
    for i, operand in enumerate(source.items):
        total |= machine.read(operand, part).astype(np.uint64) << np.uint64(i * width(part))
    machine.write(target, total.astype(UINT[width(kind)]), raw(kind), mask)


def _move_parts(machine: Machine, item: Instruction, mask: Array) -> None:
    """128 bits in two or four registers on either side: by way of their 16 bytes."""
    target, source = item.operands
    if not (isinstance(target, Group) and isinstance(source, Group)):
        raise unsupported(item, "128 bits that are no registers")
    size = 16 // len(source.items)
    octets = np.zeros((mask.size, 16), np.uint8)
    for i, operand in enumerate(source.items):
        values = np.broadcast_to(machine.read(operand, f"b{8 * size}"), mask.size)
        octets[:, i * size : (i + 1) * size] = np.ascontiguousarray(values).view(np.uint8).reshape(mask.size, size)
    size = 16 // len(target.items)
    for i, operand in enumerate(target.items):
        part = np.ascontiguousarray(octets[:, i * size : (i + 1) * size])
        machine.write(operand, part.view(f"u{size}")[:, 0], f"b{8 * size}", mask)


def _unpack(machine: Machine, item: Instruction, kind: str, mask: Array) -> None:
    target, source = item.operands
    assert isinstance(target, Group)
    part = width(kind) // len(target.items)
    value = machine.read(source, raw(kind)).copy()
    for i, operand in enumerate(target.items):
        piece = (value >> value.dtype.type(i * part)).astype(UINT[part])
        machine.write(operand, piece, f"b{part}", mask)


@instruction("cvta")
def convert_address(form: Form) -> Operation:
    """Between a state space and the generic window; global, const and kernel parameters are generic already."""
    to_space = form.flag("to")
    space = form.one(
        "global", "const", "param", "param::entry", "shared", "shared::cta", "shared::cluster", "local"
    ).partition("::")[0]
    kind = form.one("u64", "u32")
    offset = np.uint64(_WINDOWS.get(space, 0))

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        address = machine.read(item.operands[1], kind).astype(np.uint64)
        result = address - offset if to_space else address + offset
        machine.write(item.operands[0], result.astype(UINT[width(kind)]), kind, mask)

    return Step(run)


@instruction("isspacep")
def is_in_space(form: Form) -> Operation:
    spaces = ("global", "const", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry")
    space, own = form.one(*spaces), np.uint64(1 << 24)
    is_own, space = space in ("shared", "shared::cta"), space.partition("::")[0]

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        address = machine.read(item.operands[1], "u64")
        inside = np.zeros(address.shape, bool)
        for window in _WINDOWS.values():
            inside |= (address >= window) & (address < window + WINDOW_BYTES)
        if space in _WINDOWS:
            start = _WINDOWS[space]
            inside = (address >= start) & (address < start + WINDOW_BYTES)
            if is_own:
                block = (address - start) // own
                inside &= (block == 0) | (block == 1 + machine.rank)
        else:
            inside = ~inside & machine.memory.is_in(address, space)
        machine.write(item.operands[0], inside, "pred", mask)

    return Step(run)
