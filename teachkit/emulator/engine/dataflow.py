"""What is known about registers before any code runs: which are the same in all lanes, and which parameter
an address comes from."""

from __future__ import annotations

import collections
import dataclasses

from teachkit.emulator.engine.affine import affine_registers
from teachkit.emulator.engine.affine_rules import Affine
from teachkit.emulator.engine.flow import Block
from teachkit.emulator.engine.steps import Step
from teachkit.emulator.ptx.model import Address, Function, Group, Immediate, Instruction, Register, Symbol

_UNIFORM_SPECIAL = (
    *("%ctaid", "%nctaid", "%ntid", "%warpid", "%nwarpid", "%total_smem_size", "%dynamic_smem_size"),
    *("%cluster", "%ncluster", "%reserved_smem_offset"),
)
_UNIFORM_IN_ROWS = ("%tid.y", "%tid.z")
_VARYING_RESULTS = frozenset(
    "shfl vote match redux atom activemask elect ldmatrix movmatrix mma wmma wgmma tcgen05 mbarrier call addc subc "
    "madc mapa getctarank".split()
)
_JUMPS = ("bra", "ret", "exit", "brx", "trap", "brkpt", "call")
_POINTER_ARITHMETIC = frozenset("add sub mad mov cvta selp".split())


@dataclasses.dataclass(frozen=True, slots=True)
class Uniformity:
    """``uniform``: registers with one value for the whole warp, kept as scalars. ``divergent``: whether any
    branch can send lanes of a warp different ways, in which case blocks run under masks."""

    uniform: frozenset[str]
    divergent: bool


def _uniformity(
    function: Function,
    steps: list[Step],
    n_definitions: collections.Counter[str],
    partial_warps: bool,
    known: frozenset[str],
) -> Uniformity:
    """Registers that hold one value a warp; ``known`` are such for reasons found elsewhere.

    A register with several definitions stays uniform only where no branch diverges; once one does, lanes may
    have run different definitions, or a loop a different number of times.
    """
    divergent = partial_warps
    while True:
        varying = _varying(function, steps, n_definitions, divergent, known)
        now = divergent or any(step.mnemonic in _JUMPS and not varying.isdisjoint(step.reads) for step in steps)
        if now == divergent:
            return Uniformity(frozenset(function.registers) - varying, divergent)
        divergent = now


def count_definitions(steps: list[Step], blocks: list[Block]) -> collections.Counter[str]:
    """Places that give each register a value; one that may be read before it is written starts as zero."""
    found = collections.Counter(name for step in steps for name in step.writes)
    found.update(blocks[0].live_in)
    return found


def _varying(
    function: Function,
    steps: list[Step],
    n_definitions: collections.Counter[str],
    divergent: bool,
    known: frozenset[str],
) -> frozenset[str]:
    varying = {name for name, n in n_definitions.items() if divergent and n > 1}
    changed = True
    while changed:
        changed = False
        for step in steps:
            targets = [
                name for name in step.writes if name not in varying and name not in known and name in function.registers
            ]
            if targets and _is_varying(step, varying, function, divergent, known):
                varying.update(targets)
                changed = True
    return frozenset(varying)


def _is_varying(step: Step, varying: set[str], function: Function, divergent: bool, known: frozenset[str]) -> bool:
    instruction = step.instruction
    if step.mnemonic in _VARYING_RESULTS:
        if _is_broadcast(instruction):
            return False
        if divergent or not instruction.opcode.startswith(("mbarrier.try_wait", "mbarrier.test_wait")):
            return True
    if step.mnemonic in ("ld", "ldu") and not instruction.opcode.startswith(("ld.param", "ld.const")) and divergent:
        return True
    if step.mnemonic == "cluster" and divergent:  # lanes may be in different phases of the barrier
        return True
    if instruction.opcode.startswith(
        ("ld.local", "cvta.local", "cvta.to.local", "cvta.shared::cluster", "cvta.to.shared::cluster")
    ):
        return True
    if instruction.opcode.startswith("ld.param"):
        address = instruction.operands[1]
        symbol = address.base if isinstance(address, Address) else None
        if isinstance(symbol, Symbol) and all(symbol.name != p.name for p in function.params):
            return True  # a parameter of a device function
    for name in step.reads:
        if name in varying:
            return True
        if name not in function.registers and name not in known and not name.startswith(_UNIFORM_SPECIAL):
            return True
    return False


def _is_broadcast(instruction: Instruction) -> bool:
    """Whether all lanes of a warp take what one of them holds."""
    operands = instruction.operands
    return (
        instruction.guard is None
        and instruction.opcode == "shfl.sync.idx.b32"
        and isinstance(operands[0], Register)
        and isinstance(operands[2], Immediate)
        and operands[3:] == (Immediate(31), Immediate(-1))
    )


def scalars(
    function: Function, blocks: list[Block], steps: list[Step], partial_warps: bool, rows: bool
) -> tuple[Uniformity, dict[str, Affine]]:
    """Uniform registers, and those with a constant stride between lanes; each analysis helps the other.

    ``rows``: a warp is a part of a row of its block, so that of its threads' numbers only x differs.
    """
    known: frozenset[str] = frozenset()
    special = frozenset(_UNIFORM_IN_ROWS if rows else ())
    n_definitions = count_definitions(steps, blocks)
    while True:
        facts = _uniformity(function, steps, n_definitions, partial_warps, known | special)
        # Where lanes can part, each may have its value from another definition.
        several = {name for name, n in n_definitions.items() if facts.divergent and n > 1}
        affine = affine_registers(function, steps, facts.uniform, several, blocks[0].live_in, rows)
        found = known | {name for name, a in affine.items() if a.stride == 0}
        if found == known:
            return facts, {name: a for name, a in affine.items() if a.stride}
        known = found


def provenance(function: Function, steps: list[Step]) -> dict[str, str | None]:
    """For each 64-bit register, the one parameter or module variable that its address is computed from.

    A register that comes from none is absent; one that may come from several maps to None.
    """
    roots = {p.name for p in function.params if p.n_bytes == 8}
    if any(p.is_pointer for p in function.params):
        roots = {p.name for p in function.params if p.is_pointer}
    origin: dict[str, str | None] = {}
    writers = [step for step in steps if step.writes]
    changed = True
    while changed:
        changed = False
        for step in writers:
            found = _origins(step, origin, roots)
            if not found:
                continue
            for name in step.writes:
                merged = next(iter(found)) if len(found) == 1 else None
                if name in origin and origin[name] != merged:
                    merged = None
                if name not in origin or origin[name] != merged:
                    origin[name] = merged
                    changed = True
    return origin


def _origins(step: Step, origin: dict[str, str | None], roots: set[str]) -> set[str | None]:
    instruction = step.instruction
    if instruction.opcode.startswith("ld.param"):
        address = instruction.operands[1]
        symbol = address.base if isinstance(address, Address) else None
        return {symbol.name} if isinstance(symbol, Symbol) and symbol.name in roots else set()
    if step.mnemonic not in _POINTER_ARITHMETIC:
        return set()
    found: set[str | None] = set()
    for operand in instruction.operands[1:]:
        if isinstance(operand, Register) and operand.name in origin:
            found.add(origin[operand.name])
        elif isinstance(operand, Symbol):
            found.add(operand.name)
        elif isinstance(operand, (Group, Immediate)):
            continue
    return found
