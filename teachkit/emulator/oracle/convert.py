"""``cvt`` between integers, floats and packed pairs."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle import rounding
from teachkit.emulator.oracle.floating import flush, saturate
from teachkit.emulator.oracle.fp8 import FP8, bits_of, decode_fp8, encode_by_chance, encode_fp8
from teachkit.emulator.oracle.table import Form, Lanes, Operation, Step, UnmatchedForm, instruction
from teachkit.emulator.oracle.values import Array, is_float, is_signed, width
from teachkit.emulator.ptx.model import Group, Instruction

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_INTEGERS = tuple(f"{sign}{bits}" for sign in "us" for bits in (8, 16, 32, 64))
_FLOATS = ("f16", "bf16", "f32", "f64")
_TO_INTEGER = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
_KINDS: dict[str, rounding.Float] = {"f16": np.float16, "f32": np.float32, "f64": np.float64}
_TF32_DROPPED = 13


@instruction("cvt")
def convert(form: Form) -> Operation:
    to = form.one(*_INTEGERS, *_FLOATS)
    source = form.one(*_INTEGERS, *_FLOATS)
    if is_float(to):
        compute = _float_to_float(form, to, source) if is_float(source) else _integer_to_float(form, to)
    else:
        compute = _float_to_integer(form, to, source) if is_float(source) else _integer_to_integer(form, to)
    return Lanes(to, (source,), compute)


@instruction("cvt")
def convert_to_tf32(form: Form) -> Operation:
    """tf32 keeps 10 bits of fraction in a float32."""
    form.one("tf32")
    mode, relu = form.one("rna", "rn", "rz"), form.flag("relu")
    form.flag("satfinite")
    form.one("f32")

    def compute(bits: Array) -> Array:
        dropped = np.uint32((1 << _TF32_DROPPED) - 1)
        kept = bits.astype(np.uint64)
        if mode == "rna":
            kept = kept + (1 << (_TF32_DROPPED - 1))
        elif mode == "rn":
            kept = kept + (dropped >> np.uint32(1)) + (kept >> np.uint64(_TF32_DROPPED) & np.uint64(1))
        is_finite = bits & np.uint32(0x7F800000) != 0x7F800000
        result = np.where(is_finite, kept.astype(np.uint32) & ~dropped, bits)
        if not relu:
            return result
        is_nan = np.isnan(result.view(np.float32))
        return np.where(is_nan, np.uint32(0x7FFFFFFF), np.where(result >> np.uint32(31), np.uint32(0), result))

    return Lanes("b32", ("b32",), compute)


@instruction("cvt")
def convert_pair(form: Form) -> Operation:
    """``cvt.f16x2.f32 d, high, low``; ``.relu`` clamps below at zero."""
    to = form.one("f16x2", "bf16x2")
    mode = form.one("rn", "rz")
    relu = form.flag("relu")
    form.flag("satfinite")
    form.one("f32")

    def compute(high: Array, low: Array) -> Array:
        high, low = np.broadcast_arrays(high, low)
        pair = np.stack([low, high], axis=-1)
        if relu:
            pair = np.where(pair > 0, pair, np.where(np.isnan(pair), pair, np.float32(0)))
        return _narrowed(pair, to[:-2], mode)

    return Lanes(to, ("f32", "f32"), compute)


@instruction("cvt")
def convert_to_fp8(form: Form) -> Operation:
    to = form.one(*(f"{name}x2" for name in FP8))[:-2]
    form.one("rn")
    form.one("satfinite")
    relu = form.flag("relu")
    source = form.one("f32", "f16x2", "bf16x2")
    stored, step = ("b8", 4) if bits_of(to) == 4 else ("b16", 8)

    def both(high: Array, low: Array) -> Array:
        return (code(high) << np.uint16(step) | code(low)).astype(np.uint8 if stored == "b8" else np.uint16)

    def code(values: Array) -> Array:
        wide = values.astype(np.float32)
        return encode_fp8(np.where(wide < 0, np.float32(0), wide) if relu else wide, to).astype(np.uint16)

    if source == "f32":
        return Lanes(stored, ("f32", "f32"), both)
    return Lanes(stored, (source,), lambda pair: both(pair[..., 1], pair[..., 0]))


@instruction("cvt")
def convert_to_fp4_by_chance(form: Form) -> Operation:
    """``cvt.rs d, {a, b, e, f}, random``: an octet of the random bits is added to what the rounding drops."""
    form.one("e2m1x4")
    form.one("rs")
    form.one("satfinite")
    relu = form.flag("relu")
    form.one("f32")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        target, sources, random = item.operands
        assert isinstance(sources, Group)
        bits = machine.read(random, "b32")
        codes = np.zeros(mask.size, np.uint16)
        for source, at in zip(sources.items, (24, 8, 16, 0), strict=True):
            values = machine.read(source, "f32")
            octets = bits >> np.uint32(at) & np.uint32(0xFF)
            code = encode_by_chance(np.where(values < 0, np.float32(0), values) if relu else values, octets, "e2m1")
            codes = codes << np.uint16(4) | code
        machine.write(target, codes, "b16", mask)

    return Step(run)


@instruction("cvt")
def convert_from_fp8(form: Form) -> Operation:
    form.one("f16x2")
    form.one("rn")
    relu = form.flag("relu")
    source = form.one(*(f"{name}x2" for name in FP8))[:-2]
    n_bits = bits_of(source)

    def compute(bits: Array) -> Array:
        mask = bits.dtype.type((1 << n_bits) - 1)
        codes = np.stack([bits & mask, bits >> bits.dtype.type(4 if n_bits == 4 else 8) & mask], axis=-1)
        values = decode_fp8(codes.astype(np.uint8), source).astype(np.float16)
        return np.where(values < 0, np.float16(0), values) if relu else values

    return Lanes("f16x2", ("b8" if n_bits == 4 else "b16",), compute)


@instruction("cvt")
def convert_to_exponents(form: Form) -> Operation:
    """ue8m0 is an exponent: of the power of two above (``.rp``) or below (``.rz``) the number's size."""
    form.one("ue8m0x2")
    mode, saturates = form.one("rz", "rp"), form.flag("satfinite")
    source = form.one("f32", "bf16x2")

    def code(values: Array) -> Array:
        fraction, exponent = np.frexp(np.abs(values.astype(np.float64)))  # a fraction of one half: a power of two
        up = (fraction > 0.5) & (mode == "rp")
        codes = np.clip(exponent - 1 + up + 127, 0, 254 if saturates else 255)
        codes = np.where(values == 0, 0, codes)
        codes = np.where(np.isinf(values), 254 if saturates else 255, codes)
        return np.where(np.isnan(values), 255, codes).astype(np.uint16)

    if source == "f32":
        return Lanes("b16", ("f32", "f32"), lambda high, low: code(high) << np.uint16(8) | code(low))
    return Lanes("b16", (source,), lambda pair: code(pair[..., 1]) << np.uint16(8) | code(pair[..., 0]))


