"""The floating-point formats of 8, 6 and 4 bits.

Source: PTX ISA, "Alternate Floating-Point Data Formats"; OCP 8-bit floating point specification 1.0; OCP Microscaling
Formats 1.0.
"""

from __future__ import annotations

import functools

import numpy as np

from teachkit.emulator.oracle.values import Array

# Bits of the exponent and of the fraction.
_FIELDS = {"e4m3": (4, 3), "e5m2": (5, 2), "e2m3": (2, 3), "e3m2": (3, 2), "e2m1": (2, 1)}
FP8 = tuple(_FIELDS)


def bits_of(name: str) -> int:
    """Bits of a number."""
    return 1 + sum(_FIELDS[name])


@functools.cache
def _values(name: str) -> Array:
    """float32 value of each code; of the 8-bit formats some are NaN and infinity."""
    exponent_bits, fraction_bits = _FIELDS[name]
    bias, sign = (1 << exponent_bits - 1) - 1, 1 << exponent_bits + fraction_bits
    values = np.zeros(2 * sign, np.float32)
    for code in range(2 * sign):
        exponent = (code & sign - 1) >> fraction_bits
        fraction = (code & ((1 << fraction_bits) - 1)) / (1 << fraction_bits)
        value = (1 + fraction) * 2.0 ** (exponent - bias) if exponent else fraction * 2.0 ** (1 - bias)
        if name == "e4m3" and code & 0x7F == 0x7F:
            value = np.nan
        if name == "e5m2" and exponent == 31:
            value = np.nan if fraction else np.inf
        values[code] = -value if code & sign else value
    return values


def decode_fp8(octets: Array, name: str) -> Array:
    """float32 values of uint8 codes."""
    return _values(name)[octets]


def encode_fp8(values: Array, name: str) -> Array:
    """Nearest uint8 codes, ties to even; what is too large becomes the largest finite value."""
    sign = 1 << bits_of(name) - 1
    table = _values(name)[:sign].astype(np.float64)
    n_finite = int(np.isfinite(table).sum())
    finite = table[:n_finite]
    size = np.abs(values.astype(np.float64))
    above = np.clip(np.searchsorted(finite, size), 1, n_finite - 1)
    below = above - 1
    middle = (finite[above] + finite[below]) / 2
    takes_above = (size > middle) | ((size == middle) & (above % 2 == 0))
    codes = np.where(takes_above, above, below).astype(np.uint8)
    codes = np.where(np.isnan(values), np.uint8(sign - 1), codes)
    return np.where(np.signbit(values) & ~np.isnan(values), codes | np.uint8(sign), codes)


def encode_by_chance(values: Array, octets: Array, name: str) -> Array:
    """uint8 codes, away from zero where the 256ths of the way there and the octet are 256 or more together."""
    sign = 1 << bits_of(name) - 1
    table = _values(name)[:sign].astype(np.float64)
    size = np.minimum(np.abs(values.astype(np.float64)), table[-1])
    below = np.clip(np.searchsorted(table, size, side="right") - 1, 0, sign - 2)
    way = np.floor((size - table[below]) / (table[below + 1] - table[below]) * 256)
    codes = (below + (way + octets >= 256)).astype(np.uint8)
    codes = np.where(np.isnan(values), np.uint8(sign - 1), codes)
    return np.where(np.signbit(values) & ~np.isnan(values), codes | np.uint8(sign), codes)
