"""Floating-point arithmetic rounded once, in any of PTX's four directions.

float32 results are computed in float64 rounded to odd: such a value lies on the right side of every float32
and of every midpoint between two, so rounding it again cannot go wrong.
Source: Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums", IEEE Trans. Computers 57 (2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from teachkit.emulator.oracle.values import Array

Float: TypeAlias = type[np.floating[Any]]
MODES = ("rn", "rz", "rm", "rp")
_SPLIT = float(2**27 + 1)
_SAFE_LOW, _SAFE_HIGH = 2.0**-900, 2.0**900


def sum_to_odd(a: Array, b: Array) -> Array:
    """float64 sum rounded to odd."""
    total = a + b
    shadow = total - a
    error = (a - (total - shadow)) + (b - shadow)
    return _to_odd(total, error)


def _to_odd(total: Array, error: Array) -> Array:
    is_even = (np.ascontiguousarray(total).view(np.uint64) & np.uint64(1)) == 0
    inexact = np.isfinite(total) & np.isfinite(error) & (error != 0)
    toward = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where(inexact & is_even, toward, total)


def narrow(values: Array, kind: Float, mode: str) -> Array:
    """float64 values (exact, or rounded to odd) to float32 or float16 in one direction."""
    nearest = values.astype(kind)
    if mode == "rn":
        return nearest
    return _step_back(nearest, nearest.astype(np.float64) - values, mode, kind)


def _step_back(nearest: Array, error: Array, mode: str, kind: Float) -> Array:
    """Move results that were rounded the wrong way to their neighbour; ``error`` is rounded minus exact."""
    down = {"rz": (error > 0) & (nearest > 0), "rm": error > 0, "rp": np.zeros(nearest.shape, bool)}[mode]
    up = {"rz": (error < 0) & (nearest < 0), "rm": np.zeros(nearest.shape, bool), "rp": error < 0}[mode]
    lower = np.nextafter(nearest, kind(-np.inf))
    upper = np.nextafter(nearest, kind(np.inf))
    return np.where(down, lower, np.where(up, upper, nearest))


def fma(a: Array, b: Array, c: Array, mode: str = "rn") -> Array:
    """a * b + c rounded once to the type of ``a`` (float16, float32 or float64)."""
    kind = a.dtype.type
    if kind is np.float64:
        if mode == "rn":
            return _fma64(a, b, c)
        product = a * b
        total = _infinite_addend(exactly(lambda x, y, z: x * y + z, mode, a, b, c), a, b, c)
        is_exact_zero = (a == 0) | (b == 0) | ((product == -c) & (c != 0))
        return np.where(is_exact_zero, _signed_zero(total, product, c, mode), total)
    product = a.astype(np.float64) * b.astype(np.float64)
    odd = sum_to_odd(product, c.astype(np.float64))  # zero only where the sum is exactly zero
    return narrow(_signed_zero(odd, product, c, mode), kind, mode)


def _infinite_addend(total: Array, a: Array, b: Array, c: Array) -> Array:
    """An infinite addend wins over a finite product, even where that is too large for its type."""
    return np.where(np.isinf(c) & np.isfinite(a) & np.isfinite(b), c, total)


def add(a: Array, b: Array, mode: str = "rn") -> Array:
    """a + b rounded once."""
    if mode == "rn":
        return a + b
    if a.dtype == np.float64:
        return _signed_zero(exactly(lambda x, y: x + y, mode, a, b), a, b, mode)
    wide = a.astype(np.float64)
    return _signed_zero(narrow(sum_to_odd(wide, b.astype(np.float64)), a.dtype.type, mode), wide, b, mode)


def _signed_zero(total: Array, a: Array, b: Array, mode: str) -> Array:
    """An exact zero sum of unlike signs is negative when rounding down."""
    if mode != "rm":
        return total
    is_cancelled = (total == 0) & (np.signbit(a) != np.signbit(b))
    return np.where(is_cancelled, total.dtype.type(-0.0), total)


def mul(a: Array, b: Array, mode: str = "rn") -> Array:
    """a * b rounded once."""
    if mode == "rn":
        return a * b
    if a.dtype == np.float64:
        return exactly(lambda x, y: x * y, mode, a, b)
    return narrow(a.astype(np.float64) * b.astype(np.float64), a.dtype.type, mode)


def div(a: Array, b: Array, mode: str = "rn") -> Array:
    """a / b rounded once."""
    return a / b if mode == "rn" else exactly(lambda x, y: x / y, mode, a, b)


def sqrt(a: Array, mode: str = "rn") -> Array:
    """Square root rounded once."""
    root = np.sqrt(a)
    if mode == "rn":
        return root
    errors = [
        _sign(Fraction(float(r)) ** 2 - Fraction(float(x))) if _is_number(r, x) else 0
        for r, x in zip(root.flat, a.flat, strict=True)
    ]
    return _step_back(root, np.array(errors, np.float64).reshape(a.shape), mode, a.dtype.type)


def exactly(operation: Callable[..., Any], mode: str, *operands: Array) -> Array:
    """Evaluate with fractions, lane by lane: slow, and right for every rounding direction."""
    shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    kind = operands[0].dtype.type
    lanes = zip(*(np.broadcast_to(operand, shape).flat for operand in operands), strict=True)
    results = [_one(operation, mode, kind, lane) for lane in lanes]
    return np.array(results, kind).reshape(shape)


def _one(operation: Callable[..., Any], mode: str, kind: Float, lane: tuple[Any, ...]) -> Any:
    plain = operation(*lane)
    try:
        exact = operation(*(Fraction(float(x)) for x in lane))
    except (ZeroDivisionError, OverflowError, ValueError):  # a zero divisor, an infinity, a NaN
        return plain
    return round_fraction(exact, kind, mode) if exact else plain


def round_fraction(exact: Fraction, kind: Float, mode: str) -> Any:
    """A fraction to a floating type in one direction, overflow by IEEE 754's rules."""
    try:
        near = exact.numerator / exact.denominator
    except OverflowError:
        near = math.inf if exact > 0 else -math.inf
    if kind is not np.float64:
        error = 0 if math.isinf(near) else _sign(Fraction(near) - exact)
        odd = _to_odd(np.array([near]), np.array([-float(error)]))
        nearest = odd.astype(kind)
    else:
        nearest = np.array([near], kind)
    if mode == "rn":
        return nearest[0]
    value = float(nearest[0])
    sign = _sign(Fraction(value) - exact) if math.isfinite(value) else (1 if value > 0 else -1)
    return _step_back(nearest, np.array([float(sign)]), mode, kind)[0]


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)


