"""Shifts and bit fields: ``shl``, ``shr``, ``shf``, ``bfe``, ``bfi``.

Source: PTX ISA, "Logic and Shift" and, for bit fields, "Integer Arithmetic".
"""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once_unless_known
from teachkit.emulator.engine.shapes import I32, I64, WIDTHS, Value, is_vector
from teachkit.emulator.isa.table import Form, instruction


@instruction("shl.(b16|b32|b64)", reads=("T", "u32"))
@written_once_unless_known(behind=1)
def shl(e: Emitter, form: Form, a: Value, amount: Value) -> Value:
    """PTX clamps the amount to the width; LLVM leaves it undefined."""
    return _shift(e, "shl", a, amount)


@instruction("shr.(b16|b32|b64|u16|u32|u64|s16|s32|s64)", reads=("T", "u32"))
@written_once_unless_known(behind=1)
def shr(e: Emitter, form: Form, a: Value, amount: Value) -> Value:
    if not form.is_signed:
        return _shift(e, "lshr", a, amount)
    width = WIDTHS[form.type]
    if isinstance(amount, ir.Constant) and amount.number is not None:
        return e.builder.ashr(a, e.constant(a, min(amount.number % (1 << 32), width - 1)))
    most = e.intrinsic("llvm.umin", amount, e.constant(amount, width - 1))
    return e.builder.ashr(a, _fit(e, most, width))


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
    if not form.is_signed:
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
