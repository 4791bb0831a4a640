"""The two 8-bit floating-point formats.

Source: PTX ISA, "Alternate Floating-Point Data Formats"; OCP 8-bit floating point specification 1.0.
"""

from __future__ import annotations

import functools

import numpy as np

from teachkit.emulator.oracle.values import Array

FP8 = ("e4m3", "e5m2")
_NAN = {"e4m3": 0x7F, "e5m2": 0x7F}


@functools.cache
def _values(name: str) -> Array:
    """float32 value of each of the 256 codes."""
    mantissa_bits, bias = (3, 7) if name == "e4m3" else (2, 15)
    values = np.zeros(256, np.float32)
    for code in range(256):
        exponent = (code & 0x7F) >> mantissa_bits
        fraction = (code & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
        value = (1 + fraction) * 2.0 ** (exponent - bias) if exponent else fraction * 2.0 ** (1 - bias)
        if name == "e4m3" and code & 0x7F == 0x7F:
            value = np.nan
        if name == "e5m2" and exponent == 31:
            value = np.nan if fraction else np.inf
        values[code] = -value if code & 0x80 else value
    return values


def decode_fp8(octets: Array, name: str) -> Array:
    """float32 values of uint8 codes."""
    return _values(name)[octets]


def encode_fp8(values: Array, name: str) -> Array:
    """Nearest uint8 codes, ties to even; what is too large becomes the largest finite value."""
    table = _values(name)[:0x80].astype(np.float64)
    n_finite = int(np.isfinite(table).sum())
    finite = table[:n_finite]
    size = np.abs(values.astype(np.float64))
    above = np.clip(np.searchsorted(finite, size), 1, n_finite - 1)
    below = above - 1
    middle = (finite[above] + finite[below]) / 2
    takes_above = (size > middle) | ((size == middle) & (above % 2 == 0))
    codes = np.where(takes_above, above, below).astype(np.uint8)
    codes = np.where(np.isnan(values), np.uint8(_NAN[name]), codes)
    return np.where(np.signbit(values) & ~np.isnan(values), codes | np.uint8(0x80), codes)
