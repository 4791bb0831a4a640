"""How far registers lie apart: what is certain, and what only nearly always holds and has to be seen at run time."""

from __future__ import annotations

import collections
from typing import TypeAlias

from teachkit.emulator.engine.dataflow import count_definitions
from teachkit.emulator.engine.flow import Block
from teachkit.emulator.engine.steps import Step
from teachkit.emulator.ptx.model import Immediate, Operand, Register

Form: TypeAlias = tuple[tuple[tuple[str, int], ...], int]  # registers and what each is multiplied by; what is added
_MAX_TERMS = 6


def origins(steps: list[Step], n_definitions: collections.Counter[str]) -> dict[str, tuple[str, int]]:
    """For 64-bit registers that are another one plus a constant: which one, and what is added.

    A register that may be read before it is written may hold the sum of a turn of the loop before.
    """
    found: dict[str, tuple[str, int]] = {}
    for step in steps:
        instruction = step.instruction
        if instruction.opcode not in ("add.s64", "add.u64") or instruction.guard is not None:
            continue
        target, source, constant = instruction.operands
        if not (isinstance(target, Register) and isinstance(source, Register) and isinstance(constant, Immediate)):
            continue
        if n_definitions[target.name] == 1 and n_definitions[source.name] <= 1:
            root, offset = found.get(source.name, (source.name, 0))
            found[target.name] = (root, offset + constant.value)
    return found


def linear_forms(steps: list[Step], n_definitions: collections.Counter[str]) -> dict[str, Form]:
    """Registers as sums of others, as if nothing overflowed and every ``or`` were the ``+`` that compilers mean."""
    found: dict[str, Form] = {}

    def form(operand: Operand) -> Form | None:
        if isinstance(operand, Immediate):
            return ((), operand.value) if operand.kind == "int" else None
        if isinstance(operand, Register):
            return found.get(operand.name, (((operand.name, 1),), 0))
        return None

    for step in steps:
        target = step.instruction.operands[0] if step.instruction.operands else None
        if not isinstance(target, Register) or step.mnemonic not in _RULES or step.instruction.guard is not None:
            continue
        if n_definitions[target.name] != 1:
            continue
        forms = [form(operand) for operand in step.instruction.operands[1:]]
        known = [f for f in forms if f is not None]
        result = _RULES[step.mnemonic](step, known) if len(known) == len(forms) else None
        if result is not None and len(result[0]) <= _MAX_TERMS:
            found[target.name] = result
    return found


def _sum(_: Step, forms: list[Form]) -> Form:
    total: collections.Counter[str] = collections.Counter()
    for terms, _constant in forms:
        for name, factor in terms:
            total[name] += factor
    return tuple(sorted((name, factor) for name, factor in total.items() if factor)), sum(f[1] for f in forms)


def _product(step: Step, forms: list[Form]) -> Form | None:
    if "hi" in step.instruction.opcode.split("."):
        return None
    one, other = forms
    if one[0] and other[0]:
        return None
    (terms, constant), factor = (one, other[1]) if one[0] else (other, one[1])
    return tuple((name, each * factor) for name, each in terms if factor), constant * factor


def _product_and_sum(step: Step, forms: list[Form]) -> Form | None:
    product = _product(step, forms[:2])
    return None if product is None else _sum(step, [product, forms[2]])


def _difference(step: Step, forms: list[Form]) -> Form | None:
    negative = _product(step, [forms[1], ((), -1)])
    return None if negative is None else _sum(step, [forms[0], negative])


def _shifted(step: Step, forms: list[Form]) -> Form | None:
    terms, amount = forms[1]
    return None if terms or not 0 <= amount < 64 else _product(step, [forms[0], ((), 1 << amount)])


def _same(step: Step, forms: list[Form]) -> Form | None:
    """Of integers, whatever their widths."""
    kinds = [part for part in step.instruction.opcode.split(".")[1:] if part[1:].isdigit()]
    return forms[0] if all(kind[0] in "bsu" and kind[1:] in ("32", "64") for kind in kinds) else None


_RULES = {
    "add": _sum,
    "or": _sum,
    "sub": _difference,
    "mul": _product,
    "mad": _product_and_sum,
    "shl": _shifted,
    "cvt": _same,
    "mov": _same,
}


def distances_of(blocks: list[Block], steps: list[Step]) -> tuple[dict[str, tuple[str, int]], dict[str, Form]]:
    """:func:`origins` and :func:`linear_forms` of a kernel."""
    n_definitions = count_definitions(steps, blocks)
    return origins(steps, n_definitions), linear_forms(steps, n_definitions)
