"""Floating-point arithmetic in 16 bits, one number or two in a register: computed in ``f32``, rounded once more.

Source: PTX ISA, "Half Precision Floating Point Instructions".
"""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once
from teachkit.emulator.engine.paths import either
from teachkit.emulator.engine.shapes import F64, I16, I32, Value, is_vector
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
    return _halves(e, form, _in_range(e, form, e.builder.fmul), a, b)


@instruction("fma.rn[.ftz][.sat|.relu].(f16|f16x2)", "fma.rn[.relu].(bf16|bf16x2)", reads=("T", "T", "T"))
def fma_half(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    """Before sm_90 a compiler has no other way to add ``bf16`` than a product by 1, and to multiply than to add -0."""
    one, sign = _ONE[form.type.removesuffix("x2")], 0x8000
    result: Value
    if _is(form, b, one):
        result = add_half(e, form, a, c)
    elif _is(form, b, one | sign):
        result = sub_half(e, form, c, a)
    else:
        result = mul_half(e, form, a, b) if _is(form, c, sign) else _fused(e, form, a, b, c)
    return result


_ONE = {"f16": 0x3C00, "bf16": 0x3F80}


def _is(form: Form, value: Value, number: int) -> bool:
    """Whether the value is known to be this number, or twice this number in a pair."""
    known = value.number if isinstance(value, ir.Constant) else None
    return known == (number * 0x10001 if form.type.endswith("x2") else number)


@written_once
def _fused(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    def sum_of(x: Value, y: Value, z: Value) -> Value:
        return _sum_to_odd(e, e.builder.fmul(x, y), z)

    return _halves(e, form, _in_range(e, form, sum_of), a, b, c)


def _in_range(e: Emitter, form: Form, operation: Operation) -> Operation:
    """An operation on the product of two halves, each bit of which a single holds. Where that of two ``bf16`` is out of
    a single's range, in some lane, it is done in double."""
    if not form.type.startswith("bf16"):
        return operation

    def choose(*values: Value) -> Value:
        def apart() -> list[Value]:
            return [double_to_float_odd(e, operation(*(e.cast("fpext", value, F64) for value in values)))]

        return either(e, [_is_normal(e, *values[:2])], lambda: [operation(*values)], apart)[0]

    return choose


def _is_normal(e: Emitter, x: Value, y: Value) -> Value:
    """Whether in every lane the product of two ``f32`` is a normal number, or one of them is zero."""
    b = e.builder
    product, size_x, size_y = (b.and_(bits, e.constant(bits, 0x7FFFFFFF)) for bits in map(e.bits, (b.fmul(x, y), x, y)))
    smallest, n_normal = 1 << 23, 0xFE << 23
    is_out = b.icmp_unsigned(">=", b.sub(product, e.constant(product, smallest)), e.constant(product, n_normal))
    is_zero = b.icmp_unsigned("==", e.intrinsic("llvm.umin", size_x, size_y), e.constant(size_x, 0))
    return b.icmp_unsigned("==", e.lane_bits(b.and_(is_out, b.not_(is_zero))), I32(0))


def _sum_to_odd(e: Emitter, a: Value, b: Value) -> Value:
    """Sum of two floats, rounded to odd: a term far below the other still says which way a tie goes.

    Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B (the error of a sum is a float).
    """
    build = e.builder
    near = build.fadd(a, b)
    of_b = build.fsub(near, a)
    error = build.fadd(build.fsub(a, build.fsub(near, of_b)), build.fsub(b, of_b))
    bits = e.bits(near)
    width = bits.type.element.width if is_vector(bits) else bits.type.width
    one_less = build.ashr(build.xor(bits, e.bits(error)), e.constant(bits, width - 1))  # -1 where signs differ
    odd = build.or_(build.add(bits, one_less), e.constant(bits, 1))
    inexact = build.fcmp_ordered("!=", error, e.constant(error, 0.0))
    return build.bitcast(e.select(inexact, odd, bits), near.type)


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
