"""Conversions of floating-point formats of 8 bits (e4m3, e5m2), and on sm_100 of 6 (e2m3, e3m2), 4 (e2m1) and ue8m0.

A number of 6 bits lies at the lower end of its byte. Two of 4 bits are one byte. ue8m0 is an exponent alone.
Source: PTX ISA, "cvt", "Alternate Floating-Point Data Formats"; OCP Microscaling Formats 1.0, 5.3 and 5.4.
"""

from __future__ import annotations

import dataclasses

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once
from teachkit.emulator.engine.shapes import I8, I16, I32, Value
from teachkit.emulator.isa.formats import float_to_half, half_to_float, pack, upper
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Group, Operand


@dataclasses.dataclass(frozen=True)
class Format:
    """A small floating-point format: its width, its fraction, and the ends of its range."""

    bits: int
    fraction_bits: int
    least_normal_exponent: int
    largest: float
    largest_code: int
    nan: int  # a format without NaN has its largest number here


FORMATS = {
    "e4m3x2": Format(8, 3, -6, 448.0, 0x7E, 0x7F),
    "e5m2x2": Format(8, 2, -14, 57344.0, 0x7B, 0x7F),
    "e2m3x2": Format(6, 3, 0, 7.5, 0x1F, 0x1F),
    "e3m2x2": Format(6, 2, -2, 28.0, 0x1F, 0x1F),
    "e2m1x2": Format(4, 1, 0, 6.0, 0x7, 0x7),
}
_PAIRS = "e4m3x2|e5m2x2|e2m3x2|e3m2x2"


@instruction(f"cvt.rn.satfinite[.relu].({_PAIRS}|e2m1x2).f32", reads=None)
def from_floats(e: Emitter, form: Form, target: Operand, high: Operand, low: Operand) -> None:
    """The first source becomes the upper half."""
    values = e.alike(e.read(high, "f32"), e.read(low, "f32"))
    e.write(target, _two_codes(e, form, *values), _stored(form.required[-2]))


@instruction("cvt.rs.satfinite[.relu].e2m1x4.f32", reads=None)
def from_four_floats(e: Emitter, form: Form, target: Operand, sources: Group, random: Operand) -> None:
    """The first source becomes the uppermost code.

    Each half of the random bits has one octet for either pair, the upper one for the first two sources. Which of a pair
    takes which half is not said: here the first takes the upper half, as it does where the results have 16 bits.
    """
    values = e.alike(*(e.read(source, "f32") for source in sources.items), e.read(random, "b32"))
    e.write(target, _four_codes(e, form, *values), "b16")


def _stored(pair: str) -> str:
    return "b8" if pair == "e2m1x2" else "b16"


