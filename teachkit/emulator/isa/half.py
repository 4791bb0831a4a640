"""Half precision to single and back with 32-bit integers, for processors that have no instruction for it.

The bits are those that F16C makes: rounded to nearest even, subnormals kept, NaN made quiet.
"""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import F32, I16, I32, Value, like

_HALF_INFINITY = 0x7C00
_REBIAS = (127 - 15) << 23  # from the exponent of a half, in its place in a single, to the single's
_SMALLEST_NORMAL = (127 - 14) << 23  # 2**-14, the least normal half
_TOO_LARGE = (127 + 16) << 23  # 2**16
_QUIET = 0x0200
# Added to a value below 2**-14, this leaves the half's subnormal bits at the end of the sum, rounded.
_ALIGN = (127 - 14 + 13) << 23


def widen(e: Emitter, bits: Value) -> Value:
    """``f16`` bits as ``f32``."""
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


def narrow(e: Emitter, value: Value) -> Value:
    """``f32`` rounded to the nearest even ``f16``, as its bits."""
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
