"""Floating-point arithmetic in 16 bits, one number or two in a register: computed in ``f32``, rounded once more.

Source: PTX ISA, "Half Precision Floating Point Instructions".
"""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once
from teachkit.emulator.engine.shapes import F64, I16, Value, is_vector
from teachkit.emulator.isa.floating import Operation, relu
from teachkit.emulator.isa.formats import double_to_float_odd, float_to_half, half_to_float, pack, upper
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.isa.transcendental import exp2, tanh

HALVES = "f16|f16x2|bf16|bf16x2"


def _halves(e: Emitter, form: Form, operation: Operation, *values: Value) -> Value:
    """Run ``operation`` on 16-bit floats in ``f32``, or on both halves of a packed pair."""
    kind = form.type.removesuffix("x2")

    def one(*bits: Value) -> Value:
        result = operation(*(half_to_float(e, _flushed(e, form, v), kind) for v in bits))
        if "relu" in form.optional:
            result = relu(e, result)
        if "sat" in form.optional:
            low = e.intrinsic("llvm.maximumnum", result, e.constant(result, 0.0))
            result = e.intrinsic("llvm.minimumnum", low, e.constant(result, 1.0))
        return _flushed(e, form, float_to_half(e, result, kind))

    if not form.type.endswith("x2"):
        return one(*values)
    return pack(e, one(*(e.cast("trunc", v, I16) for v in values)), one(*(upper(e, v) for v in values)))


def _flushed(e: Emitter, form: Form, bits: Value) -> Value:
    """With ``.ftz`` a subnormal ``f16`` becomes a zero of its sign, in one or both halves of a register."""
    if "ftz" not in form.optional:
        return bits
    width = (bits.type.element if is_vector(bits) else bits.type).width
    if width == 32:
        return pack(e, *(_flushed(e, form, half) for half in (e.cast("trunc", bits, I16), upper(e, bits))))
    b = e.builder
    is_tiny = b.icmp_unsigned("==", b.and_(bits, e.constant(bits, 0x7C00)), e.constant(bits, 0))
    return e.select(is_tiny, b.and_(bits, e.constant(bits, 0x8000)), bits)


@instruction("add[.rn][.ftz][.sat].(f16|f16x2)", "add[.rn].(bf16|bf16x2)")
@written_once
def add_half(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _halves(e, form, e.builder.fadd, a, b)


@instruction("sub[.rn][.ftz][.sat].(f16|f16x2)", "sub[.rn].(bf16|bf16x2)")
@written_once
def sub_half(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _halves(e, form, e.builder.fsub, a, b)


@instruction("mul[.rn][.ftz][.sat].(f16|f16x2)", "mul[.rn].(bf16|bf16x2)")
@written_once
def mul_half(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _halves(e, form, e.builder.fmul, a, b)


@instruction("fma.rn[.ftz][.sat|.relu].(f16|f16x2)", "fma.rn[.relu].(bf16|bf16x2)", reads=("T", "T", "T"))
@written_once
def fma_half(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    """A double holds the exact product, and of ``f16`` the sum well enough to round once."""
    fused = _sum_to_odd if form.type.startswith("bf16") else lambda e, p, c: e.builder.fadd(p, c)

    def run(*values: Value) -> Value:
        x, y, z = (e.cast("fpext", v, F64) for v in values)
        return double_to_float_odd(e, fused(e, e.builder.fmul(x, y), z))

    return _halves(e, form, run, a, b, c)


def _sum_to_odd(e: Emitter, a: Value, b: Value) -> Value:
    """Sum of two doubles, rounded to odd: a term far below the other still says which way a tie goes.

    Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B (the error of a sum is a float).
    """
    build = e.builder
    near = build.fadd(a, b)
    of_b = build.fsub(near, a)
    error = build.fadd(build.fsub(a, build.fsub(near, of_b)), build.fsub(b, of_b))
    bits, none = e.bits(near), e.constant(error, 0.0)
    too_big = build.fcmp_ordered(
        "<", build.fmul(e.intrinsic("llvm.copysign", e.constant(error, 1.0), near), error), none
    )
    toward_zero = e.select(too_big, build.sub(bits, e.constant(bits, 1)), bits)
    odd = build.or_(toward_zero, e.constant(bits, 1))
    return build.bitcast(e.select(build.fcmp_ordered("!=", error, none), odd, bits), near.type)


@instruction("min[.ftz][.NaN].(f16|f16x2)", "min[.NaN].(bf16|bf16x2)")
@written_once
def min_half(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    name = "llvm.minimum" if "NaN" in form.optional else "llvm.minimumnum"
    return _halves(e, form, lambda *v: e.intrinsic(name, *v), a, b)


@instruction("max[.ftz][.NaN].(f16|f16x2)", "max[.NaN].(bf16|bf16x2)")
@written_once
def max_half(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    name = "llvm.maximum" if "NaN" in form.optional else "llvm.maximumnum"
    return _halves(e, form, lambda *v: e.intrinsic(name, *v), a, b)


@instruction("neg[.ftz].(f16|f16x2)", "neg.(bf16|bf16x2)", reads=("T",))
def neg_half(e: Emitter, form: Form, a: Value) -> Value:
    signs = 0x80008000 if form.type.endswith("x2") else 0x8000
    return e.builder.xor(_flushed(e, form, a), e.constant(a, signs))


@instruction("abs[.ftz].(f16|f16x2)", "abs.(bf16|bf16x2)", reads=("T",))
def abs_half(e: Emitter, form: Form, a: Value) -> Value:
    magnitude = 0x7FFF7FFF if form.type.endswith("x2") else 0x7FFF
    return e.builder.and_(_flushed(e, form, a), e.constant(a, magnitude))


@instruction("ex2.approx.(f16|f16x2)", "ex2.approx.ftz.(bf16|bf16x2)", reads=("T",))
@written_once
def ex2_half(e: Emitter, form: Form, a: Value) -> Value:
    return _halves(e, form, lambda v: exp2(e, v), a)


@instruction(f"tanh.approx.({HALVES})", reads=("T",))
@written_once
def tanh_half(e: Emitter, form: Form, a: Value) -> Value:
    return _halves(e, form, lambda v: tanh(e, form, v), a)
