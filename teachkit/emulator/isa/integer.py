"""Integer arithmetic. Source: PTX ISA, "Integer Arithmetic"."""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once, written_once_where
from teachkit.emulator.engine.shapes import F64, WIDTHS, Value
from teachkit.emulator.isa.table import Form, instruction

INTEGERS = "s16|u16|s32|u32|s64|u64"


@instruction(f"add.({INTEGERS})")
def add(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.add(a, b)


@instruction(f"sub.({INTEGERS})")
def sub(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.sub(a, b)


@instruction("add.sat.s32")
@written_once
def add_sat(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.intrinsic("llvm.sadd.sat", a, b)


@instruction("sub.sat.s32")
@written_once
def sub_sat(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.intrinsic("llvm.ssub.sat", a, b)


@instruction(f"sad.({INTEGERS})", reads=("T", "T", "T"))
def sad(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    """|a - b| + c."""
    return e.builder.add(c, e.builder.sub(maximum(e, form, a, b), minimum(e, form, a, b)))


@instruction(f"mul.lo.({INTEGERS})")
def mul_lo(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.mul(a, b)


@instruction(f"mad.lo.({INTEGERS})", reads=("T", "T", "T"))
def mad_lo(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return e.builder.add(e.builder.mul(a, b), c)


@instruction(f"mul.hi.({INTEGERS})")
def mul_hi(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _upper_product(e, form, *e.alike(a, b))


# Of 64 bits it is long. Of 32 the processor has it, and random numbers are made of little else.
@written_once_where(lambda form, _: WIDTHS[form.type] == 64)
def _upper_product(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    width = WIDTHS[form.type]
    product = e.builder.mul(*(_widen(e, form, v) for v in (a, b)))
    high = e.builder.lshr(product, e.constant(product, width))
    return e.cast("trunc", high, ir.IntType(width))


@instruction(f"mad.hi.({INTEGERS})", reads=("T", "T", "T"))
def mad_hi(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return e.builder.add(mul_hi(e, form, a, b), c)


@instruction("mad.hi.sat.s32", reads=("T", "T", "T"))
def mad_hi_sat(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return e.intrinsic("llvm.sadd.sat", mul_hi(e, form, a, b), c)


@instruction("mul.wide.(u16|s16)", writes="b32")
@instruction("mul.wide.(u32|s32)", writes="b64")
def mul_wide(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.mul(_widen(e, form, a), _widen(e, form, b))


@instruction("mad.wide.(u16|s16)", reads=("T", "T", "b32"), writes="b32")
@instruction("mad.wide.(u32|s32)", reads=("T", "T", "b64"), writes="b64")
def mad_wide(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return e.builder.add(mul_wide(e, form, a, b), c)


def _widen(e: Emitter, form: Form, value: Value) -> Value:
    return e.cast("sext" if form.is_signed else "zext", value, ir.IntType(2 * WIDTHS[form.type]))


@instruction(f"div.({INTEGERS})")
@written_once
def div(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _quotient(e, form, a, b)


def _quotient(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    """Truncates. Dividing by zero gives all ones, as hardware does; no lane can stop the process."""
    if WIDTHS[form.type] == 64:
        quotient = _divide_64(e, form, a, b)
    else:
        # A double holds every 32-bit integer, and its quotient is too far from the next integer to round to it.
        to = "sitofp" if form.is_signed else "uitofp"
        zero = e.builder.icmp_unsigned("==", b, e.constant(b, 0))
        divisor = e.select(zero, e.constant(b, 1), b)
        ratio = e.builder.fdiv(e.cast(to, a, F64), e.cast(to, divisor, F64))
        # Processors have few instructions from doubles to integers. Beside this number the integer is the low bits.
        whole = e.builder.fadd(e.intrinsic("llvm.trunc", ratio), e.constant(ratio, 1.5 * 2.0**52))
        quotient = e.cast("trunc", e.bits(whole), ir.IntType(WIDTHS[form.type]))
    zero = e.builder.icmp_unsigned("==", b, e.constant(b, 0))
    return e.select(zero, e.constant(a, -1), quotient)


def _divide_64(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    divisor = e.select(e.builder.icmp_unsigned("==", b, e.constant(b, 0)), e.constant(b, 1), b)
    if not form.is_signed:
        return e.builder.udiv(a, divisor)
    # The one overflow, least / -1, wraps to least; the processor would trap.
    minus_one = e.builder.icmp_unsigned("==", b, e.constant(b, -1))
    quotient = e.builder.sdiv(a, e.select(minus_one, e.constant(b, 1), divisor))
    return e.select(minus_one, e.builder.neg(a), quotient)


@instruction(f"rem.({INTEGERS})")
@written_once
def rem(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    """The remainder has the dividend's sign; with a divisor of zero it is the dividend."""
    zero = e.builder.icmp_unsigned("==", b, e.constant(b, 0))
    rest = e.builder.sub(a, e.builder.mul(_quotient(e, form, a, b), b))
    return e.select(zero, a, rest)


@instruction(f"min.({INTEGERS})")
def minimum(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.intrinsic("llvm.smin" if form.is_signed else "llvm.umin", a, b)


@instruction(f"max.({INTEGERS})")
def maximum(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.intrinsic("llvm.smax" if form.is_signed else "llvm.umax", a, b)


@instruction("neg.(s16|s32|s64)", reads=("T",))
def neg(e: Emitter, form: Form, a: Value) -> Value:
    return e.builder.neg(a)


@instruction("abs.(s16|s32|s64)", reads=("T",))
def absolute(e: Emitter, form: Form, a: Value) -> Value:
    negative = e.builder.icmp_signed("<", a, e.constant(a, 0))
    return e.select(negative, e.builder.neg(a), a)


@instruction("dp4a.(u32|s32).(u32|s32)", reads=("b32", "b32", "b32"), writes="b32")
@written_once
def dp4a(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    """The dot product of two vectors of four bytes, added to the third source."""
    return _dot(e, form, a, b, c, [(8 * i, 8, 8 * i, 8) for i in range(4)])


@instruction("dp2a.(lo|hi).(u32|s32).(u32|s32)", reads=("b32", "b32", "b32"), writes="b32")
@written_once
def dp2a(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    """Two 16-bit numbers times two bytes, those of the second source's lower or upper half."""
    start = 16 if form.required[0] == "hi" else 0
    return _dot(e, form, a, b, c, [(16 * i, 16, start + 8 * i, 8) for i in range(2)])


def _dot(e: Emitter, form: Form, a: Value, b: Value, c: Value, fields: list[tuple[int, int, int, int]]) -> Value:
    def field(value: Value, kind: str, start: int, width: int) -> Value:
        raised = e.builder.shl(value, e.constant(value, 32 - width - start))
        shift = e.builder.ashr if kind == "s32" else e.builder.lshr
        return shift(raised, e.constant(value, 32 - width))

    kind_a, kind_b = form.required[-2:]
    for at_a, width_a, at_b, width_b in fields:
        product = e.builder.mul(field(a, kind_a, at_a, width_a), field(b, kind_b, at_b, width_b))
        c = e.builder.add(c, product)
    return c
