"""Control flow of a kernel: basic blocks, their order, loops, and which registers live where.

Blocks are ordered so that loops are contiguous and a block comes after everything that leads to it, back
edges aside. The engine runs divergent warps in that order, which is where their lanes meet again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from teachkit.emulator.engine.inline import called
from teachkit.emulator.engine.order import execution_order
from teachkit.emulator.ptx.model import (
    Address,
    Function,
    Group,
    Instruction,
    Label,
    Negated,
    Operand,
    PredicatePair,
    Register,
    Symbol,
)

_NO_DESTINATION = frozenset(
    "st red bra brx bar barrier ret exit trap membar fence prefetch prefetchu cp nanosleep pmevent brkpt discard "
    "stmatrix griddepcontrol setmaxnreg".split()
)


@dataclasses.dataclass(slots=True)
class Block:
    """A straight run of instructions. ``successors`` are block numbers: the branch target first, if any."""

    index: int
    instructions: list[Instruction]
    successors: list[int] = dataclasses.field(default_factory=list)
    is_loop_header: bool = False
    after_barrier: Instruction | None = None  # the one that it follows
    live_in: frozenset[str] = frozenset()

    @property
    def is_resume_point(self) -> bool:
        """Whether a suspended warp can go on at the start of this block."""
        return self.is_loop_header or self.after_barrier is not None


def is_barrier(instruction: Instruction) -> bool:
    """Whether the instruction waits for other warps."""
    """Whether the warp waits there. One that only arrives goes on; lanes of a warp always run in step."""
    first, *parts = instruction.opcode.split(".")
    return first in ("bar", "barrier") and ("sync" in parts or "red" in parts) and "warp" not in parts


def base(instruction: Instruction) -> str:
    """The mnemonic: ``ld`` of ``ld.global.b32``."""
    return instruction.opcode.partition(".")[0]


def leaves(instruction: Instruction) -> bool:
    """Whether the lanes that run it are done. The ``ret`` of a device function names where the caller goes on."""
    return (base(instruction) in ("ret", "exit", "trap") and not instruction.operands) or fails(instruction)


def fails(instruction: Instruction) -> bool:
    """Whether it is the call that reports a failed assertion, which does not come back."""
    return base(instruction) == "call" and called(instruction) == "__assertfail"


def dispatches(instruction: Instruction) -> bool:
    """Whether it goes on at one of many places: a branch table, or a call through a pointer."""
    is_pointer_call = base(instruction) == "call" and not called(instruction)
    return base(instruction) == "brx" or is_pointer_call


def table_of(instruction: Instruction) -> str:
    """Name of the list of targets of an instruction that :func:`dispatches`."""
    table = instruction.operands[-1]
    assert isinstance(table, Symbol)
    return table.name


def ends_block(instruction: Instruction) -> bool:
    """Whether the instruction is the last of its block."""
    jumps = base(instruction) in ("bra", "ret", "exit", "trap") or dispatches(instruction)
    return jumps or is_barrier(instruction) or fails(instruction)


def registers_of(operand: Operand) -> Iterator[str]:
    """The registers that an operand names, special registers included."""
    if isinstance(operand, Register):
        yield operand.name
    elif isinstance(operand, Address):
        yield from registers_of(operand.base)
    elif isinstance(operand, Group):
        for item in operand.items:
            yield from registers_of(item)
    elif isinstance(operand, PredicatePair):
        yield operand.first.name
        yield operand.second.name
    elif isinstance(operand, Negated):
        yield operand.register.name


def defined(instruction: Instruction) -> list[str]:
    """Registers that the instruction writes."""
    if is_barrier(instruction) and ".red" in instruction.opcode:
        return list(registers_of(instruction.operands[0]))
    if base(instruction) in _NO_DESTINATION or not instruction.operands:
        return []
    if base(instruction) == "call":
        first = instruction.operands[0]
        return list(registers_of(first)) if isinstance(first, Group) and len(instruction.operands) > 1 else []
    first = instruction.operands[0]
    return [] if isinstance(first, Address) else list(registers_of(first))


def used(instruction: Instruction) -> list[str]:
    """Registers that the instruction reads. A guarded write also reads what it may leave unchanged."""
    skip = 0 if not defined(instruction) else 1
    names = [name for operand in instruction.operands[skip:] for name in registers_of(operand)]
    if instruction.guard is not None:
        names.append(instruction.guard.register.name)
        names.extend(defined(instruction))
    return names


def build(function: Function) -> list[Block]:
    """Basic blocks of ``function`` in execution order, unreachable ones dropped, liveness filled in."""
    raw, labels = _split(function)
    _connect(raw, labels, function)
    order = execution_order([block.successors for block in raw])
    position = {old: new for new, old in enumerate(order)}
    blocks = [raw[old] for old in order]
    for block in blocks:
        block.index = position[block.index]
        block.successors = [position[s] for s in block.successors]
    for block in blocks:
        for successor in block.successors:
            if successor <= block.index:
                blocks[successor].is_loop_header = True
    _liveness(blocks, frozenset(function.registers))
    return blocks


def _split(function: Function) -> tuple[list[Block], dict[str, int]]:
    blocks = [Block(0, [])]
    labels: dict[str, int] = {}
    fresh = True
    for item in function.body:
        if isinstance(item, Label):
            if not fresh:
                blocks.append(Block(len(blocks), []))
                fresh = True
            labels[item.name] = len(blocks) - 1
            continue
        blocks[-1].instructions.append(item)
        fresh = False
        if ends_block(item):
            after_barrier = item if is_barrier(item) else None
            blocks.append(Block(len(blocks), [], after_barrier=after_barrier))
            fresh = True
    return blocks, labels


def _connect(blocks: list[Block], labels: dict[str, int], function: Function) -> None:
    for block in blocks:
        following = [block.index + 1] if block.index + 1 < len(blocks) else []
        last = block.instructions[-1] if block.instructions else None
        kind = base(last) if last is not None else ""
        if last is not None and (kind == "bra" or (kind == "ret" and last.operands)):
            (target,) = (operand for operand in last.operands if isinstance(operand, Symbol))
            block.successors = [labels[target.name]] + (following if last.guard is not None else [])
        elif last is not None and dispatches(last):
            block.successors = [labels[name] for name in function.branch_targets[table_of(last)]]
        elif last is not None and leaves(last):
            block.successors = following if last.guard is not None else []
        else:
            block.successors = following


def _liveness(blocks: list[Block], registers: frozenset[str]) -> None:
    generate: list[frozenset[str]] = []
    kill: list[frozenset[str]] = []
    for block in blocks:
        read: set[str] = set()
        written: set[str] = set()
        for instruction in block.instructions:
            read.update(name for name in used(instruction) if name in registers and name not in written)
            if instruction.guard is None:
                written.update(defined(instruction))
        generate.append(frozenset(read))
        kill.append(frozenset(written))
    changed = True
    while changed:
        changed = False
        for block in reversed(blocks):
            out: set[str] = set()
            for successor in block.successors:
                out |= blocks[successor].live_in
            live = generate[block.index] | (out - kill[block.index])
            if live != block.live_in:
                block.live_in = live
                changed = True
