"""Integer arithmetic, logic and bit manipulation. Source: PTX ISA, "Integer Arithmetic" and "Logic and Shift"."""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once, written_once_unless_known
from teachkit.emulator.engine.shapes import F64, I32, I64, WIDTHS, Value, is_vector
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand, PredicatePair

INTEGERS = "s16|u16|s32|u32|s64|u64"


def _signed(form: Form) -> bool:
    return form.type.startswith("s")


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


@written_once
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
    return e.cast("sext" if _signed(form) else "zext", value, ir.IntType(2 * WIDTHS[form.type]))


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
        to = "sitofp" if _signed(form) else "uitofp"
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
    if not _signed(form):
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
    return e.intrinsic("llvm.smin" if _signed(form) else "llvm.umin", a, b)


@instruction(f"max.({INTEGERS})")
def maximum(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.intrinsic("llvm.smax" if _signed(form) else "llvm.umax", a, b)


@instruction("neg.(s16|s32|s64)", reads=("T",))
def neg(e: Emitter, form: Form, a: Value) -> Value:
    return e.builder.neg(a)


@instruction("abs.(s16|s32|s64)", reads=("T",))
def absolute(e: Emitter, form: Form, a: Value) -> Value:
    negative = e.builder.icmp_signed("<", a, e.constant(a, 0))
    return e.select(negative, e.builder.neg(a), a)


@instruction("and.(pred|b16|b32|b64)")
def and_(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.and_(a, b)


@instruction("or.(pred|b16|b32|b64)")
def or_(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.or_(a, b)


@instruction("xor.(pred|b16|b32|b64)")
def xor(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.xor(a, b)


@instruction("not.(pred|b16|b32|b64)", reads=("T",))
def not_(e: Emitter, form: Form, a: Value) -> Value:
    return e.builder.not_(a)


@instruction("cnot.(b16|b32|b64)", reads=("T",))
def cnot(e: Emitter, form: Form, a: Value) -> Value:
    return e.select(e.builder.icmp_unsigned("==", a, e.constant(a, 0)), e.constant(a, 1), e.constant(a, 0))


@instruction("shl.(b16|b32|b64)", reads=("T", "u32"))
@written_once_unless_known(behind=1)
def shl(e: Emitter, form: Form, a: Value, amount: Value) -> Value:
    """PTX clamps the amount to the width; LLVM leaves it undefined."""
    return _shift(e, "shl", a, amount)


@instruction("shr.(b16|b32|b64|u16|u32|u64|s16|s32|s64)", reads=("T", "u32"))
@written_once_unless_known(behind=1)
def shr(e: Emitter, form: Form, a: Value, amount: Value) -> Value:
    if not _signed(form):
        return _shift(e, "lshr", a, amount)
    width = WIDTHS[form.type]
    if isinstance(amount, ir.Constant) and amount.number is not None:
        return e.builder.ashr(a, e.constant(a, min(amount.number % (1 << 32), width - 1)))
    most = e.intrinsic("llvm.umin", amount, e.constant(amount, width - 1))
    return e.builder.ashr(a, _fit(e, most, width))


def _shift(e: Emitter, kind: str, a: Value, amount: Value) -> Value:
    width = a.type.element.width if is_vector(a) else a.type.width
    if isinstance(amount, ir.Constant) and amount.number is not None:
        n = amount.number % (1 << 32)
        return getattr(e.builder, kind)(a, e.constant(a, n)) if n < width else e.constant(a, 0)
    too_far = e.builder.icmp_unsigned(">=", amount, e.constant(amount, width))
    within = e.builder.and_(amount, e.constant(amount, width - 1))
    shifted = getattr(e.builder, kind)(a, _fit(e, within, width))
    return e.select(too_far, e.constant(a, 0), shifted)


def _fit(e: Emitter, amount: Value, width: int) -> Value:
    if width == 32:
        return amount
    return e.cast("zext" if width > 32 else "trunc", amount, ir.IntType(width))


@instruction("shf.(l|r).(wrap|clamp).b32", reads=("b32", "b32", "u32"), writes="b32")
@written_once_unless_known(behind=2)
def shf(e: Emitter, form: Form, low: Value, high: Value, amount: Value) -> Value:
    """Funnel shift of the 64 bits (high, low): the upper word of a left shift, the lower of a right one."""
    b, (direction, mode) = e.builder, form.required[:2]
    if isinstance(amount, ir.Constant) and amount.number is not None:
        n = amount.number % 32 if mode == "wrap" else min(amount.number % (1 << 32), 32)
        left = n if direction == "l" else 32 - n
        if left in (0, 32):
            return low if left else high
        return b.or_(b.shl(high, e.constant(high, left)), b.lshr(low, e.constant(low, 32 - left)))
    if mode == "wrap":
        amount = b.and_(amount, e.constant(amount, 31))
    else:
        amount = e.intrinsic("llvm.umin", amount, e.constant(amount, 32))
    both = b.or_(b.shl(e.cast("zext", high, I64), e.constant(e.cast("zext", high, I64), 32)), e.cast("zext", low, I64))
    distance = e.cast("zext", amount, I64)
    if direction == "r":
        return e.cast("trunc", b.lshr(both, distance), I32)
    shifted = b.shl(both, distance)
    return e.cast("trunc", b.lshr(shifted, e.constant(shifted, 32)), I32)


@instruction("bfe.(u32|u64|s32|s64)", reads=("T", "u32", "u32"))
@written_once_unless_known(behind=1)
def bfe(e: Emitter, form: Form, a: Value, position: Value, length: Value) -> Value:
    """Extract a bit field; past the top bit a signed field repeats the sign, an unsigned one is zero."""
    b, width = e.builder, WIDTHS[form.type]
    position = b.and_(position, e.constant(position, 255))
    length = b.and_(length, e.constant(length, 255))
    if not _signed(form):
        field = _shift(e, "lshr", a, position)
        mask = b.not_(_shift(e, "shl", e.constant(a, -1), length))
        return b.and_(field, mask)
    # Move the field's top bit to the register's, then shift back arithmetically.
    end = b.add(position, length)
    inside = e.intrinsic("llvm.umin", end, e.constant(end, width))
    left = b.sub(e.constant(inside, width), inside)
    raised = b.shl(a, _fit(e, b.and_(left, e.constant(left, width - 1)), width))
    kept = e.intrinsic("llvm.umin", b.add(left, position), e.constant(position, width - 1))
    field = b.ashr(raised, _fit(e, kept, width))
    beyond = b.icmp_unsigned(">=", position, e.constant(position, width))
    field = e.select(beyond, b.ashr(a, e.constant(a, width - 1)), field)
    return e.select(b.icmp_unsigned("==", length, e.constant(length, 0)), e.constant(a, 0), field)


@instruction("bfi.(b32|b64)", reads=("T", "T", "u32", "u32"))
@written_once_unless_known(behind=2)
def bfi(e: Emitter, form: Form, field: Value, into: Value, position: Value, length: Value) -> Value:
    b = e.builder
    position = b.and_(position, e.constant(position, 255))
    length = b.and_(length, e.constant(length, 255))
    mask = _shift(e, "shl", b.not_(_shift(e, "shl", e.constant(into, -1), length)), position)
    return b.or_(b.and_(_shift(e, "shl", field, position), mask), b.and_(into, b.not_(mask)))


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


@instruction("lop3.b32", reads=("b32", "b32", "b32", "u32"), writes="b32")
def lop3(e: Emitter, form: Form, a: Value, b: Value, c: Value, table: Value) -> Value:
    """Any function of three bits: bit (4a + 2b + c) of the table is its value."""
    build = e.builder
    if isinstance(table, ir.Constant) and table.number is not None:
        return _known_function(e, table.number & 0xFF, *e.alike(a, b, c))
    result = e.constant(a, 0)
    inputs = {bit: (build.not_(value), value) for bit, value in ((4, a), (2, b), (1, c))}
    for case in range(8):
        term = e.constant(a, -1)
        for bit, value in inputs.items():
            term = build.and_(term, value[bool(case & bit)])
        listed = build.and_(build.lshr(table, e.constant(table, case)), e.constant(table, 1))
        result = build.or_(result, build.and_(term, build.neg(listed)))
    return result


def _known_function(e: Emitter, table: int, *inputs: Value) -> Value:
    """A function of bits by its table, as a sum modulo 2 of products: one exclusive or, one and, for each input.

    With the last input 0 it is one function of the others, with it 1 another: f = f0 ^ (input & (f0 ^ f1)).
    """
    b = e.builder
    if not inputs:
        return I32(-(table & 1))
    *others, last = inputs
    n_cases = 1 << len(others)
    zeros, ones = (sum((table >> (2 * case + bit) & 1) << case for case in range(n_cases)) for bit in (0, 1))
    same, changed = _known_function(e, zeros, *others), zeros ^ ones
    if not changed:
        return same
    is_always = changed == (1 << n_cases) - 1
    toggled = last if is_always else b.and_(*e.alike(last, _known_function(e, changed, *others)))
    if not zeros:
        return toggled
    return b.xor(*e.alike(same, toggled))


@instruction("lop3.(or|and).b32", reads=None)
def lop3_predicate(e: Emitter, form: Form, target: Operand, *sources: Operand) -> None:
    """The second destination says whether the result is not zero, combined with a boolean source."""
    if not isinstance(target, PredicatePair) or len(sources) != 5:
        raise e.unsupported(f"{len(sources) + 1} operands")
    values = e.alike(*(e.read(operand, "b32") for operand in sources[:4]))
    result = lop3(e, form, *values)
    nonzero = e.builder.icmp_unsigned("!=", result, e.constant(result, 0))
    combine = e.builder.or_ if form.required[0] == "or" else e.builder.and_
    truth = combine(*e.alike(nonzero, e.read(sources[4], "pred")))
    e.write(target.first, result, "b32")
    e.write(target.second, truth, "pred")


@instruction("popc.(b32|b64)", reads=("T",), writes="u32")
@written_once
def popc(e: Emitter, form: Form, a: Value) -> Value:
    return _to_u32(e, e.intrinsic("llvm.ctpop", a))


@instruction("brev.(b32|b64)", reads=("T",))
def brev(e: Emitter, form: Form, a: Value) -> Value:
    return e.intrinsic("llvm.bitreverse", a)


@instruction("clz.(b32|b64)", reads=("T",), writes="u32")
@written_once
def clz(e: Emitter, form: Form, a: Value) -> Value:
    return _to_u32(e, count_leading(e, a))


@instruction("bfind[.shiftamt].(u32|s32|u64|s64)", reads=("T",), writes="u32")
@written_once
def bfind(e: Emitter, form: Form, a: Value) -> Value:
    """Position of the highest bit that differs from the sign, all ones where there is none."""
    b, width = e.builder, WIDTHS[form.type]
    if _signed(form):
        a = b.xor(a, b.ashr(a, e.constant(a, width - 1)))
    leading = _to_u32(e, count_leading(e, a))
    found = leading if "shiftamt" in form.optional else b.sub(e.constant(leading, width - 1), leading)
    none = b.icmp_unsigned("==", leading, e.constant(leading, width))
    return e.select(none, e.constant(leading, -1), found)


def count_leading(e: Emitter, a: Value) -> Value:
    suffix = f"v32i{a.type.element.width}" if is_vector(a) else f"i{a.type.width}"
    name = f"llvm.ctlz.{suffix}"
    function = e.module.globals.get(name) or ir.Function(
        e.module, ir.FunctionType(a.type, [a.type, ir.IntType(1)]), name
    )
    return e.builder.call(function, [a, ir.Constant(ir.IntType(1), 0)])


def _to_u32(e: Emitter, value: Value) -> Value:
    width = value.type.element.width if is_vector(value) else value.type.width
    return value if width == 32 else e.cast("trunc", value, I32)
