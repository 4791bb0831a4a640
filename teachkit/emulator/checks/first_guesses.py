"""Plain loads that begin a compare-and-swap loop: ``old = *p; do { ... } while (atomicCAS(p, old, new) != old)``.

Such a load only guesses; the swap finds out whether it guessed right, so nobody's store races with it. Compilers write
the loop for atomic updates that the GPU has no instruction for, such as the addition of one bfloat16.
Not modelled: guesses that travel to the swap by other ways than copies of a register.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from teachkit.emulator.ptx.model import Address, Function, Instruction, Operand, Register


def first_guesses(functions: Iterable[Function]) -> set[int]:
    """PTX lines of the loads whose value is what a swap at the same address expects there."""
    return {line for function in functions for line in _of(function)}


def _of(function: Function) -> Iterable[int]:
    instructions = [item for item in function.body if isinstance(item, Instruction)]
    swaps = [item for item in instructions if item.opcode.startswith("atom.") and ".cas." in item.opcode]
    if not swaps:
        return
    copies = [item.operands for item in instructions if item.opcode.startswith("mov.") and len(item.operands) == 2]
    for load in instructions:
        if not load.opcode.startswith("ld.") or not isinstance(load.operands[1], Address):
            continue
        expected = {swap.operands[2] for swap in swaps if swap.operands[1] == load.operands[1]}
        if expected and expected & _holding(load.operands[0], copies):
            yield load.ptx_line


def _holding(register: Operand, copies: Sequence[Sequence[Operand]]) -> set[Operand]:
    """The registers that may hold what ``register`` was given."""
    found: set[Operand] = {register} if isinstance(register, Register) else set()
    while more := {target for target, source in copies if source in found} - found:
        found |= more
    return found