@instruction("cvt")
def convert_from_exponents(form: Form) -> Operation:
    form.one("bf16x2")
    form.one("rn")
    form.one("ue8m0x2")

    def compute(bits: Array) -> Array:
        codes = np.stack([bits & np.uint16(0xFF), bits >> np.uint16(8)], axis=-1).astype(np.int64)
        return np.where(codes == 255, np.nan, np.ldexp(1.0, codes - 127)).astype(np.float32)

    return Lanes("bf16x2", ("b16",), compute)


def _integer_to_integer(form: Form, to: str) -> Callable[[Array], Array]:
    saturates = form.flag("sat")
    limits = np.iinfo(_integer(to))

    def compute(a: Array) -> Array:
        if not saturates:
            return a.astype(limits.dtype)
        return np.array([min(max(value, limits.min), limits.max) for value in a.tolist()], limits.dtype)

    return compute


def _integer_to_float(form: Form, to: str) -> Callable[[Array], Array]:
    mode = form.maybe(*rounding.MODES, default="rn")
    if mode != "rn" and to in ("f16", "bf16"):
        raise UnmatchedForm(f".{mode} from an integer to .{to}")
    sat = form.flag("sat")

    def compute(a: Array) -> Array:
        if to == "bf16":
            # Every step is odd-rounded until encode() rounds to bf16.
            result = _odd_float32(a.astype(np.float64)) if width_of(a) < 64 else _exact(a, np.float32, "rn")
        elif mode == "rn" and to != "f16":
            result = a.astype(np.float32 if to == "f32" else np.float64)
        else:
            result = _exact(a, _KINDS[to], mode)
        return saturate(result) if sat else result

    return compute


