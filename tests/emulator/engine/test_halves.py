"""Arithmetic in 16-bit floats against fractions, which are exact: each result is the nearest number, ties to even."""

from fractions import Fraction

import numpy as np
import pytest

from teachkit.emulator import load_ptx

N = 1 << 12
# Of a kind: bits of the fraction, exponents of the largest and the smallest normal numbers.
FORMATS = {"f16": (10, 15, -14), "bf16": (7, 127, -126)}
ONE = {"f16": 0x3C00, "bf16": 0x3F80}
FORMS = {
    "fma.rn.{0} %h4, %h1, %h2, %h3;": lambda a, b, c: a * b + c,
    "mul.rn.{0} %h4, %h1, %h2;": lambda a, b, c: a * b,
    "mov.b16 %h5, 0x8000; fma.rn.{0} %h4, %h1, %h2, %h5;": lambda a, b, c: a * b,
    "mov.b16 %h5, {1:#x}; fma.rn.{0} %h4, %h1, %h5, %h3;": lambda a, b, c: a + c,
    "mov.b16 %h5, {2:#x}; fma.rn.{0} %h4, %h1, %h5, %h3;": lambda a, b, c: c - a,
    "add.rn.{0} %h4, %h1, %h3;": lambda a, b, c: a + c,
}


def operands(kind, rng):
    """Bits of A, B and C: any; C about as large as A B; short fractions, for ties; subnormal numbers."""
    a, b, c = rng.integers(0, 1 << 16, (3, N), dtype=np.uint16)
    fraction_bits, bias, _ = FORMATS[kind]
    top = (1 << 15 - fraction_bits) - 1
    exponents = [(x >> fraction_bits & top).astype(int) for x in (a, b)]
    near = np.clip(exponents[0] + exponents[1] - bias + rng.integers(-14, 15, N), 0, top - 1).astype(np.uint16)
    half = slice(0, N // 2)
    c[half] = (c & ~np.uint16(top << fraction_bits) | near << fraction_bits)[half]
    quarter = slice(N // 4, 3 * N // 4)
    for x in (a, b, c):
        x[quarter] &= ~np.uint16(7)
        x[3 * N // 4 :] &= ~np.uint16(top - 1 << fraction_bits)
    finite = np.logical_and.reduce([(x >> fraction_bits & top) != top for x in (a, b, c)])
    return [np.where(finite, x, np.uint16(0)) for x in (a, b, c)]


def values(bits, kind):
    if kind == "f16":
        return [Fraction(float(x)) for x in bits.view(np.float16)]
    return [Fraction(float(x)) for x in (bits.astype(np.uint32) << 16).view(np.float32)]


def nearest(value, kind):
    """Bits of the number nearest to a fraction, its sign apart."""
    fraction_bits, largest, smallest = FORMATS[kind]
    size = abs(value)
    if not size:
        return 0
    about = size.numerator.bit_length() - size.denominator.bit_length()
    exponent = max(smallest, about if size >= Fraction(2) ** about else about - 1)
    steps = size / Fraction(2) ** (exponent - fraction_bits)
    whole = round(steps)  # to even, where it is a tie
    if whole == 1 << (fraction_bits + 1):
        whole, exponent = whole // 2, exponent + 1
    if exponent > largest:
        return (largest + 1 - smallest + 1) << fraction_bits
    return ((exponent - smallest) << fraction_bits) + whole


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("form", FORMS)
def test_arithmetic_is_exact_and_then_rounded_once(both, form, kind):
    a, b, c = operands(kind, np.random.default_rng(0))
    body = f"""
    mul.wide.u32 %rd2, %r2, 2; add.s64 %rd3, %rd2, %rd10; add.s64 %rd4, %rd2, %rd11; add.s64 %rd5, %rd2, %rd12;
    ld.global.b16 %h1, [%rd3]; ld.global.b16 %h2, [%rd4]; ld.global.b16 %h3, [%rd5]; add.s64 %rd2, %rd2, %rd0;
    {form.format(kind, ONE[kind], ONE[kind] | 0x8000)} st.global.b16 [%rd2], %h4;"""
    text = both.kernel(body, variables=".reg .b16 %h<6>;", pointers=("a", "b", "c")).replace("sm_80", "sm_90")
    out = np.zeros(N, np.uint16)
    load_ptx(text)["k"][N // 128, 128](out, a, b, c)
    exact = list(map(FORMS[form], *(values(x, kind) for x in (a, b, c))))
    expected = np.array([nearest(value, kind) for value in exact], np.uint16)
    np.testing.assert_array_equal(out & 0x7FFF, expected)
    signs = np.array([value < 0 for value in exact])
    np.testing.assert_array_equal((out >> 15 == 1)[expected > 0], signs[expected > 0])
