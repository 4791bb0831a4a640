"""Names in a copy of a device function: its own registers, variables and labels, so that copies do not meet."""

from __future__ import annotations

import dataclasses

from teachkit.emulator.engine.recursion import StackSlot
from teachkit.emulator.ptx.model import (
    Address,
    Group,
    Guard,
    Immediate,
    Instruction,
    Negated,
    Operand,
    Part,
    PredicatePair,
    Register,
    Symbol,
)


def symbol(name: str, slots: dict[str, int]) -> Symbol:
    """A variable under its new name, which says whether it lies on the stack."""
    return StackSlot(name) if name in slots else Symbol(name)


@dataclasses.dataclass(frozen=True, slots=True)
class Renamer:
    """Gives instructions the names that registers, variables and labels have in one copy of a function."""

    prefix: str
    names: dict[str, str]
    registers: dict[str, str]
    slots: dict[str, int]  # variables in the frame of a function that calls itself

    def instruction(self, item: Instruction) -> Instruction:
        """The same instruction with the names of the copy."""
        guard = item.guard and Guard(self._register(item.guard.register), item.guard.negated)
        return dataclasses.replace(item, operands=tuple(map(self._operand, item.operands)), guard=guard)

    def _register(self, register: Register) -> Register:
        return Register(self.prefix + register.name) if register.name in self.registers else register

    def _operand(self, operand: Operand) -> Operand:
        if isinstance(operand, Register):
            return self._register(operand)
        if isinstance(operand, Symbol):
            return symbol(self.names.get(operand.name, operand.name), self.slots)
        if isinstance(operand, Address):
            base = self._operand(operand.base)
            assert isinstance(base, (Register, Symbol, Immediate))
            return Address(base, operand.offset)
        if isinstance(operand, Group):
            return Group(tuple(map(self._operand, operand.items)), operand.brace)
        if isinstance(operand, PredicatePair):
            return PredicatePair(self._register(operand.first), self._register(operand.second))
        if isinstance(operand, Part):
            return dataclasses.replace(operand, register=self._register(operand.register))
        return Negated(self._register(operand.register)) if isinstance(operand, Negated) else operand
