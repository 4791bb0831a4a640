"""What is known about registers before any code runs: which are the same in all lanes, and which parameter
an address comes from."""

from __future__ import annotations

import collections
import dataclasses

from teachkit.emulator.engine.affine import Affine, affine_registers
from teachkit.emulator.engine.flow import Block, base, defined, used
from teachkit.emulator.ptx.model import Address, Function, Group, Immediate, Instruction, Register, Symbol

_UNIFORM_SPECIAL = ("%ctaid", "%nctaid", "%ntid", "%warpid", "%nwarpid", "%total_smem_size", "%dynamic_smem_size")
_VARYING_RESULTS = frozenset(
    "shfl vote match redux atom activemask elect ldmatrix movmatrix mma wmma mbarrier call addc subc madc".split()
)
_JUMPS = ("bra", "ret", "exit", "brx", "trap", "call")
_POINTER_ARITHMETIC = frozenset("add sub mad mov cvta selp".split())


@dataclasses.dataclass(frozen=True, slots=True)
class Uniformity:
    """``uniform``: registers with one value for the whole warp, kept as scalars. ``divergent``: whether any
    branch can send lanes of a warp different ways, in which case blocks run under masks."""

    uniform: frozenset[str]
    divergent: bool


def uniformity(
    function: Function, blocks: list[Block], partial_warps: bool, known: frozenset[str] = frozenset()
) -> Uniformity:
    """Registers that hold one value a warp; ``known`` are such for reasons found elsewhere.

    A register with several definitions stays uniform only where no branch diverges; once one does, lanes may
    have run different definitions, or a loop a different number of times.
    """
    instructions = [instruction for block in blocks for instruction in block.instructions]
    n_definitions = _n_definitions(blocks)
    divergent = partial_warps
    while True:
        varying = _varying(function, instructions, n_definitions, divergent, known)
        now = divergent or any(
            base(instruction) in ("bra", "ret", "exit", "brx", "trap", "call")
            and not varying.isdisjoint(used(instruction))
            for instruction in instructions
        )
        if now == divergent:
            return Uniformity(frozenset(function.registers) - varying, divergent)
        divergent = now


def _n_definitions(blocks: list[Block]) -> collections.Counter[str]:
    """Places that give each register a value; one that may be read before it is written starts as zero."""
    found = collections.Counter(name for block in blocks for i in block.instructions for name in defined(i))
    found.update(blocks[0].live_in)
    return found


def _varying(
    function: Function,
    instructions: list[Instruction],
    n_definitions: collections.Counter[str],
    divergent: bool,
    known: frozenset[str],
) -> frozenset[str]:
    varying = {name for name, n in n_definitions.items() if divergent and n > 1}
    changed = True
    while changed:
        changed = False
        for instruction in instructions:
            targets = [
                name for name in defined(instruction) if name in function.registers and name not in varying | known
            ]
            if targets and _is_varying(instruction, varying, function, divergent):
                varying.update(targets)
                changed = True
    return frozenset(varying)


def _is_varying(instruction: Instruction, varying: set[str], function: Function, divergent: bool) -> bool:
    if base(instruction) in _VARYING_RESULTS:
        return True
    if base(instruction) == "ld" and not instruction.opcode.startswith(("ld.param", "ld.const")) and divergent:
        return True
    if instruction.opcode.startswith(("ld.local", "cvta.local", "cvta.to.local")):
        return True
    if instruction.opcode.startswith("ld.param"):
        address = instruction.operands[1]
        symbol = address.base if isinstance(address, Address) else None
        if isinstance(symbol, Symbol) and all(symbol.name != p.name for p in function.params):
            return True  # a parameter of a device function
    for name in used(instruction):
        if name in varying:
            return True
        if name not in function.registers and not name.startswith(_UNIFORM_SPECIAL):
            return True
    return False


def scalars(function: Function, blocks: list[Block], partial_warps: bool) -> tuple[Uniformity, dict[str, Affine]]:
    """Uniform registers, and those with a constant stride between lanes; each analysis helps the other."""
    known: frozenset[str] = frozenset()
    n_definitions = _n_definitions(blocks)
    while True:
        facts = uniformity(function, blocks, partial_warps, known)
        # Where lanes can part, each may have its value from another definition.
        several = {name for name, n in n_definitions.items() if facts.divergent and n > 1}
        affine = affine_registers(function, blocks, facts.uniform, several)
        found = known | {name for name, a in affine.items() if a.stride == 0}
        if found == known:
            return facts, {name: a for name, a in affine.items() if a.stride}
        known = found


def provenance(function: Function, blocks: list[Block]) -> dict[str, str | None]:
    """For each 64-bit register, the one parameter or module variable that its address is computed from.

    A register that comes from none is absent; one that may come from several maps to None.
    """
    roots = {p.name for p in function.params if p.n_bytes == 8}
    if any(p.is_pointer for p in function.params):
        roots = {p.name for p in function.params if p.is_pointer}
    origin: dict[str, str | None] = {}
    instructions = [i for block in blocks for i in block.instructions if defined(i)]
    changed = True
    while changed:
        changed = False
        for instruction in instructions:
            found = _origins(instruction, origin, roots)
            if not found:
                continue
            for name in defined(instruction):
                merged = next(iter(found)) if len(found) == 1 else None
                if name in origin and origin[name] != merged:
                    merged = None
                if name not in origin or origin[name] != merged:
                    origin[name] = merged
                    changed = True
    return origin


def _origins(instruction: Instruction, origin: dict[str, str | None], roots: set[str]) -> set[str | None]:
    if instruction.opcode.startswith("ld.param"):
        address = instruction.operands[1]
        symbol = address.base if isinstance(address, Address) else None
        return {symbol.name} if isinstance(symbol, Symbol) and symbol.name in roots else set()
    if base(instruction) not in _POINTER_ARITHMETIC:
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