def _is_number(*values: Any) -> bool:
    return all(math.isfinite(value) for value in values)


def _fma64(a: Array, b: Array, c: Array) -> Array:
    a, b, c = np.broadcast_arrays(a, b, c)
    high = a * b
    plain = _infinite_addend(high + c, a, b, c)
    trivial = (a == 0) | (b == 0) | ~np.isfinite(a) | ~np.isfinite(b) | ~np.isfinite(c)
    safe = _in_range(a) & _in_range(b) & _in_range(high) & (_in_range(c) | (c == 0))
    with np.errstate(all="ignore"):
        low = _product_error(a, b, high)
        first, first_error = _two_sum(c, low)
        second, second_error = _two_sum(high, first)
        result = second + sum_to_odd(first_error, second_error)
    result = np.where(trivial, plain, result)
    rest = np.flatnonzero(~trivial & ~safe)
    if rest.size:
        result.flat[rest] = exactly(lambda x, y, z: x * y + z, "rn", a.flat[rest], b.flat[rest], c.flat[rest])
    return result


def _in_range(a: Array) -> Array:
    size = np.abs(a)
    return (size > _SAFE_LOW) & (size < _SAFE_HIGH)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def _product_error(a: Array, b: Array, product: Array) -> Array:
    """a * b - product, exactly (Dekker)."""
    a_high = _SPLIT * a - (_SPLIT * a - a)
    b_high = _SPLIT * b - (_SPLIT * b - b)
    a_low, b_low = a - a_high, b - b_high
    return a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
