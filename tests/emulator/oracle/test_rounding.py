"""Arithmetic rounded once, against exact fractions at random."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from teachkit.emulator.oracle import rounding
from teachkit.emulator.oracle.fp8 import decode_fp8, encode_fp8
from teachkit.emulator.oracle.values import decode, encode, round_to_bf16

floats32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
floats64 = st.floats(allow_nan=False, allow_infinity=False)
halves = st.floats(width=16, allow_nan=False, allow_infinity=False)
modes = st.sampled_from(rounding.MODES)


def array(value, kind):
    return np.array([value], kind)


def is_rounded(result, exact, kind, mode):
    """Whether no other value of the type would have been right, by looking at the neighbours."""
    result = kind(result)
    limit = Fraction(float(np.finfo(kind).max))
    if np.isinf(result):
        past = abs(exact) > limit
        return past and (result > 0) == (exact > 0) and not (mode == "rz" or (mode == "rm") == (exact > 0))
    error = Fraction(float(result)) - exact
    with np.errstate(over="ignore"):
        below, above = np.nextafter(result, kind(-np.inf)), np.nextafter(result, kind(np.inf))
    if error == 0:
        return True
    other = below if error > 0 else above
    if np.isinf(other):
        return mode == "rn" or abs(exact) > limit
    between = Fraction(float(other)) < exact if error > 0 else exact < Fraction(float(other))
    nearer = abs(error) <= abs(Fraction(float(other)) - exact)
    wanted = {"rn": nearer, "rm": error < 0, "rp": error > 0, "rz": (error < 0) == (exact > 0)}[mode]
    return between and wanted


@given(floats32, floats32, floats32, modes)
@example(1.0, 2.0**-24, 1.0, "rn")
@example(1 + 2.0**-23, 1 + 2.0**-23, -1.0, "rz")
@example(2.0**-75, 2.0**-75, 2.0**-149, "rp")
def test_fma_float32(a, b, c, mode):
    with np.errstate(all="ignore"):
        result = rounding.fma(*(array(value, np.float32) for value in (a, b, c)), mode)[0]
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact and not (np.isinf(result) and mode == "rn"):
        assert is_rounded(result, exact, np.float32, mode)


@given(floats64, floats64, floats64, modes)
@example(1 + 2.0**-52, 1 - 2.0**-52, -1.0, "rn")
@example(1e-300, 1e-300, 5e-324, "rp")
@example(0.1, 10.0, -1.0, "rn")
def test_fma_float64(a, b, c, mode):
    with np.errstate(all="ignore"):
        result = rounding.fma(*(array(value, np.float64) for value in (a, b, c)), mode)[0]
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact and not (np.isinf(result) and mode == "rn"):
        assert is_rounded(result, exact, np.float64, mode)


@given(halves, halves, halves)
def test_fma_float16(a, b, c):
    with np.errstate(all="ignore"):
        result = rounding.fma(*(array(value, np.float16) for value in (a, b, c)))[0]
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact and not np.isinf(result):
        assert is_rounded(result, exact, np.float16, "rn")


@given(floats32, floats32, modes, st.sampled_from([rounding.add, rounding.mul, rounding.div]))
def test_float32_arithmetic(a, b, mode, operation):
    if operation is rounding.div and b == 0:
        return
    with np.errstate(all="ignore"):
        result = operation(array(a, np.float32), array(b, np.float32), mode)[0]
    exact = {
        rounding.add: lambda x, y: x + y,
        rounding.mul: lambda x, y: x * y,
        rounding.div: lambda x, y: x / y,
    }[operation](Fraction(a), Fraction(b))
    if exact and not (np.isinf(result) and mode == "rn"):
        assert is_rounded(result, exact, np.float32, mode)


@given(st.floats(min_value=0, max_value=1e30), modes)
def test_square_root(a, mode):
    result = Fraction(float(rounding.sqrt(array(a, np.float64), mode)[0]))
    low, high = (Fraction(math.nextafter(float(result), to)) for to in (-math.inf, math.inf))
    exact = Fraction(a)
    if result * result == exact:
        return
    if mode in ("rm", "rz"):
        assert result * result < exact < high * high
    elif mode == "rp":
        assert low * low < exact < result * result
    else:
        assert ((low + result) / 2) ** 2 < exact < ((high + result) / 2) ** 2


@given(st.floats(width=32))
def test_bf16_is_the_nearest_upper_half(value):
    bits = int(round_to_bf16(array(value, np.float32))[0])
    back = float(decode(np.array([bits], np.uint16), "bf16")[0])
    if value != value:
        assert bits == 0x7FFF
        return
    for other in (bits - 1, bits + 1):
        near = float(decode(np.array([other % 65536], np.uint16), "bf16")[0])
        if math.isfinite(near) and math.isfinite(back) and math.isfinite(value):
            assert abs(back - value) <= abs(near - value)


@pytest.mark.parametrize("name", ["e4m3", "e5m2"])
def test_fp8_codes_survive(name):
    codes = np.arange(256, dtype=np.uint8)
    values = decode_fp8(codes, name)
    finite = np.isfinite(values)
    assert (encode_fp8(values[finite], name) == codes[finite]).all()


@given(st.integers(0, 2**32 - 1))
def test_bits_survive_decoding_and_encoding(bits):
    for kind in ("u32", "s32", "b32", "u16x2", "s16x2"):
        assert int(encode(decode(np.array([bits], np.uint32), kind), kind)[0]) == bits
