"""Loops in which a warp can only wait: they store nothing, so that a turn without a change will never bring one."""

from __future__ import annotations

from collections.abc import Iterator

from teachkit.emulator.engine.clusters import ASKS
from teachkit.emulator.engine.flow import Block, defined, registers_of, used
from teachkit.emulator.ptx.model import Immediate, Instruction, Register


def idle_loops(resume_points: list[Block], blocks: list[Block]) -> dict[int, Instruction]:
    """The resume points, by number, that head a loop which stores nothing: a warp there can only wait for others.

    A compare-and-swap or an exchange that goes round in vain changes nothing. Values are the first instruction of
    the loop whose source line is known, else its first.
    """
    found: dict[int, Instruction] = {}
    for number, _, inside in _loops(resume_points, blocks):
        instructions = [i for index in inside for i in blocks[index].instructions]
        if not any(_has_effect(i.opcode) for i in instructions):
            found[number] = next((i for i in instructions if i.source is not None), instructions[0])
    return found


def asking_loops(resume_points: list[Block], blocks: list[Block], idle: dict[int, Instruction]) -> list[int]:
    """Those idle loops in which a warp asks a barrier in shared memory. Nothing but an arrival ends them, whatever else
    they do in the meantime: libraries read the clock there, and sleep."""
    return [
        number
        for number, _, inside in _loops(resume_points, blocks)
        if number in idle
        and any(i.opcode.startswith("mbarrier.") for index in inside for i in blocks[index].instructions)
    ]


def cluster_waits(resume_points: list[Block]) -> list[int]:
    """The resume points, by number, where a warp waits at the barrier of its cluster."""
    return [
        number
        for number, header in enumerate(resume_points, start=1)
        if header.instructions and header.instructions[0].opcode == ASKS
    ]


def closed_loops(resume_points: list[Block], blocks: list[Block]) -> dict[int, Instruction]:
    """The resume points, by number, in loops that no other block notices: they store in shared memory only, if at all.

    The turns of one warp may change something there, but a block that comes back with the same registers and the same
    shared memory will do so for ever, unless others store. Triton's locks are such loops: one thread tries, and tells
    the others through shared memory; to add zero is how they read. A swap for a value that differs from turn to turn
    may get on, so its loop is not one of them. Values are those of ``idle_loops``.
    """
    numbers = {point.index: number for number, point in enumerate(resume_points, start=1)}
    found: dict[int, Instruction] = {}
    zeros = _zeros(blocks)
    for _, _, inside in _loops(resume_points, blocks):
        instructions = [i for index in inside for i in blocks[index].instructions]
        if not any(_is_noticed(i, instructions, zeros) for i in instructions):
            first = next((i for i in instructions if i.source is not None), instructions[0])
            found |= {numbers[index]: first for index in inside if index in numbers}
    return found


IDLE = 1 << 30  # with the number of a header: its loop stores nothing


def looks_around(resume_points: list[Block], blocks: list[Block]) -> bool:
    """Whether a loop looks at what other threads do: it may have to wait for another block."""
    return any(
        _looks(i.opcode)
        for _, _, inside in _loops(resume_points, blocks)
        for index in inside
        for i in blocks[index].instructions
    )


def waits(resume_points: list[Block], blocks: list[Block]) -> list[int]:
    """For each resume point, from number 1 on, what ``runtime/parking.ll`` has to know of the loop that it heads.

    Zero where nothing in the loop looks at what other threads do: no atomic operation, no volatile or
    ordered load, no barrier in shared memory.
    """
    idle = idle_loops(resume_points, blocks)
    found = [0] * (len(resume_points) + 2)
    for number, header, inside in _loops(resume_points, blocks):
        if any(_looks(i.opcode) for index in inside for i in blocks[index].instructions):
            found[number] = (header.index + 1) | (IDLE if number in idle else 0)
    return found if any(found) else []


def _looks(opcode: str) -> bool:
    parts = opcode.split(".")
    return (
        parts[0] in ("atom", "red", "mbarrier")
        or opcode == ASKS
        or (parts[0] == "ld" and not {"volatile", "relaxed", "acquire", "mmio"}.isdisjoint(parts))
    )


def _loops(resume_points: list[Block], blocks: list[Block]) -> Iterator[tuple[int, Block, list[int]]]:
    """The resume points that head loops, with their numbers, and the blocks of each loop."""
    before: dict[int, list[int]] = {block.index: [] for block in blocks}
    for block in blocks:
        for successor in block.successors:
            before[successor].append(block.index)
    for number, header in enumerate(resume_points, start=1):
        if header.is_loop_header:
            yield number, header, _reaching(before, header.index)


def _reaching(before: dict[int, list[int]], header: int) -> list[int]:
    """Blocks of the loop with this header: those between it and the jumps back to it."""
    ends = [index for index in before[header] if index >= header]
    inside = {header, *ends}
    open_ends = [index for index in ends if index != header]
    while open_ends:
        for index in before[open_ends.pop()]:
            if index not in inside:
                inside.add(index)
                open_ends.append(index)
    return sorted(inside)


def _has_effect(opcode: str) -> bool:
    parts = opcode.split(".")
    if parts[0] == "atom":
        return not {"cas", "exch"} & set(parts)
    if parts[0] == "mbarrier":
        return not {"test_wait", "try_wait", "pending_count"} & set(parts)
    return parts[0] in ("st", "red", "call", "cp", "stmatrix", "tensormap", "tcgen05", "bar", "barrier")


def _is_noticed(instruction: Instruction, loop: list[Instruction], zeros: set[str]) -> bool:
    opcode = instruction.opcode
    parts = opcode.split(".")
    if parts[0] == "atom" and "add" in parts:
        added = instruction.operands[2]
        return added != Immediate(0) and not (isinstance(added, Register) and added.name in zeros)
    if parts[0] == "atom" and not _has_effect(opcode):
        new = instruction.operands[3 if "cas" in parts else 2]
        return not _steady(loop).issuperset(registers_of(new))
    if (parts[0] in ("bar", "barrier") and "cluster" not in parts) or (
        parts[0] == "st" and {"shared", "shared::cta"} & set(parts)
    ):
        return False
    return _has_effect(opcode)


def _zeros(blocks: list[Block]) -> set[str]:
    """Registers that hold nothing but the constant 0."""
    zeros, others = set[str](), set[str]()
    for block in blocks:
        for instruction in block.instructions:
            is_zero = instruction.opcode.startswith("mov.") and instruction.operands[-1] == Immediate(0)
            (zeros if is_zero else others).update(defined(instruction))
    return zeros - others


_OF_OPERANDS = frozenset("mov cvt cvta add sub mul mad and or xor not neg shl shr setp selp".split())


def _steady(loop: list[Instruction]) -> set[str]:
    """Registers that hold the same in each turn of a loop: made before it, or of nothing but constants and those."""
    made: dict[str, list[Instruction]] = {}
    for instruction in loop:
        for name in defined(instruction):
            made.setdefault(name, []).append(instruction)
    read = {name for instruction in loop for name in used(instruction)}
    steady = {name for name in read if name not in made and not name.startswith(("%clock", "%globaltimer"))}
    while more := {
        name
        for name, makers in made.items()
        if name not in steady
        and all(m.opcode.split(".")[0] in _OF_OPERANDS and steady.issuperset(used(m)) for m in makers)
    }:
        steady |= more
    return steady
