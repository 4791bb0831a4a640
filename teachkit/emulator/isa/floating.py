"""Floating-point arithmetic in 16, 32 and 64 bits, and the ``.approx`` functions.

``.approx`` functions are computed well within the error that PTX allows. ``add`` and ``mul`` are rounded each;
``ptxas`` may fuse them where the opcode leaves that open, so no bit parity with hardware is claimed.
Not modelled: the sign and payload of a NaN, which are the host's; PTX makes every NaN 0x7fffffff.
Source: PTX ISA, "Floating Point Instructions", "Half Precision Floating Point Instructions".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import once, written_once, written_once_where
from teachkit.emulator.engine.processor import converts_half
from teachkit.emulator.engine.shapes import F16, F32, F64, I16, I32, I64, Value, is_vector, like
from teachkit.emulator.isa import half
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand

Operation = Callable[..., Value]


def flush(e: Emitter, value: Value) -> Value:
    """Subnormal ``f32`` values to zero of the same sign."""
    b = e.builder
    bits = e.bits(value)
    exponent = b.and_(bits, e.constant(bits, 0x7F800000))
    tiny = b.icmp_unsigned("==", exponent, e.constant(bits, 0))
    signed_zero = b.and_(bits, e.constant(bits, 0x80000000))
    return b.bitcast(e.select(tiny, signed_zero, bits), value.type)


def flush_once(e: Emitter, value: Value) -> Value:
    """The same as a call: its comparison alone takes LLVM long."""
    return once(e, "flush", lambda given: flush(e, given), value) if is_vector(value) else flush(e, value)


def relu(e: Emitter, value: Value) -> Value:
    """What is not above zero becomes zero; NaN stays NaN, which ``.sat`` would turn into zero."""
    zero = e.constant(value, 0.0)
    return e.select(e.builder.fcmp_ordered("<=", value, zero), zero, value)


def apply(e: Emitter, form: Form, operation: Operation, *values: Value) -> Value:
    """Run ``operation`` with the modifiers ``.ftz`` and ``.sat`` of ``form`` around it."""
    ftz = "ftz" in form.optional and form.type == "f32"
    if ftz:
        values = tuple(flush(e, value) for value in values)
    result = operation(*values)
    if ftz:
        result = flush(e, result)
    if "sat" in form.optional:
        low = e.intrinsic("llvm.maximumnum", result, e.constant(result, 0.0))
        result = e.intrinsic("llvm.minimumnum", low, e.constant(result, 1.0))
    return result


# With .ftz only is the code long.
_flushing_once = written_once_where(lambda form, _: "ftz" in form.optional and form.type == "f32")


@instruction("add[.rn][.ftz][.sat].f32", "add[.rn].f64")
@_flushing_once
def add(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return apply(e, form, e.builder.fadd, a, b)


@instruction("sub[.rn][.ftz][.sat].f32", "sub[.rn].f64")
@_flushing_once
def sub(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return apply(e, form, e.builder.fsub, a, b)


@instruction("mul[.rn][.ftz][.sat].f32", "mul[.rn].f64")
@_flushing_once
def mul(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return apply(e, form, e.builder.fmul, a, b)


@instruction("fma.rn[.ftz][.sat].f32", "fma.rn.f64", "mad.rn[.ftz][.sat].f32", "mad.rn.f64", reads=("T", "T", "T"))
@_flushing_once
def fma(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return apply(e, form, lambda *v: e.intrinsic("llvm.fma", *v), a, b, c)


@instruction("div.rn[.ftz].f32", "div.full[.ftz].f32", "div.approx[.ftz].f32", "div.rn.f64")
@_flushing_once
def div(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return apply(e, form, e.builder.fdiv, a, b)


@instruction("neg[.ftz].f32", "neg.f64", reads=("T",))
def neg(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, e.builder.fneg, a)


@instruction("abs[.ftz].f32", "abs.f64", reads=("T",))
def absolute(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: e.intrinsic("llvm.fabs", v), a)


@instruction("copysign.(f32|f64)")
def copysign(e: Emitter, form: Form, sign: Value, magnitude: Value) -> Value:
    return e.intrinsic("llvm.copysign", magnitude, sign)


@instruction("min[.ftz][.NaN][.xorsign][.abs].f32", "min.f64", reads=None)
def minimum(e: Emitter, form: Form, target: Operand, *sources: Operand) -> None:
    """The other operand where one is NaN; with ``.NaN``, NaN. -0 is less than +0. sm_100 takes three sources."""
    _extreme(e, form, "llvm.minimum", target, sources)


@instruction("max[.ftz][.NaN][.xorsign][.abs].f32", "max.f64", reads=None)
def maximum(e: Emitter, form: Form, target: Operand, *sources: Operand) -> None:
    """The counterpart of ``min``."""
    _extreme(e, form, "llvm.maximum", target, sources)


def _lesser_or_greater(e: Emitter, form: Form, name: str, a: Value, b: Value) -> Value:
    def flushed(a: Value, b: Value) -> Value:
        return apply(e, form, lambda *v: e.intrinsic(name, *v), a, b)

    if "ftz" not in form.optional or not is_vector(a):
        return flushed(a, b)
    return once(e, name + ".ftz", flushed, a, b)


def _extreme(e: Emitter, form: Form, name: str, target: Operand, sources: tuple[Operand, ...]) -> None:
    name = name if "NaN" in form.optional else f"{name}num"
    values = e.alike(*(e.read(source, form.type) for source in sources))
    signs = functools.reduce(e.builder.xor, [e.bits(v) for v in values])
    if "abs" in form.optional:
        values = [e.intrinsic("llvm.fabs", v) for v in values]
    value = functools.reduce(lambda a, b: _lesser_or_greater(e, form, name, a, b), values)
    if "xorsign" in form.optional:
        value = e.intrinsic("llvm.copysign", value, e.builder.bitcast(signs, value.type))
    e.write(target, value, form.type)


@instruction("sqrt.rn[.ftz].f32", "sqrt.approx[.ftz].f32", "sqrt.rn.f64", reads=("T",))
@_flushing_once
def sqrt(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: e.intrinsic("llvm.sqrt", v), a)


@instruction("rsqrt.approx[.ftz].f32", "rsqrt.approx.f64", reads=("T",))
@_flushing_once
def rsqrt(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: e.builder.fdiv(e.constant(v, 1.0), e.intrinsic("llvm.sqrt", v)), a)


@instruction("rcp.approx[.ftz].f32", "rcp.rn[.ftz].f32", "rcp.rn.f64", reads=("T",))
@_flushing_once
def rcp(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: e.builder.fdiv(e.constant(v, 1.0), v), a)


@instruction("rcp.approx.ftz.f64", "rsqrt.approx.ftz.f64", reads=("T",))
def high_word(e: Emitter, form: Form, a: Value) -> Value:
    """Reads and writes only the upper 32 bits of a double."""

    def upper_half(value: Value) -> Value:
        bits = e.bits(value)
        return e.builder.bitcast(e.builder.and_(bits, e.constant(bits, 0xFFFFFFFF00000000)), value.type)

    short = upper_half(a)
    divisor = short if form.base == "rcp" else e.intrinsic("llvm.sqrt", short)
    return upper_half(e.builder.fdiv(e.constant(a, 1.0), divisor))


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


def polynomial(e: Emitter, x: Value, coefficients: list[float]) -> Value:
    """Horner's rule; coefficients from the constant term up."""
    value = e.constant(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = e.intrinsic("llvm.fma", value, x, e.constant(x, coefficient))
    return value


_LN2 = 0.6931471805599453
_EXP2 = [_LN2**k / math.factorial(k) for k in range(8)]  # on [-0.5, 0.5] the rest of the series is below 8e-9


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


# ------------------------------------------------------------------------------------------------- 16 bits wide


def half_to_float(e: Emitter, bits: Value, kind: str) -> Value:
    """``f16`` or ``bf16`` bits as ``f32``; exact."""
    if kind == "bf16":
        wide = e.cast("zext", bits, I32)
        return e.builder.bitcast(e.builder.shl(wide, e.constant(wide, 16)), like(bits.type, F32))
    if not converts_half():
        return half.widen(e, bits)
    return e.cast("fpext", e.builder.bitcast(bits, like(bits.type, F16)), F32)


def float_to_half(e: Emitter, value: Value, kind: str) -> Value:
    """``f32`` rounded to nearest even, as 16 bits."""
    if kind == "f16" and not converts_half():
        return half.narrow(e, value)
    if kind == "f16":
        return e.builder.bitcast(e.cast("fptrunc", value, F16), like(value.type, I16))
    b = e.builder
    bits = e.bits(value)
    odd = b.and_(b.lshr(bits, e.constant(bits, 16)), e.constant(bits, 1))
    rounded = b.lshr(b.add(bits, b.add(odd, e.constant(bits, 0x7FFF))), e.constant(bits, 16))
    nan = b.fcmp_unordered("uno", value, value)
    return e.cast("trunc", e.select(nan, e.constant(rounded, 0x7FFF), rounded), I16)


def double_to_float_odd(e: Emitter, value: Value) -> Value:
    """``f64`` to ``f32`` rounded to odd, so that rounding once more to 16 bits is exact rounding."""
    b = e.builder
    near = e.cast("fptrunc", value, F32)
    back = e.cast("fpext", near, F64)
    inexact = b.fcmp_ordered("!=", back, value)
    too_big = b.fcmp_ordered(">", e.intrinsic("llvm.fabs", back), e.intrinsic("llvm.fabs", value))
    bits = e.bits(near)
    toward_zero = e.select(too_big, b.sub(bits, e.constant(bits, 1)), bits)
    odd = b.or_(toward_zero, e.constant(bits, 1))
    return b.bitcast(e.select(inexact, odd, bits), near.type)


def upper(e: Emitter, pair: Value) -> Value:
    return e.cast("trunc", e.builder.lshr(pair, e.constant(pair, 16)), I16)


def pack(e: Emitter, low: Value, high: Value) -> Value:
    """Two 16-bit values as one of 32 bits."""
    wide = e.cast("zext", high, I32)
    return e.builder.or_(e.builder.shl(wide, e.constant(wide, 16)), e.cast("zext", low, I32))


def on_pairs(e: Emitter, form: Form, operation: Operation, *values: Value) -> Value:
    """sm_100: run ``operation`` on both ``f32`` halves of 64-bit registers."""

    def half(value: Value, shift: int) -> Value:
        bits = e.builder.lshr(value, e.constant(value, shift)) if shift else value
        narrow = e.cast("trunc", bits, I32)
        return e.builder.bitcast(narrow, like(narrow.type, F32))

    def one(shift: int) -> Value:
        parts = [half(value, shift) for value in values]
        ftz = "ftz" in form.optional
        result = operation(*([flush(e, p) for p in parts] if ftz else parts))
        return e.cast("zext", e.bits(flush(e, result) if ftz else result), I64)

    high = one(32)
    return e.builder.or_(e.builder.shl(high, e.constant(high, 32)), one(0))


@instruction("add[.rn][.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def add_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, e.builder.fadd, a, b)


@instruction("sub[.rn][.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def sub_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, e.builder.fsub, a, b)


@instruction("mul[.rn][.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def mul_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, e.builder.fmul, a, b)


@instruction("fma.rn[.ftz].f32x2", reads=("b64", "b64", "b64"), writes="b64")
def fma_pair(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return on_pairs(e, form, lambda *v: e.intrinsic("llvm.fma", *v), a, b, c)