def _exact(a: Array, kind: rounding.Float, mode: str) -> Array:
    return np.array(
        [rounding.round_fraction(Fraction(value), kind, mode) if value else 0 for value in a.tolist()], kind
    )


def width_of(a: Array) -> int:
    return 8 * a.dtype.itemsize


def _float_to_integer(form: Form, to: str, source: str) -> Callable[[Array], Array]:
    """Clamps to the integer's range. NaN is 0, but the top bit alone where 64-bit types are involved."""
    mode = form.one(*_TO_INTEGER)
    ftz = form.flag("ftz")
    form.flag("sat")  # the clamp happens with or without it
    limits = np.iinfo(_integer(to))
    nan_value = 0
    if source == "f64" or width(to) == 64:
        nan_value = limits.min if is_signed(to) else 1 << (width(to) - 1)

    def one(value: float) -> int:
        if value != value:
            return int(nan_value)
        if value in (float("inf"), float("-inf")):
            return limits.max if value > 0 else limits.min
        return min(max(int(value), limits.min), limits.max)

    def compute(a: Array) -> Array:
        whole = _TO_INTEGER[mode]((flush(a) if ftz else a).astype(np.float64))
        return np.array([one(value) for value in whole.tolist()], limits.dtype)

    return compute


def _float_to_float(form: Form, to: str, source: str) -> Callable[[Array], Array]:
    to_whole = form.maybe(*_TO_INTEGER)
    mode = form.maybe(*rounding.MODES, default="rn")
    ftz, sat, relu = form.flag("ftz"), form.flag("sat"), form.flag("relu")
    form.flag("satfinite")

    def compute(a: Array) -> Array:
        values = flush(a) if ftz and source == "f32" else a
        if to_whole:
            values = _TO_INTEGER[to_whole](values)
        result = _narrowed(values, to, mode)
        if sat:
            result = saturate(result)
        if relu:
            result = np.where(result <= 0, result.dtype.type(0), result)
        return flush(result) if ftz and to == "f32" else result

    return compute


def _narrowed(values: Array, to: str, mode: str) -> Array:
    """Values as the NumPy type of ``to``; for bf16 a float32 that still rounds right when it is encoded."""
    wide = values.astype(np.float64)
    if to == "f64":
        return wide
    if to == "bf16":
        if mode == "rn":
            return _odd_float32(wide)
        bits = rounding.narrow(wide, np.float32, "rz").view(np.uint32)
        kept = bits & np.uint32(0xFFFF0000)
        away = {"rz": np.zeros(wide.shape, bool), "rm": wide < 0, "rp": wide > 0}[mode]
        inexact = np.isfinite(wide) & (kept.view(np.float32).astype(np.float64) != wide)
        kept = np.where(inexact & away, kept + np.uint32(0x10000), kept)  # one step up in size
        return np.where(np.isnan(wide), np.float32(np.nan), kept.view(np.float32))
    return rounding.narrow(wide, np.float16 if to == "f16" else np.float32, mode)


def _odd_float32(wide: Array) -> Array:
    down = rounding.narrow(wide, np.float32, "rz")
    inexact = np.isfinite(wide) & (down.astype(np.float64) != wide)
    return np.where(inexact, (down.view(np.uint32) | np.uint32(1)).view(np.float32), down)


def _integer(type_name: str) -> np.dtype[np.integer]:
    return np.dtype(f"{'i' if is_signed(type_name) else 'u'}{width(type_name) // 8}")
