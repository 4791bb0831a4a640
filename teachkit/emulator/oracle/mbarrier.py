"""Barriers in shared memory, lane after lane.

Not modelled: the sleep of ``try_wait``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.barrier_word import Barrier
from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction, space_of
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Instruction, Operand

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine


@instruction("mbarrier")
def mbarrier(form: Form) -> Operation:
    verb = form.one(
        "init", "inval", "arrive", "arrive_drop", "test_wait", "try_wait", "pending_count", "expect_tx", "complete_tx"
    )
    form.one("b64")
    if verb == "pending_count":
        return Step(_pending_count)
    space = space_of(form.maybe("shared", "shared::cta", "shared::cluster", default="generic"))
    if space == "cluster" and verb not in ("arrive", "arrive_drop", "expect_tx", "complete_tx"):
        raise UnmatchedForm("of another block")
    if verb in ("init", "inval"):
        return Step(_store(verb, space))
    form.maybe("release", "acquire", "relaxed")
    form.maybe("cta", "cluster")
    if verb in ("test_wait", "try_wait"):
        return Step(_wait(space, form.flag("parity")))
    expects = verb.startswith("arrive") and form.flag("expect_tx")
    form.flag("noComplete")
    has_state = verb.startswith("arrive")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        target = item.operands[0] if has_state else None
        address, *amounts = item.operands[1:] if has_state else item.operands
        one = np.ones(1, np.uint32)
        amount = np.broadcast_to(machine.read(amounts[0], "u32") if amounts else one, mask.shape)
        found = np.zeros(mask.shape, np.uint64)
        if expects:  # all lanes raise what is owed before the first one arrives
            _change(machine, item, space, address, mask, "expect_tx", amount)
            amount = np.ones(mask.shape, np.uint32)
        found = _change(machine, item, space, address, mask, verb, amount)
        if target is not None:
            machine.write(target, found, "b64", mask)

    return Step(run)


@instruction("cp")
def copy_arrives(form: Form) -> Operation:
    """Copies are there at once, so ``.noinc`` is an arrival, and one that was announced before changes nothing."""
    if not (form.flag("async") and form.flag("mbarrier") and form.flag("arrive")):
        raise UnmatchedForm("not cp.async.mbarrier.arrive")
    verb = "arrive" if form.flag("noinc") else "nothing"
    space = form.maybe("shared", "shared::cta", default="generic").partition("::")[0]
    form.one("b64")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        _change(machine, item, space, item.operands[0], mask, verb, np.ones(mask.shape, np.uint32))

    return Step(run)


def arrive(machine: Machine, item: Instruction, address: Operand, mask: Array) -> None:
    """One arrival a lane that the load and store unit does not see: nothing is counted."""
    for part in machine.access.parts(item, "shared", address, 8, mask):
        for i in range(part.lanes.size):
            one = part.only(i)
            barrier = Barrier.of(int(machine.access.fetch(one, 8).copy().view(np.uint64)[0, 0]))
            barrier.pending -= 1
            barrier.settle()
            machine.access.put(one, np.array([[barrier.word()]], np.uint64).view(np.uint8))


def _pending_count(machine: Machine, item: Instruction, mask: Array) -> None:
    state = machine.read(item.operands[1], "b64")
    machine.write(item.operands[0], (state & np.uint64(0xFFFFF)).astype(np.uint32), "b32", mask)


def _store(verb: str, space: str):  # type: ignore[no-untyped-def]
    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        word = np.full(mask.shape, (1 << 64) - 1, np.uint64)
        if verb == "init":
            count = np.broadcast_to(machine.read(item.operands[1], "u32"), mask.shape).astype(np.uint64)
            word = count | count << np.uint64(20)
        octets = np.ascontiguousarray(word).view(np.uint8).reshape(-1, 8)
        machine.access.store(item, space, item.operands[0], octets, mask)

    return run


def _wait(space: str, by_parity: bool):  # type: ignore[no-untyped-def]
    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        words = machine.access.load(item, space, item.operands[1], 8, mask).view(np.uint64)[:, 0]
        if by_parity:
            asked = machine.read(item.operands[2], "u32").astype(np.uint64) & np.uint64(1)
        else:
            asked = machine.read(item.operands[2], "b64") >> np.uint64(63)
        is_over = words >> np.uint64(63) != asked
        machine.write(item.operands[0], is_over, "pred", mask)
        if not is_over[mask].any():
            machine.is_turn_over = machine.is_in_vain = True

    return run


def _change(
    machine: Machine, item: Instruction, space: str, address: Operand, mask: Array, verb: str, amount: Array
) -> Array:
    """Let the lanes take their turns; the words that they found."""
    found = np.zeros(mask.size, np.uint64)
    for part in machine.access.parts(item, space, address, 8, mask):
        machine.tally.atomic_access(item, part.offsets, part.lanes, 8, is_global=part.space == "global")
        for i, lane in enumerate(part.lanes):
            one = part.only(i)
            found[lane] = machine.access.fetch(one, 8).copy().view(np.uint64)[0, 0]
            barrier, n = Barrier.of(int(found[lane])), int(amount[lane])
            if verb == "expect_tx":
                barrier.owed_bytes += n
            elif verb == "complete_tx":
                barrier.owed_bytes -= n
            elif verb != "nothing":
                barrier.pending -= n
                barrier.expected -= n if verb == "arrive_drop" else 0
            if verb not in ("expect_tx", "nothing"):
                barrier.settle()
            word = np.array([[barrier.word()]], np.uint64)
            machine.access.put(one, word.view(np.uint8))
    return found
