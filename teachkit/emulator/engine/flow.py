"""Control flow of a kernel: basic blocks, their order, loops, and which registers live where.

Blocks are ordered so that loops are contiguous and a block comes after everything that leads to it, back
edges aside. The engine runs divergent warps in that order, which is where their lanes meet again.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

from teachkit.emulator.engine.inline import called
from teachkit.emulator.engine.order import execution_order
from teachkit.emulator.engine.recursion import (
    STACK,
    Entry,
    Landing,
    StackCall,
    Stacked,
    StackReturn,
    StackSlot,
    entry_label,
)
from teachkit.emulator.ptx.model import (
    Address,
    Function,
    Group,
    Immediate,
    Instruction,
    Label,
    Negated,
    Operand,
    Part,
    PredicatePair,
    Register,
    Symbol,
)

_NO_DESTINATION = frozenset(
    "st red bra brx bar barrier ret exit trap membar fence prefetch prefetchu cp nanosleep pmevent brkpt discard "
    "stmatrix griddepcontrol setmaxnreg tensormap".split()
)


_WITH_MEMBERS = frozenset("shfl vote match redux bar elect".split())


@dataclasses.dataclass(slots=True)
class Block:
    """A straight run of instructions. ``successors`` are block numbers: the branch target first, if any."""

    index: int
    instructions: list[Instruction]
    successors: list[int] = dataclasses.field(default_factory=list)
    is_loop_header: bool = False
    is_in_loop: bool = False
    after_barrier: Instruction | None = None  # the one that it follows
    after_pause: bool = False
    live_in: frozenset[str] = frozenset()
    landing: int = -1  # where a call of a function that calls itself comes back to

    @property
    def is_resume_point(self) -> bool:
        """Whether a suspended warp can go on at the start of this block."""
        return self.is_loop_header or self.after_pause or self.after_barrier is not None


def is_barrier(instruction: Instruction) -> bool:
    """Whether the warp waits there for others. One that only arrives goes on."""
    return _waits(instruction.opcode)


@functools.lru_cache(maxsize=4096)
def _waits(opcode: str) -> bool:
    first, *parts = opcode.split(".")
    return first in ("bar", "barrier") and ("sync" in parts or "red" in parts) and "warp" not in parts


def pauses(instruction: Instruction) -> bool:
    """Whether the warp lets the others run there, though it waits for none of them.

    Each warp of a block reads its own lanes of tensor memory. Triton's code has one of them start the next product,
    which writes there, without a barrier: all have read long before hardware has computed anything.
    """
    return instruction.opcode == "tcgen05.wait::ld.sync.aligned" and instruction.guard is None


def base(instruction: Instruction) -> str:
    """The mnemonic: ``ld`` of ``ld.global.b32``."""
    return _mnemonic(instruction.opcode)


@functools.lru_cache(maxsize=4096)
def _mnemonic(opcode: str) -> str:
    return opcode.partition(".")[0]


def leaves(instruction: Instruction) -> bool:
    """Whether the lanes that run it are done. The ``ret`` of a device function names where the caller goes on."""
    return (base(instruction) in ("ret", "exit", "trap", "brkpt") and not instruction.operands) or fails(instruction)


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
    jumps = base(instruction) in ("bra", "ret", "exit", "trap", "brkpt") or dispatches(instruction)
    jumps = jumps or isinstance(instruction, StackCall)
    return jumps or is_barrier(instruction) or pauses(instruction) or fails(instruction)


def registers_of(operand: Operand) -> Iterator[str]:
    """The registers that an operand names, special registers included."""
    if isinstance(operand, Register):
        yield operand.name
    elif isinstance(operand, StackSlot):
        yield STACK
    elif isinstance(operand, Address):
        yield from registers_of(operand.base)
    elif isinstance(operand, Group):
        for item in operand.items:
            yield from registers_of(item)
    elif isinstance(operand, PredicatePair):
        yield operand.first.name
        yield operand.second.name
    elif isinstance(operand, (Negated, Part)):
        yield operand.register.name


def defined(instruction: Instruction) -> list[str]:
    """Registers that the instruction writes."""
    if isinstance(instruction, (StackCall, Landing)):
        return [STACK, *(instruction.restored if isinstance(instruction, Landing) else ())]
    if is_barrier(instruction) and ".red" in instruction.opcode:
        return list(registers_of(instruction.operands[0]))
    kind = base(instruction)
    if kind in _NO_DESTINATION or not instruction.operands or instruction.opcode.startswith("tcgen05.dealloc"):
        return []
    first = instruction.operands[0]
    if kind == "call":
        if not isinstance(first, Group) or len(instruction.operands) == 1:
            return []
        return [name for name in registers_of(first) if name != STACK]  # a variable there is written through it
    if isinstance(first, Register):  # nearly always
        return [first.name]
    return [] if isinstance(first, Address) else list(registers_of(first))


def used(instruction: Instruction) -> list[str]:
    """Registers that the instruction reads. A guarded write also reads what it may leave unchanged."""
    if isinstance(instruction, (StackCall, Landing)):
        return [STACK, *(instruction.saved if isinstance(instruction, StackCall) else ())]
    written = defined(instruction)
    skip = 1 if written else 0
    names = [name for operand in instruction.operands[skip:] for name in registers_of(operand)]
    if instruction.guard is not None:
        names.append(instruction.guard.register.name)
    if instruction.guard is not None or base(instruction) == "wgmma":  # which adds to its target
        names.extend(written)
    if isinstance(instruction, StackReturn):
        names.append(STACK)
    return names


def members_of(instruction: Instruction) -> Operand | None:
    """The lanes that a warp-wide instruction needs, as an operand; None for other instructions."""
    first, *parts = instruction.opcode.split(".")
    if "sync" not in parts or is_barrier(instruction) or first == "barrier":
        return None
    return instruction.operands[-1] if first in _WITH_MEMBERS else Immediate(0xFFFFFFFF)


def build(function: Function, *, apart: bool = False) -> list[Block]:
    """Basic blocks of ``function`` in execution order, unreachable ones dropped, liveness filled in.

    With ``apart``, warp-wide instructions begin blocks, so that lanes can wait for each other there.
    """
    raw, labels = _split(function, apart)
    _connect(raw, labels, function)
    order = _order_around_calls(raw, labels, function) if isinstance(function, Stacked) else None
    order = order or execution_order([block.successors for block in raw])
    position = {old: new for new, old in enumerate(order)}
    blocks = [raw[old] for old in order]
    for block in blocks:
        block.index = position[block.index]
        block.successors = [position[s] for s in block.successors]
        block.landing = position.get(block.landing, -1)
    for block in blocks:
        for successor in block.successors:
            if successor <= block.index:
                blocks[successor].is_loop_header = True
                for inside in blocks[successor : block.index + 1]:
                    inside.is_in_loop = True
    _liveness(blocks, frozenset(function.registers), function)
    return blocks


def _order_around_calls(raw: list[Block], labels: dict[str, int], kernel: Stacked) -> list[int]:
    """Functions that call themselves right behind the kernel's first block, those that others call before these.

    Lanes in such a function then run until they return, before any that are ahead of them in the kernel. Within a
    body, control comes back behind a call.
    """
    inside = []
    for block in raw:
        last = block.instructions[-1] if block.instructions else None
        onward = block.successors
        if isinstance(last, StackCall):
            onward = [block.landing]
        elif isinstance(last, StackReturn):
            onward = onward[len(kernel.branch_targets[table_of(last)]) :]
        inside.append(onward)
    first, *rest = execution_order(inside)
    bodies = [execution_order(inside, labels[entry_label(name)]) for name in kernel.inner_first()]
    return [first, *(block for body in bodies for block in body), *rest]


def _split(function: Function, apart: bool) -> tuple[list[Block], dict[str, int]]:
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
        if apart and not fresh and members_of(item) is not None:
            blocks.append(Block(len(blocks), []))
        blocks[-1].instructions.append(item)
        fresh = False
        if ends_block(item):
            after_barrier = item if is_barrier(item) else None
            blocks.append(Block(len(blocks), [], after_barrier=after_barrier, after_pause=pauses(item)))
            fresh = True
    return blocks, labels


def _connect(blocks: list[Block], labels: dict[str, int], function: Function) -> None:
    entries = {labels[item.name] for item in function.body if isinstance(item, Entry)}
    for block in blocks:
        is_last = block.index + 1 == len(blocks) or block.index + 1 in entries
        following = [] if is_last else [block.index + 1]
        last = block.instructions[-1] if block.instructions else None
        kind = base(last) if last is not None else ""
        if isinstance(last, StackCall):
            block.successors, block.landing = [labels[table_of(last)]], labels[last.after]
        elif isinstance(last, StackReturn):
            block.successors = [labels[name] for name in function.branch_targets[table_of(last)]]
            block.successors += following if last.guard is not None else []
        elif last is not None and (kind == "bra" or (kind == "ret" and last.operands)):
            (target,) = (operand for operand in last.operands if isinstance(operand, Symbol))
            block.successors = [labels[target.name]] + (following if last.guard is not None else [])
        elif last is not None and dispatches(last):
            block.successors = [labels[name] for name in function.branch_targets[table_of(last)]]
        elif last is not None and leaves(last):
            block.successors = following if last.guard is not None else []
        else:
            block.successors = following


def _liveness(blocks: list[Block], registers: frozenset[str], function: Function) -> None:
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
    clobbered = _clobbered(blocks, function) if isinstance(function, Stacked) else {}
    saved = dict.fromkeys(clobbered, frozenset[str]())
    changed = True
    while changed:
        changed = False
        for block in reversed(blocks):
            out: set[str] = set()
            for successor in block.successors:
                out |= blocks[successor].live_in
            if block.landing >= 0:
                out |= saved[block.landing]
            live = generate[block.index] | (out - kill[block.index])
            if block.index in clobbered:
                kept = live & clobbered[block.index]
                changed = changed or kept != saved[block.index]
                saved[block.index] = kept
                live -= kept
            if live != block.live_in:
                block.live_in = live
                changed = True
    for block in blocks:
        if block.landing >= 0:
            call, landing = block.instructions[-1], blocks[block.landing].instructions[0]
            assert isinstance(call, StackCall)
            assert isinstance(landing, Landing)
            names = tuple(sorted(saved[block.landing]))
            block.instructions[-1] = dataclasses.replace(call, saved=names)
            blocks[block.landing].instructions[0] = dataclasses.replace(landing, restored=names)


def _clobbered(blocks: list[Block], function: Stacked) -> dict[int, frozenset[str]]:
    """For each block that a call comes back to, the registers that the callee may have overwritten."""
    landings = {b.index: b.instructions[0] for b in blocks if b.instructions and isinstance(b.instructions[0], Landing)}
    return {index: function.clobbered(landing.callee) for index, landing in landings.items()}
