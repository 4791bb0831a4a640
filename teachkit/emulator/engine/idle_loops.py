"""Loops in which a warp can only wait: they store nothing, so that a turn without a change will never bring one."""

from __future__ import annotations

from teachkit.emulator.engine.flow import Block
from teachkit.emulator.ptx.model import Instruction


def idle_loops(resume_points: list[Block], blocks: list[Block]) -> dict[int, Instruction]:
    """The resume points, by number, that head a loop which stores nothing: a warp there can only wait for others.

    A compare-and-swap or an exchange that goes round in vain changes nothing. Values are the first instruction of
    the loop whose source line is known, else its first.
    """
    found: dict[int, Instruction] = {}
    for number, header in enumerate(resume_points, start=1):
        if header.is_loop_header:
            inside = _reaching(blocks, header.index)
            instructions = [i for index in inside for i in blocks[index].instructions]
            if not any(_has_effect(i.opcode) for i in instructions):
                found[number] = next((i for i in instructions if i.source is not None), instructions[0])
    return found


def asking_loops(resume_points: list[Block], blocks: list[Block], idle: dict[int, Instruction]) -> list[int]:
    """Those idle loops in which a warp asks a barrier in shared memory. Nothing but an arrival ends them, whatever else
    they do in the meantime: libraries read the clock there, and sleep."""
    return [
        number
        for number in idle
        for inside in [_reaching(blocks, resume_points[number - 1].index)]
        if any(i.opcode.startswith("mbarrier.") for index in inside for i in blocks[index].instructions)
    ]


IDLE = 1 << 30  # with the number of a header: its loop stores nothing


def waits(resume_points: list[Block], blocks: list[Block]) -> list[int]:
    """For each resume point, from number 1 on, what ``runtime/parking.ll`` has to know of the loop that it heads.

    Zero where nothing in the loop looks at what other threads do: no atomic operation, no volatile or
    ordered load, no barrier in shared memory.
    """
    idle = idle_loops(resume_points, blocks)
    found = [0]
    for number, header in enumerate(resume_points, start=1):
        inside = _reaching(blocks, header.index) if header.is_loop_header else []
        looks = any(_looks(i.opcode) for index in inside for i in blocks[index].instructions)
        found.append((header.index + 1) | (IDLE if number in idle else 0) if looks else 0)
    return [*found, 0] if any(found) else []


def _looks(opcode: str) -> bool:
    parts = opcode.split(".")
    return parts[0] in ("atom", "red", "mbarrier") or (
        parts[0] == "ld" and not {"volatile", "relaxed", "acquire", "mmio"}.isdisjoint(parts)
    )


def _reaching(blocks: list[Block], header: int) -> list[int]:
    """Blocks of the loop with this header: those between it and the jumps back to it."""
    ends = [block.index for block in blocks if header in block.successors and block.index >= header]
    inside = {header, *ends}
    before: dict[int, list[int]] = {block.index: [] for block in blocks}
    for block in blocks:
        for successor in block.successors:
            before[successor].append(block.index)
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
    return parts[0] in ("st", "red", "call", "cp", "stmatrix", "bar", "barrier")
