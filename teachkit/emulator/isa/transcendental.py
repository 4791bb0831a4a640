"""The ``.approx`` functions that are no arithmetic: powers of two, logarithms, sine, cosine and tanh in 32 bits.

They are computed well within the error that PTX allows.
Source: PTX ISA, "Floating Point Instructions", ``ex2``, ``lg2``, ``sin``, ``cos``, ``tanh``.
"""

from __future__ import annotations

import math

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once
from teachkit.emulator.engine.shapes import F32, F64, I32, Value, like
from teachkit.emulator.isa.floating import apply
from teachkit.emulator.isa.table import Form, instruction


@instruction("ex2.approx[.ftz].f32", reads=("T",))
@written_once
def ex2(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: exp2(e, v), a)


@instruction("lg2.approx[.ftz].f32", reads=("T",))
@written_once
def lg2(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: log2(e, v), a)


@instruction("sin.approx[.ftz].f32", reads=("T",))
@written_once
def sin(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: _sine(e, v, quarter_turns=0), a)


@instruction("cos.approx[.ftz].f32", reads=("T",))
@written_once
def cos(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: _sine(e, v, quarter_turns=1), a)


@instruction("tanh.approx.f32", reads=("T",))
@written_once
def tanh(e: Emitter, form: Form, a: Value) -> Value:
    """Series near zero, where the quotient would cancel; 1 - 2 / (exp(2|x|) + 1) elsewhere."""
    b = e.builder
    size = e.intrinsic("llvm.fabs", a)
    power = exp2(e, b.fmul(size, e.constant(a, 2.8853900817779268)))
    far = b.fsub(e.constant(a, 1.0), b.fdiv(e.constant(a, 2.0), b.fadd(power, e.constant(a, 1.0))))
    square = b.fmul(a, a)
    near = b.fmul(size, polynomial(e, square, [1.0, -1 / 3, 2 / 15, -17 / 315, 62 / 2835, -1382 / 155925]))
    small = b.fcmp_ordered("<", size, e.constant(a, 0.35))
    return e.intrinsic("llvm.copysign", e.select(small, near, far), a)


_LN2 = 0.6931471805599453
_EXP2 = [_LN2**k / math.factorial(k) for k in range(8)]  # on [-0.5, 0.5] the rest of the series is below 8e-9


def polynomial(e: Emitter, x: Value, coefficients: list[float]) -> Value:
    """Horner's rule; coefficients from the constant term up."""
    value = e.constant(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = e.intrinsic("llvm.fma", value, x, e.constant(x, coefficient))
    return value


def exp2(e: Emitter, x: Value) -> Value:
    """2 to the power ``x`` in ``f32``, subnormal results included."""
    b = e.builder
    lowest, highest = e.constant(x, -152.0), e.constant(x, 130.0)
    low = e.select(b.fcmp_ordered(">", x, lowest), x, lowest)
    clamped = e.select(b.fcmp_ordered("<", low, highest), low, highest)
    whole = e.intrinsic("llvm.rint", clamped)
    fraction = b.fsub(clamped, whole)
    value = polynomial(e, fraction, _EXP2)
    exponent = b.fptosi(whole, like(x.type, I32))
    half = b.ashr(exponent, e.constant(exponent, 1))  # in two steps, so that neither factor over- or underflows
    value = b.fmul(b.fmul(value, _power_of_two(e, half, x)), _power_of_two(e, b.sub(exponent, half), x))
    return e.select(b.fcmp_unordered("uno", x, x), x, value)


def _power_of_two(e: Emitter, exponent: Value, x: Value) -> Value:
    biased = e.builder.add(exponent, e.constant(exponent, 127))
    return e.builder.bitcast(e.builder.shl(biased, e.constant(biased, 23)), x.type)


def log2(e: Emitter, x: Value) -> Value:
    """Base-2 logarithm in ``f32``: x = m * 2**k with m in [sqrt(1/2), sqrt(2)), then the series of atanh."""
    b = e.builder
    tiny = b.fcmp_ordered("<", e.intrinsic("llvm.fabs", x), e.constant(x, 2.0**-126))
    scaled = e.select(tiny, b.fmul(x, e.constant(x, 2.0**24)), x)
    bits = e.bits(scaled)
    shifted = b.sub(bits, e.constant(bits, 0x3F3504F3))
    exponent = b.ashr(shifted, e.constant(bits, 23))
    mantissa = b.bitcast(b.sub(bits, b.shl(exponent, e.constant(exponent, 23))), x.type)
    ratio = b.fdiv(b.fsub(mantissa, e.constant(x, 1.0)), b.fadd(mantissa, e.constant(x, 1.0)))
    two_over_ln2 = 2.8853900817779268
    series = polynomial(e, b.fmul(ratio, ratio), [two_over_ln2 / (2 * i + 1) for i in range(6)])
    whole = b.sitofp(exponent, x.type)
    whole = b.fsub(whole, e.select(tiny, e.constant(x, 24.0), e.constant(x, 0.0)))
    value = e.intrinsic("llvm.fma", series, ratio, whole)
    zero = b.fcmp_ordered("==", x, e.constant(x, 0.0))
    negative = b.fcmp_unordered("<", x, e.constant(x, 0.0))
    infinite = b.fcmp_ordered("==", x, e.constant(x, float("inf")))
    value = e.select(infinite, x, value)
    value = e.select(negative, e.constant(x, float("nan")), value)
    return e.select(zero, e.constant(x, float("-inf")), value)


def _sine(e: Emitter, x: Value, quarter_turns: int) -> Value:
    """sin(x + quarter_turns * pi / 2), reduced to [-pi/4, pi/4] in double precision."""
    b = e.builder
    wide = e.cast("fpext", x, F64)
    turns = e.intrinsic("llvm.rint", b.fmul(wide, e.constant(wide, 0.6366197723675814)))
    rest = e.intrinsic("llvm.fma", turns, e.constant(wide, -1.5707963267948966), wide)
    rest = e.intrinsic("llvm.fma", turns, e.constant(wide, -6.123233995736766e-17), rest)
    r = e.cast("fptrunc", rest, F32)
    scaled = b.fmul(turns, e.constant(turns, 0.25))
    part = b.fsub(scaled, e.intrinsic("llvm.floor", scaled))
    quarter = e.cast("fptosi", b.fmul(part, e.constant(part, 4.0)), I32)
    quarter = b.add(quarter, e.constant(quarter, quarter_turns))
    square = b.fmul(r, r)
    sine = b.fmul(r, polynomial(e, square, [1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880]))
    cosine = polynomial(e, square, [1.0, -1 / 2, 1 / 24, -1 / 720, 1 / 40320])
    odd = b.icmp_unsigned("!=", b.and_(quarter, e.constant(quarter, 1)), e.constant(quarter, 0))
    value = e.select(odd, cosine, sine)
    flip = b.icmp_unsigned("!=", b.and_(quarter, e.constant(quarter, 2)), e.constant(quarter, 0))
    value = e.select(flip, b.fneg(value), value)
    finite = b.fcmp_ordered("<", e.intrinsic("llvm.fabs", x), e.constant(x, float("inf")))
    return e.select(finite, value, e.constant(x, float("nan")))
