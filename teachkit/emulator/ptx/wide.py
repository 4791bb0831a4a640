"""128-bit registers as pairs of 64-bit ones, which is how hardware and emulator hold them.

An operand ``%q`` becomes the group ``{%q.lo, %q.hi}``; no register's own name has a dot. ``ptxas`` wants the register,
so this is for those who run a module and not for those who print it.
"""

from __future__ import annotations

import dataclasses

from teachkit.emulator.ptx.model import Function, Group, Instruction, Label, Module, Operand, Register

WIDE = "b128"


def halved(module: Module) -> Module:
    """``module`` without 128-bit registers; itself where it has none."""
    if not any(WIDE in function.registers.values() for function in module.functions.values()):
        return module
    return dataclasses.replace(module, functions={name: _halved(each) for name, each in module.functions.items()})


def _halved(function: Function) -> Function:
    pairs = {
        name: Group((Register(f"{name}.lo"), Register(f"{name}.hi")))
        for name, kind in function.registers.items()
        if kind == WIDE
    }
    registers = {name: kind for name, kind in function.registers.items() if kind != WIDE}
    registers |= {half.name: "b64" for pair in pairs.values() for half in pair.items if isinstance(half, Register)}

    def operand(given: Operand) -> Operand:
        return pairs.get(given.name, given) if isinstance(given, Register) else given

    def item(given: Label | Instruction) -> Label | Instruction:
        if isinstance(given, Label):
            return given
        return dataclasses.replace(given, operands=tuple(map(operand, given.operands)))

    return dataclasses.replace(function, registers=registers, body=tuple(map(item, function.body)))
