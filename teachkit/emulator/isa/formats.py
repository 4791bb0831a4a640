"""Numbers of one floating-point format in another, and two of 16 bits in a register: what other families are made of.

Where the processor has no instruction for half precision (F16C), 32-bit integers give the same bits.
"""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.processor import converts_half
from teachkit.emulator.engine.shapes import F16, F32, F64, I16, I32, Value, like


def half_to_float(e: Emitter, bits: Value, kind: str) -> Value:
    """``f16`` or ``bf16`` bits as ``f32``; exact."""
    if kind == "bf16":
        wide = e.cast("zext", bits, I32)
        return e.builder.bitcast(e.builder.shl(wide, e.constant(wide, 16)), like(bits.type, F32))
    if not converts_half():
        return _widened(e, bits)
    return e.cast("fpext", e.builder.bitcast(bits, like(bits.type, F16)), F32)


def float_to_half(e: Emitter, value: Value, kind: str) -> Value:
    """``f32`` rounded to nearest even, as 16 bits."""
    if kind == "f16" and not converts_half():
        return _narrowed(e, value)
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


_HALF_INFINITY = 0x7C00
_REBIAS = (127 - 15) << 23  # from the exponent of a half, in its place in a single, to the single's
_SMALLEST_NORMAL = (127 - 14) << 23  # 2**-14, the least normal half
_TOO_LARGE = (127 + 16) << 23  # 2**16
_QUIET = 0x0200
# Added to a value below 2**-14, this leaves the half's subnormal bits at the end of the sum, rounded.
_ALIGN = (127 - 14 + 13) << 23


def _widened(e: Emitter, bits: Value) -> Value:
    """``f16`` bits as ``f32``, for a processor without F16C."""
    b = e.builder
    wide = e.cast("zext", bits, I32)
    size = b.and_(wide, e.constant(wide, 0x7FFF))
    moved = b.shl(size, e.constant(size, 13))
    normal = b.add(moved, e.constant(moved, _REBIAS))
    special = b.or_(moved, e.constant(moved, 0x7F800000))
    quiet = b.or_(special, e.constant(special, _QUIET << 13))
    special = e.select(b.icmp_unsigned(">", size, e.constant(size, _HALF_INFINITY)), quiet, special)
    one_up = b.bitcast(b.add(moved, e.constant(moved, _SMALLEST_NORMAL)), like(moved.type, F32))
    smallest = b.bitcast(e.constant(moved, _SMALLEST_NORMAL), one_up.type)
    subnormal = e.bits(b.fsub(one_up, smallest))
    value = e.select(b.icmp_unsigned("<", size, e.constant(size, 0x0400)), subnormal, normal)
    value = e.select(b.icmp_unsigned(">=", size, e.constant(size, _HALF_INFINITY)), special, value)
    sign = b.shl(b.and_(wide, e.constant(wide, 0x8000)), e.constant(wide, 16))
    return b.bitcast(b.or_(value, sign), one_up.type)


def _narrowed(e: Emitter, value: Value) -> Value:
    """``f32`` rounded to the nearest even ``f16``, for a processor without F16C; NaN is made quiet, as there."""
    b = e.builder
    bits = e.bits(value)
    size = b.and_(bits, e.constant(bits, 0x7FFFFFFF))
    payload = b.and_(b.lshr(size, e.constant(size, 13)), e.constant(size, 0x03FF))
    nan = b.or_(payload, e.constant(payload, _HALF_INFINITY | _QUIET))
    infinite = e.constant(size, _HALF_INFINITY)
    large = e.select(b.icmp_unsigned(">", size, e.constant(size, 0x7F800000)), nan, infinite)
    align = b.bitcast(e.constant(size, _ALIGN), value.type)
    small = b.sub(e.bits(b.fadd(b.bitcast(size, value.type), align)), e.constant(size, _ALIGN))
    odd = b.and_(b.lshr(size, e.constant(size, 13)), e.constant(size, 1))
    rounded = b.add(b.sub(size, e.constant(size, _REBIAS - 0xFFF)), odd)
    result = b.lshr(rounded, e.constant(rounded, 13))
    result = e.select(b.icmp_unsigned("<", size, e.constant(size, _SMALLEST_NORMAL)), small, result)
    result = e.select(b.icmp_unsigned(">=", size, e.constant(size, _TOO_LARGE)), large, result)
    sign = b.and_(b.lshr(bits, e.constant(bits, 16)), e.constant(bits, 0x8000))
    return e.cast("trunc", b.or_(result, sign), I16)
