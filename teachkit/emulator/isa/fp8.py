"""Conversions of the two 8-bit floating-point formats, e4m3 and e5m2.

Source: PTX ISA, "cvt", "Alternate Floating-Point Data Formats".
"""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once
from teachkit.emulator.engine.shapes import I8, I16, Value
from teachkit.emulator.isa.formats import float_to_half, half_to_float, pack, upper
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand

_FRACTION_BITS = {"e4m3x2": 3, "e5m2x2": 2}
_LARGEST = {"e4m3x2": (448.0, 0x7E), "e5m2x2": (57344.0, 0x7B)}
_LEAST_NORMAL_EXPONENT = {"e4m3x2": -6, "e5m2x2": -14}
_NAN = 0x7F


@instruction("cvt.rn.satfinite[.relu].(e4m3x2|e5m2x2).f32", reads=None)
def from_floats(e: Emitter, form: Form, target: Operand, high: Operand, low: Operand) -> None:
    """The first source becomes the upper byte."""
    values = e.alike(e.read(high, "f32"), e.read(low, "f32"))
    e.write(target, _two_octets(e, form, *values), "b16")


@instruction("cvt.rn.satfinite[.relu].(e4m3x2|e5m2x2).f16x2", reads=None)
def from_halves(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    pair = e.read(source, "b32")
    halves = (upper(e, pair), e.cast("trunc", pair, I16))
    e.write(target, _two_octets(e, form, *(half_to_float(e, half, "f16") for half in halves)), "b16")


@instruction("cvt.rn[.relu].f16x2.(e4m3x2|e5m2x2)", reads=None)
def to_halves(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """Both formats fit in f16. e5m2 is the upper byte of an f16."""
    e.write(target, _halves(e, form, e.read(source, "b16")), "b32")


@written_once
def _halves(e: Emitter, form: Form, pair: Value) -> Value:
    b, kind = e.builder, form.required[-1]
    octets = [b.and_(pair, e.constant(pair, 0xFF)), b.lshr(pair, e.constant(pair, 8))]
    halves = []
    for octet in octets:
        half = b.shl(octet, e.constant(octet, 8)) if kind == "e5m2x2" else e4m3_to_half(e, octet)
        value = half_to_float(e, half, "f16")
        if "relu" in form.optional:
            value = e.select(b.fcmp_ordered("<", value, e.constant(value, 0.0)), e.constant(value, 0.0), value)
        nan = b.fcmp_unordered("uno", value, value)
        halves.append(e.select(nan, e.constant(half, 0x7FFF), float_to_half(e, value, "f16")))
    return pack(e, halves[0], halves[1])


def e4m3_to_half(e: Emitter, octet: Value) -> Value:
    """The fields moved to their places, times 2**8 for the difference of the biases: exact, subnormals too."""
    b = e.builder
    size = b.and_(octet, e.constant(octet, 0x7F))
    moved = half_to_float(e, b.shl(size, e.constant(size, 7)), "f16")
    half = float_to_half(e, b.fmul(moved, e.constant(moved, 256.0)), "f16")
    half = e.select(b.icmp_unsigned("==", size, e.constant(size, _NAN)), e.constant(half, 0x7FFF), half)
    sign = b.shl(b.and_(octet, e.constant(octet, 0x80)), e.constant(octet, 8))
    return b.or_(half, sign)


@written_once
def _two_octets(e: Emitter, form: Form, high: Value, low: Value) -> Value:
    b = e.builder
    first, second = (e.cast("zext", _octet(e, form, value), I16) for value in (high, low))
    return b.or_(b.shl(first, e.constant(first, 8)), second)


def _octet(e: Emitter, form: Form, value: Value) -> Value:
    """Nearest code, ties to even; what is too large becomes the largest finite number."""
    b, kind = e.builder, form.required[-2]
    if "relu" in form.optional:
        value = e.select(b.fcmp_ordered("<", value, e.constant(value, 0.0)), e.constant(value, 0.0), value)
    fraction_bits, least = _FRACTION_BITS[kind], _LEAST_NORMAL_EXPONENT[kind]
    largest, largest_code = _LARGEST[kind]
    size = e.intrinsic("llvm.fabs", value)
    bits = e.bits(size)
    # Normal numbers: round the fraction in place, and let the carry run into the exponent.
    drop = 23 - fraction_bits
    odd = b.and_(b.lshr(bits, e.constant(bits, drop)), e.constant(bits, 1))
    rounded = b.lshr(b.add(bits, b.add(odd, e.constant(bits, (1 << drop - 1) - 1))), e.constant(bits, drop))
    normal = b.sub(rounded, e.constant(bits, (127 + least - 1) << fraction_bits))
    # Subnormal numbers: adding this constant leaves the multiple of the smallest step in the low bits.
    magic = 2.0 ** (least - fraction_bits + 23)
    shifted = e.bits(b.fadd(size, e.constant(size, magic)))
    magic_bits = e.bits(e.constant(size, magic))
    tiny = b.fcmp_ordered("<", size, e.constant(size, 2.0**least))
    code = e.select(tiny, b.sub(shifted, magic_bits), normal)
    too_large = b.fcmp_ordered(">=", size, e.constant(size, largest))
    code = e.select(too_large, e.constant(code, largest_code), code)
    code = e.intrinsic("llvm.umin", code, e.constant(code, largest_code))
    nan = b.fcmp_unordered("uno", value, value)
    sign = b.lshr(b.and_(e.bits(value), e.constant(bits, 0x80000000)), e.constant(bits, 24))
    code = e.select(nan, e.constant(code, _NAN), b.or_(code, sign))
    return e.cast("trunc", code, I8)