@instruction(f"cvt.rn.satfinite[.relu].({_PAIRS}|e2m1x2).(f16x2|bf16x2)", reads=None)
def from_halves(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    pair, kind = e.read(source, "b32"), form.required[-1][:-2]
    halves = (upper(e, pair), e.cast("trunc", pair, I16))
    values = [half_to_float(e, half, kind) for half in halves]
    e.write(target, _two_codes(e, form, *values), _stored(form.required[-2]))


@instruction(f"cvt.rn[.relu].f16x2.({_PAIRS}|e2m1x2)", reads=None)
def to_halves(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """All formats fit in f16. e5m2 is the upper byte of an f16."""
    e.write(target, _halves(e, form, e.read(source, _stored(form.required[-1]))), "b32")


@written_once
def _halves(e: Emitter, form: Form, pair: Value) -> Value:
    b, kind = e.builder, form.required[-1]
    if kind == "e2m1x2":
        pair = e.cast("zext", pair, I16)
    bits, step = FORMATS[kind].bits, 4 if kind == "e2m1x2" else 8
    codes = [b.and_(b.lshr(pair, e.constant(pair, at)), e.constant(pair, (1 << bits) - 1)) for at in (0, step)]
    halves = []
    for code in codes:
        half = b.shl(code, e.constant(code, 8)) if kind == "e5m2x2" else to_half(e, code, FORMATS[kind])
        value = half_to_float(e, half, "f16")
        if "relu" in form.optional:
            value = e.select(b.fcmp_ordered("<", value, e.constant(value, 0.0)), e.constant(value, 0.0), value)
        nan = b.fcmp_unordered("uno", value, value)
        halves.append(e.select(nan, e.constant(half, 0x7FFF), float_to_half(e, value, "f16")))
    return pack(e, halves[0], halves[1])


def e4m3_to_half(e: Emitter, octet: Value) -> Value:
    """``e4m3`` as the bits of an ``f16``."""
    return to_half(e, octet, FORMATS["e4m3x2"])


def to_half(e: Emitter, code: Value, kind: Format) -> Value:
    """The fields moved to their places, times a power of two for the difference of the biases: exact."""
    b, sign_bit = e.builder, 1 << kind.bits - 1
    size = b.and_(code, e.constant(code, sign_bit - 1))
    moved = half_to_float(e, b.shl(size, e.constant(size, 10 - kind.fraction_bits)), "f16")
    half = float_to_half(e, b.fmul(moved, e.constant(moved, 2.0 ** (14 + kind.least_normal_exponent))), "f16")
    if kind.nan != kind.largest_code:
        half = e.select(b.icmp_unsigned("==", size, e.constant(size, kind.nan)), e.constant(half, 0x7FFF), half)
    sign = b.shl(b.and_(code, e.constant(code, sign_bit)), e.constant(code, 16 - kind.bits))
    return b.or_(half, sign)


@written_once
def _two_codes(e: Emitter, form: Form, high: Value, low: Value) -> Value:
    b, kind = e.builder, form.required[-2]
    first, second = (e.cast("zext", _code(e, form, value), I16) for value in (high, low))
    pair = b.or_(b.shl(first, e.constant(first, 4 if kind == "e2m1x2" else 8)), second)
    return e.cast("trunc", pair, I8) if kind == "e2m1x2" else pair


@written_once
def _four_codes(e: Emitter, form: Form, *sources: Value) -> Value:
    b, *values, random = e.builder, *sources
    codes = e.constant(random, 0)
    for value, octet_at in zip(values, (24, 8, 16, 0), strict=True):
        octet = b.and_(b.lshr(random, e.constant(random, octet_at)), e.constant(random, 0xFF))
        code = e.cast("zext", _code(e, form, value, octet), I32)
        codes = b.or_(b.shl(codes, e.constant(codes, 4)), code)
    return e.cast("trunc", codes, I16)


def _code(e: Emitter, form: Form, value: Value, octet: Value | None = None) -> Value:
    """Nearest code, ties to even, or what random bits say; what is too large becomes the largest finite number."""
    b, kind = e.builder, FORMATS[form.required[-2].replace("x4", "x2")]
    if "relu" in form.optional:
        value = e.select(b.fcmp_ordered("<", value, e.constant(value, 0.0)), e.constant(value, 0.0), value)
    size = e.intrinsic("llvm.fabs", value)
    code = _nearest(e, kind, size) if octet is None else _by_chance(e, kind, size, octet)
    too_large = b.fcmp_ordered(">=", size, e.constant(size, kind.largest))
    code = e.select(too_large, e.constant(code, kind.largest_code), code)
    code = e.intrinsic("llvm.umin", code, e.constant(code, kind.largest_code))
    nan = b.fcmp_unordered("uno", value, value)
    sign = b.lshr(b.and_(e.bits(value), e.constant(code, 0x80000000)), e.constant(code, 32 - kind.bits))
    code = e.select(nan, e.constant(code, kind.nan), b.or_(code, sign))
    return e.cast("trunc", code, I8)


def _nearest(e: Emitter, kind: Format, size: Value) -> Value:
    b, bits = e.builder, e.bits(size)
    # Normal numbers: round the fraction in place, and let the carry run into the exponent.
    drop = 23 - kind.fraction_bits
    odd = b.and_(b.lshr(bits, e.constant(bits, drop)), e.constant(bits, 1))
    rounded = b.lshr(b.add(bits, b.add(odd, e.constant(bits, (1 << drop - 1) - 1))), e.constant(bits, drop))
    normal = b.sub(rounded, e.constant(bits, (127 + kind.least_normal_exponent - 1) << kind.fraction_bits))
    # Subnormal numbers: adding this constant leaves the multiple of the smallest step in the low bits.
    magic = 2.0 ** (kind.least_normal_exponent - kind.fraction_bits + 23)
    shifted = e.bits(b.fadd(size, e.constant(size, magic)))
    magic_bits = e.bits(e.constant(size, magic))
    tiny = b.fcmp_ordered("<", size, e.constant(size, 2.0**kind.least_normal_exponent))
    return e.select(tiny, b.sub(shifted, magic_bits), normal)


def _by_chance(e: Emitter, kind: Format, size: Value, octet: Value) -> Value:
    """Away from zero where the octet, added to the first eight of the bits that are dropped, carries."""
    b, bits = e.builder, e.bits(size)
    drop = 23 - kind.fraction_bits
    carried = b.lshr(b.add(bits, b.shl(octet, e.constant(octet, drop - 8))), e.constant(bits, drop))
    normal = b.sub(carried, e.constant(bits, (127 + kind.least_normal_exponent - 1) << kind.fraction_bits))
    # Subnormal numbers in parts of the smallest step, 256 of them.
    parts = b.fmul(size, e.constant(size, 2.0 ** (8 + kind.fraction_bits - kind.least_normal_exponent)))
    tiny = b.fcmp_ordered("<", size, e.constant(size, 2.0**kind.least_normal_exponent))
    whole = e.cast("fptoui", e.select(tiny, parts, e.constant(size, 0.0)), I32)
    return e.select(tiny, b.lshr(b.add(whole, octet), e.constant(octet, 8)), normal)


@instruction("cvt.(rz|rp)[.satfinite].ue8m0x2.f32", reads=None)
def exponents_of_floats(e: Emitter, form: Form, target: Operand, high: Operand, low: Operand) -> None:
    values = e.alike(e.read(high, "f32"), e.read(low, "f32"))
    e.write(target, _two_exponents(e, form, *values), "b16")


@instruction("cvt.(rz|rp)[.satfinite].ue8m0x2.bf16x2", reads=None)
def exponents_of_halves(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    pair = e.read(source, "b32")
    values = [half_to_float(e, half, "bf16") for half in (upper(e, pair), e.cast("trunc", pair, I16))]
    e.write(target, _two_exponents(e, form, *values), "b16")


@written_once
def _two_exponents(e: Emitter, form: Form, high: Value, low: Value) -> Value:
    first, second = (e.cast("trunc", _exponent(e, form, value), I16) for value in (high, low))
    return e.builder.or_(e.builder.shl(first, e.constant(first, 8)), second)


def _exponent(e: Emitter, form: Form, value: Value) -> Value:
    """The exponent of a number's size; the code 0 stands for 2**-127, which is a subnormal ``f32``."""
    b = e.builder
    bits = b.and_(e.bits(value), e.constant(e.bits(value), 0x7FFFFFFF))
    exponent = b.lshr(bits, e.constant(bits, 23))
    if form.required[0] == "rp":
        # A subnormal number has one bit more before its fraction than a normal one.
        tiny = b.icmp_unsigned("==", exponent, e.constant(bits, 0))
        fraction = b.and_(bits, e.constant(bits, 0x7FFFFF))
        least = e.select(tiny, e.constant(bits, 0x400000), e.constant(bits, 0))
        exponent = b.add(exponent, e.cast("zext", b.icmp_unsigned(">", fraction, least), I32))
    exponent = e.intrinsic("llvm.umin", exponent, e.constant(bits, 0xFE if "satfinite" in form.optional else 0xFF))
    nan = b.icmp_unsigned(">", bits, e.constant(bits, 0x7F800000))
    return e.select(nan, e.constant(bits, 0xFF), exponent)


@instruction("cvt.rn.bf16x2.ue8m0x2", reads=("b16",), writes="b32")
@written_once
def powers_of_two(e: Emitter, form: Form, pair: Value) -> Value:
    b = e.builder
    halves = []
    for shift in (0, 8):
        code = b.and_(b.lshr(pair, e.constant(pair, shift)), e.constant(pair, 0xFF))
        half = b.shl(code, e.constant(code, 7))
        half = e.select(b.icmp_unsigned("==", code, e.constant(code, 0)), e.constant(code, 0x40), half)
        halves.append(e.select(b.icmp_unsigned("==", code, e.constant(code, 0xFF)), e.constant(code, 0x7FFF), half))
    return pack(e, halves[0], halves[1])
