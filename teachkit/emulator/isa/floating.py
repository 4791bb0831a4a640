"""Floating-point arithmetic in 32 and 64 bits.

``add`` and ``mul`` are rounded each; ``ptxas`` may fuse them where the opcode leaves that open, so no bit parity with
hardware is claimed. Not modelled: the sign and payload of a NaN, which are the host's; PTX makes every NaN 0x7fffffff.
Source: PTX ISA, "Floating Point Instructions".
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import once, written_once_where
from teachkit.emulator.engine.shapes import Value, is_vector
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
