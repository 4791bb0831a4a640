"""Comparisons and selections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.floating import flush
from teachkit.emulator.oracle.integer import INTEGERS
from teachkit.emulator.oracle.table import Form, Lanes, Operation, Step, instruction
from teachkit.emulator.oracle.values import Array, is_float, raw, width
from teachkit.emulator.ptx.model import Instruction, PredicatePair

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_ORDERED: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
_UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
_COMPARISONS = (*_ORDERED, *_UNSIGNED, "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")
_TYPES = ("b16", "b32", "b64", *INTEGERS, "f16", "f16x2", "bf16", "bf16x2", "f32", "f64")
_COMBINE = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


@instruction("setp")
def set_predicate(form: Form) -> Operation:
    name = form.one(*_COMPARISONS)
    combine = form.maybe("and", "or", "xor")
    ftz = form.flag("ftz")
    kind = form.one(*_TYPES)

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        a, b = (machine.read(operand, kind) for operand in item.operands[1:3])
        holds = compare(name, kind, a, b, ftz=ftz)
        target = item.operands[0]
        first, second = (target.first, target.second) if isinstance(target, PredicatePair) else (target, None)
        if kind.endswith("x2"):  # the pair takes the two halves
            results = (holds[..., 0], holds[..., 1])
        else:
            results = (holds, ~holds)
        if combine:
            other = machine.read(item.operands[3], "pred")
            results = (_COMBINE[combine](results[0], other), _COMBINE[combine](results[1], other))
        machine.write(first, results[0], "pred", mask)
        if second is not None:
            machine.write(second, results[1], "pred", mask)

    return Step(run, _counts(kind))


@instruction("set")
def set_value(form: Form) -> Operation:
    """All ones or 1.0 where the comparison holds."""
    name = form.one(*_COMPARISONS)
    combine = form.maybe("and", "or", "xor")
    ftz = form.flag("ftz")
    result = form.one("u32", "s32", "f32", "f16", "f16x2", "bf16", "bf16x2", "u16", "s16")
    kind = form.one(*_TYPES)

    def compute(a: Array, b: Array, other: Array | None = None) -> Array:
        holds = compare(name, kind, a, b, ftz=ftz)
        if other is not None:
            holds = _COMBINE[combine](holds, other)
        if is_float(result):
            return holds.astype(np.float32)
        if kind.endswith("x2"):
            halves = np.where(holds, np.uint32(0xFFFF), np.uint32(0))
            return np.asarray(halves[..., 0] | halves[..., 1] << np.uint32(16))
        return np.where(holds, -1, 0).astype(f"i{width(result) // 8}").view(f"u{width(result) // 8}")

    target = result if is_float(result) else raw(result)
    return Lanes(target, (kind, kind, "pred") if combine else (kind, kind), compute, _counts(kind))


@instruction("selp")
def select(form: Form) -> Operation:
    kind = raw(form.one("b16", "b32", "b64", *INTEGERS, "f32", "f64"))
    return Lanes(kind, (kind, kind, "pred"), _choose)


@instruction("slct")
def select_by_sign(form: Form) -> Operation:
    ftz = form.flag("ftz")
    kind = raw(form.one("b16", "b32", "b64", *INTEGERS, "f32", "f64"))
    sign = form.one("s32", "f32")
    return Lanes(kind, (kind, kind, sign), lambda a, b, c: _choose(a, b, (flush(c) if ftz else c) >= 0))


def _choose(a: Array, b: Array, holds: Array) -> Array:
    return np.asarray(np.where(holds, a, b))


def compare(name: str, kind: str, a: Array, b: Array, *, ftz: bool) -> Array:
    """The comparison ``name``; those that end in ``u`` also hold for NaN."""
    if ftz:
        a, b = flush(a), flush(b)
    name = _UNSIGNED.get(name, name)
    if not is_float(kind):
        return _ORDERED[name](a, b)
    unordered = np.isnan(a) | np.isnan(b)
    if name in ("num", "nan"):
        return unordered if name == "nan" else ~unordered
    if name in _ORDERED:
        return _ORDERED[name](a, b) & ~unordered
    return _ORDERED[name[:2]](a, b) | unordered


def _counts(kind: str) -> dict[str, int]:
    return {} if is_float(kind) else {"int_ops": 1}
