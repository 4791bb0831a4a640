"""Floating-point arithmetic and the special functions.

Approximate functions are computed in float64 and rounded to nearest, which is inside every bound of the manual.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from teachkit.emulator.oracle import rounding
from teachkit.emulator.oracle.table import Form, Lanes, Operation, counting, instruction
from teachkit.emulator.oracle.values import Array

FLOATS = ("f32", "f64", "f16", "f16x2", "bf16", "bf16x2", "f32x2")
_WIDE = ("f32", "f64", "f32x2")


def flush(values: Array) -> Array:
    """Subnormal float32 and float16 values to zero of the same sign; float64 unchanged."""
    if values.dtype == np.float64:
        return values
    zero = values.dtype.type(0)
    return np.where(np.abs(values) < np.finfo(values.dtype).tiny, np.copysign(zero, values), values)


def saturate(values: Array) -> Array:
    """Clamp to [0, 1], NaN to 0."""
    clamped = np.clip(np.where(np.isnan(values), 0, values), 0, 1).astype(values.dtype)
    return np.where(clamped == 0, values.dtype.type(0), clamped)


def finish(form: Form, kind: str, compute: Callable[..., Array], n: int, counts: dict[str, int]) -> Lanes:
    """Wrap ``compute`` of ``n`` operands with what ``.ftz``, ``.sat`` and ``.relu`` ask for."""
    ftz, sat, relu = form.flag("ftz"), form.flag("sat"), form.flag("relu")
    form.flag("noftz")

    def whole(*operands: Array) -> Array:
        result = compute(*(flush(operand) for operand in operands)) if ftz else compute(*operands)
        if kind.startswith("bf16"):
            result = result.astype(np.float32)
        if sat:
            result = saturate(result)
        if relu:
            result = np.where(result > 0, result, np.where(np.isnan(result), result, result.dtype.type(0)))
        return flush(result) if ftz else result

    return Lanes(kind, (kind,) * n, whole, counts)


def _mode(form: Form, kind: str) -> str:
    return form.maybe(*(rounding.MODES if kind in _WIDE else ("rn",)), default="rn")


@instruction("add", "sub", "mul")
def arithmetic(form: Form) -> Operation:
    kind = form.one(*FLOATS)
    mode = _mode(form, kind)
    if form.base == "mul":
        return finish(form, kind, lambda a, b: rounding.mul(a, b, mode), 2, counting(kind))
    sign = 1 if form.base == "add" else -1
    second = form.maybe("f16", "bf16") if kind == "f32" else ""
    if second:  # add.f32.bf16 (sm_100): the first operand is narrow, the second and the result are wide
        operation = finish(form, kind, lambda a, b: rounding.add(a, sign * b, mode), 2, counting(kind))
        return Lanes(kind, (second, kind), lambda a, b: operation.compute(a.astype(np.float32), b), operation.counts)
    return finish(form, kind, lambda a, b: rounding.add(a, b if sign > 0 else -b, mode), 2, counting(kind))


@instruction("fma", "mad")
def multiply_add(form: Form) -> Operation:
    kind = form.one(*FLOATS)
    mode = _mode(form, kind)
    factor = form.maybe("f16", "bf16") if kind == "f32" else ""
    if factor:  # fma.f32.bf16 (sm_100): both factors are narrow
        whole = finish(form, kind, lambda a, b, c: rounding.fma(a, b, c, mode), 3, counting(kind, 2))
        wide = np.float32
        return Lanes(
            kind, (factor, factor, kind), lambda a, b, c: whole.compute(a.astype(wide), b.astype(wide), c), whole.counts
        )
    if kind.startswith("bf16"):
        return finish(form, kind, _fma_bf16, 3, counting(kind, 2))
    return finish(form, kind, lambda a, b, c: rounding.fma(a, b, c, mode), 3, counting(kind, 2))


def _fma_bf16(a: Array, b: Array, c: Array) -> Array:
    """A float32 rounded to odd, so that the final rounding to bf16 is the only one."""
    exact = rounding.sum_to_odd(a.astype(np.float64) * b, c.astype(np.float64))
    down = rounding.narrow(exact, np.float32, "rz")
    inexact = np.isfinite(down) & (down.astype(np.float64) != exact)
    return np.where(inexact, (down.view(np.uint32) | np.uint32(1)).view(np.float32), down)


@instruction("div")
def divide(form: Form) -> Operation:
    kind = form.one("f32", "f64")
    if form.flag("approx", "full"):
        return finish(form, kind, lambda a, b: a / b, 2, {"sfu_ops": 1})
    mode = form.one(*rounding.MODES)
    return finish(form, kind, lambda a, b: rounding.div(a, b, mode), 2, counting(kind))


@instruction("sqrt", "rcp")
def root_and_reciprocal(form: Form) -> Operation:
    kind = form.one("f32", "f64")
    if form.flag("approx"):
        compute = np.sqrt if form.base == "sqrt" else np.reciprocal
        if kind == "f64":
            return finish(form, kind, _high_word(compute), 1, {"sfu_ops": 1})
        return finish(form, kind, _special(compute), 1, {"sfu_ops": 1})
    mode = form.one(*rounding.MODES)
    if form.base == "sqrt":
        return finish(form, kind, lambda a: rounding.sqrt(a, mode), 1, counting(kind))
    return finish(form, kind, lambda a: rounding.div(np.ones_like(a), a, mode), 1, counting(kind))


@instruction("rsqrt")
def reciprocal_root(form: Form) -> Operation:
    form.one("approx")
    kind = form.one("f32", "f64")

    def compute(a: Array) -> Array:
        return 1 / np.sqrt(a)

    if kind == "f64" and "ftz" in form.rest:
        return finish(form, kind, _high_word(compute), 1, {"sfu_ops": 1})
    return finish(form, kind, compute if kind == "f64" else _special(compute), 1, {"sfu_ops": 1})


@instruction("sin", "cos", "lg2")
def transcendental(form: Form) -> Operation:
    form.one("approx")
    form.one("f32")
    compute = {"sin": np.sin, "cos": np.cos, "lg2": np.log2}[form.base]
    return finish(form, "f32", _special(compute), 1, {"sfu_ops": 1})


@instruction("ex2", "tanh")
def exponential(form: Form) -> Operation:
    form.one("approx")
    kind = form.one("f32", "f16", "f16x2", "bf16", "bf16x2")
    compute = np.exp2 if form.base == "ex2" else np.tanh
    return finish(form, kind, _special(compute), 1, {"sfu_ops": 2 if kind.endswith("x2") else 1})


@instruction("neg", "abs")
def negate(form: Form) -> Operation:
    kind = form.one(*FLOATS)
    return finish(form, kind, np.negative if form.base == "neg" else np.abs, 1, {})


@instruction("min", "max")
def extremes(form: Form) -> Operation:
    """One NaN is ignored unless ``.NaN``; -0 is below +0."""
    kind = form.one(*FLOATS[:-1])
    keeps_nan, uses_signs = form.flag("NaN"), form.flag("xorsign")
    if uses_signs:
        form.one("abs")
    is_min = form.base == "min"

    def compute(a: Array, b: Array) -> Array:
        sign = np.signbit(a) ^ np.signbit(b)
        if uses_signs:
            a, b = np.abs(a), np.abs(b)
        a, b = np.broadcast_arrays(a, b)
        first = (a < b) | ((a == b) & (np.signbit(a) if is_min else ~np.signbit(a)))
        if not is_min:
            first = (a > b) | ((a == b) & ~np.signbit(a))
        chosen = np.where(first, a, b)
        if keeps_nan:
            chosen = np.where(np.isnan(a) | np.isnan(b), a.dtype.type(np.nan), chosen)
        else:
            chosen = np.where(np.isnan(a), b, np.where(np.isnan(b), a, chosen))
        return np.where(sign, -np.abs(chosen), np.abs(chosen)) if uses_signs else chosen

    return finish(form, kind, compute, 2, {})


@instruction("copysign")
def copy_sign(form: Form) -> Operation:
    """The first operand's sign, the second's magnitude."""
    kind = form.one("f32", "f64")
    return Lanes(kind, (kind, kind), lambda a, b: np.copysign(b, a))


@instruction("testp")
def test_property(form: Form) -> Operation:
    name = form.one("finite", "infinite", "number", "notanumber", "normal", "subnormal")
    kind = form.one("f32", "f64")

    def compute(a: Array) -> Array:
        tiny = np.finfo(a.dtype).tiny
        answers: dict[str, Array] = {
            "finite": np.isfinite(a),
            "infinite": np.isinf(a),
            "number": ~np.isnan(a),
            "notanumber": np.isnan(a),
            "normal": (np.isfinite(a) & (np.abs(a) >= tiny)) | (a == 0),
            "subnormal": (a != 0) & (np.abs(a) < tiny),
        }
        return answers[name]

    return Lanes("pred", (kind,), compute)


def _special(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Evaluate in float64, round to the operand's type."""

    def compute(a: Array) -> Array:
        return function(a.astype(np.float64)).astype(a.dtype)

    return compute


def _high_word(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """``.approx.ftz.f64`` reads and writes only the upper 32 bits."""
    upper = np.uint64(0xFFFFFFFF00000000)

    def compute(a: Array) -> Array:
        short = (np.ascontiguousarray(a).view(np.uint64) & upper).view(np.float64)
        return (np.ascontiguousarray(function(short)).view(np.uint64) & upper).view(np.float64)

    return compute
