"""Branches, calls, ends and barriers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.printf import assert_failed, vprintf
from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction, unsupported
from teachkit.emulator.oracle.tally import LANES, warps
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Group, Instruction, Register, Symbol

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_REDUCTIONS = {"popc": "u32", "and": "pred", "or": "pred"}


@instruction("bra")
def branch(form: Form) -> Operation:
    form.flag("uni")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        machine.next[mask] = machine.code.targets[0]

    return Step(run)


@instruction("brx")
def branch_by_index(form: Form) -> Operation:
    form.one("idx")
    form.flag("uni")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        index = np.broadcast_to(machine.read(item.operands[0], "u32"), mask.shape)
        machine.next[mask] = np.array(machine.code.targets)[index[mask]]

    return Step(run)


@instruction("ret", "exit")
def leave(form: Form) -> Operation:
    """``ret`` of a called function goes on behind the call; from a kernel it ends the thread."""
    form.flag("uni")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        targets = machine.code.targets
        if machine.code.ends and form.base == "ret":
            machine.activations.leave(mask)
            return
        machine.next[mask] = targets[0] if targets else np.iinfo(np.int64).max

    return Step(run)


@instruction("trap", "brkpt")
def trap(form: Form) -> Operation:
    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        machine.fault("breakpoint" if form.base == "brkpt" else "trap", item, int(np.flatnonzero(mask)[0]))
        machine.next[mask] = np.iinfo(np.int64).max

    return Step(run)


@instruction("call")
def call(form: Form) -> Operation:
    form.flag("uni")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        operands = [operand for operand in item.operands if not isinstance(operand, Group)]
        target = operands[0]
        if isinstance(target, Symbol):
            if machine.code.push is not None:
                machine.activations.call(item, machine.code.push, mask)
                return
            if not machine.code.callees:
                {"vprintf": vprintf, "__assertfail": assert_failed}[target.name](machine, item, mask)
                return
            machine.next[mask] = machine.code.targets[0]
            return
        assert isinstance(target, Register)
        addresses = machine.read(target, "u64")
        for address in np.unique(addresses[mask]):
            name = machine.launch.layout.function_at(int(address), machine.launch.module)
            if name not in machine.code.callees:
                raise unsupported(item, f"a call of address {int(address):#x}, which is no function of that type")
            machine.next[mask & (addresses == address)] = machine.code.callees[name]

    return Step(run)


@instruction("bar", "barrier")
def barrier(form: Form) -> Operation:
    if "cluster" in form.rest:
        raise UnmatchedForm("a barrier of the cluster")
    form.flag("cta")
    action = form.one("sync", "arrive", "red", "warp")
    form.flag("aligned")
    if action == "warp":
        form.one("sync")
        return Step(lambda machine, item, mask: None)
    reduction = form.one(*_REDUCTIONS) if action == "red" else ""
    if reduction:
        form.one(_REDUCTIONS[reduction])

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        operands = list(item.operands)
        target = operands.pop(0) if reduction else None
        predicate = operands.pop() if reduction else None
        numbers = [int(np.broadcast_to(machine.read(o, "u32"), mask.shape)[mask][0]) for o in operands]
        number, n_expected = (*numbers, 0, 0)[:2]
        machine.barrier_sizes[number] = n_expected
        if action == "arrive":
            machine.arrived[number] = machine.arrived.get(number, 0) + LANES * int(warps(mask).any(1).sum())
        else:
            machine.barrier[mask] = number
            machine.is_turn_over = True
        if target is not None and predicate is not None:
            machine.reductions[number] = (reduction, target, predicate)
        machine.release(number)

    return Step(run, per_warp={"barriers": 1})
