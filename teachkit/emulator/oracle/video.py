"""Scalar video instructions, lane by lane in Python's integers, which never overflow."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.table import Form, Operation, Step, instruction, unsupported
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Instruction, Operand, Part

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_KINDS = ("u32", "s32")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "vadd": operator.add, "vsub": operator.sub, "vabsdiff": lambda a, b: abs(a - b), "vmin": min, "vmax": max,
}  # fmt: skip
_SECOND: dict[str, Callable[[int, int], int]] = {
    "add": operator.add, "min": min, "max": max, "": lambda result, third: result,
}  # fmt: skip


@instruction(*_FUNCTIONS)
def arithmetic(form: Form) -> Operation:
    to, of_a, of_b = (form.one(*_KINDS) for _ in range(3))
    return _operation(form, _FUNCTIONS[form.base], to, of_a, of_b, form.flag("sat"))


@instruction("vshl", "vshr")
def shift(form: Form) -> Operation:
    to, of_a, of_b = form.one(*_KINDS), form.one(*_KINDS), form.one("u32")
    saturates = form.flag("sat")
    wraps = form.one("clamp", "wrap") == "wrap"
    move = operator.lshift if form.base == "vshl" else operator.rshift
    return _operation(form, lambda a, b: move(a, b % 32 if wraps else min(b, 32)), to, of_a, of_b, saturates)


@instruction("vset")
def compare(form: Form) -> Operation:
    of_a, of_b = form.one(*_KINDS), form.one(*_KINDS)
    test = _COMPARE[form.one(*_COMPARE)]
    return _operation(form, lambda a, b: int(test(a, b)), "u32", of_a, of_b, False)


@instruction("vmad")
def multiply_add(form: Form) -> Operation:
    form.one(*_KINDS)
    of_a, of_b = form.one(*_KINDS), form.one(*_KINDS)
    adds_one, saturates = form.flag("po"), form.flag("sat")
    n_bits = int(form.maybe("shr7", "shr15", default="shr0")[3:])

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        target, *sources = item.operands
        minus = [isinstance(operand, Part) and operand.negated for operand in sources]
        turns_product = minus[0] != minus[1]
        is_signed = "s32" in (of_a, of_b) or turns_product or minus[2]
        if turns_product + minus[2] + adds_one > 1 or (adds_one and any(minus)):
            raise unsupported(item, "several signs")

        def one(a: int, b: int, c: int) -> int:
            product = -a * b if turns_product else a * b
            # The bits are turned over before they are extended, and the one is added after.
            c = _extended(~c if minus[2] else c, 32, is_signed)
            total = product + c + (adds_one or minus[2])
            total = _extended(total >> n_bits, 64, is_signed)
            return _limited(total, 32, is_signed) if saturates else total

        kinds = (of_a, of_b, "u32")
        values = [_numbers(machine, item, x, kind, mask) for x, kind in zip(sources, kinds, strict=True)]
        _write(machine, target, [one(*row) for row in zip(*values, strict=True)], mask)

    return Step(run, {"int_ops": 2})


def _operation(
    form: Form, function: Callable[[int, int], int], to: str, of_a: str, of_b: str, saturates: bool
) -> Operation:
    second = form.maybe("add", "min", "max")
    combine = _SECOND[second]
    is_signed = to == "s32"

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        target, *sources = item.operands
        start, size = _place(item, target)
        if len(sources) < 2 + (bool(second) or size < 32) or (second and size < 32):
            raise unsupported(item, f"{len(item.operands)} operands")
        numbers = [_numbers(machine, item, x, kind, mask) for x, kind in zip(sources, (of_a, of_b, to), strict=False)]

        def one(a: int, b: int, c: int = 0) -> int:
            result = _extended(function(a, b), 34, True)
            if saturates:
                result = _limited(result, size, is_signed)
            if size == 32:
                return combine(_extended(result, 32, is_signed), c)
            digits = list(f"{c % (1 << 32):032b}")
            digits[32 - start - size : 32 - start] = f"{result % (1 << size):0{size}b}"
            return int("".join(digits), 2)

        _write(machine, target, [one(*row) for row in zip(*numbers, strict=True)], mask)

    return Step(run, {"int_ops": 1})


def _place(item: Instruction, operand: Operand) -> tuple[int, int]:
    """First bit and size of the part that an operand names."""
    which = operand.which if isinstance(operand, Part) else ""
    if not which:
        return 0, 32
    size = 8 if which[0] == "b" else 16
    if len(which) != 2 or int(which[1]) * size >= 32:
        raise unsupported(item, f"part .{which}")
    return size * int(which[1]), size


def _numbers(machine: Machine, item: Instruction, operand: Operand, kind: str, mask: Array) -> list[int]:
    start, size = _place(item, operand)
    word = machine.read(operand.register if isinstance(operand, Part) else operand, "u32")
    words = np.broadcast_to(word, mask.shape).tolist()
    return [_extended(word >> start, size, kind == "s32") for word in words]


def _write(machine: Machine, operand: Operand, numbers: list[int], mask: Array) -> None:
    words = np.array([number % (1 << 32) for number in numbers], np.uint32)
    machine.write(operand.register if isinstance(operand, Part) else operand, words, "u32", mask)


def _extended(number: int, n_bits: int, is_signed: bool) -> int:
    """The lowest bits as a number of that size."""
    low = number % (1 << n_bits)
    return low - (1 << n_bits) if is_signed and low >> (n_bits - 1) else low


def _limited(number: int, n_bits: int, is_signed: bool) -> int:
    """The nearest number of that size."""
    low, high = (-(1 << n_bits - 1), (1 << n_bits - 1) - 1) if is_signed else (0, (1 << n_bits) - 1)
    return min(max(number, low), high)
