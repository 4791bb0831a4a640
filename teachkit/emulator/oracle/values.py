"""PTX types as NumPy arrays: bits of a register to values and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

UINT: dict[int, type[np.unsignedinteger[Any]]] = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
_SINT = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}
_PLAIN: dict[str, Any] = (
    {f"u{bits}": kind for bits, kind in UINT.items()}
    | {f"b{bits}": kind for bits, kind in UINT.items()}
    | {f"s{bits}": kind for bits, kind in _SINT.items()}
    | {"f16": np.float16, "f32": np.float32, "f64": np.float64}
)
_PAIRS: dict[str, Any] = {
    "f16x2": np.float16,
    "f32x2": np.float32,
    "u16x2": np.uint16,
    "s16x2": np.int16,
}
_NAN_BITS = {"f16": 0x7FFF, "f32": 0x7FFFFFFF}
BF16_NAN = 0x7FFF


def width(type_name: str) -> int:
    """Bits of a type: 1 for ``pred``, 32 for ``f16x2``."""
    if type_name == "pred":
        return 1
    if type_name.endswith("x2"):
        return 2 * width(type_name[:-2])
    if type_name == "tf32":
        return 32
    return int(type_name.lstrip("bfsu"))


def raw(type_name: str) -> str:
    """The untyped type of the same size, which never touches a NaN's bits."""
    return "pred" if type_name == "pred" else f"b{width(type_name)}"


def is_signed(type_name: str) -> bool:
    return type_name[0] == "s"


def is_float(type_name: str) -> bool:
    return "f" in type_name


def decode(bits: Array, type_name: str) -> Array:
    """Values of a type from unsigned ``bits`` [n]; two-element types give [n, 2], low half first.

    bf16 has no NumPy type and becomes float32, which holds it exactly.
    """
    if type_name == "pred":
        return np.asarray(bits, bool)
    bits = np.ascontiguousarray(bits)
    if type_name in _PLAIN:
        return bits.view(_PLAIN[type_name])
    if type_name in _PAIRS:
        return np.asarray(bits.view(_PAIRS[type_name]).reshape(*bits.shape, 2))
    if type_name == "bf16":
        return np.left_shift(bits, 16, dtype=np.uint32).view(np.float32)
    if type_name == "bf16x2":
        return decode(bits.view(np.uint16).reshape(*bits.shape, 2), "bf16")
    if type_name == "tf32":
        return bits.view(np.float32)
    raise KeyError(type_name)


def encode(values: Array, type_name: str) -> Array:
    """Unsigned bits [n] of values; NaN becomes PTX's canonical NaN for types up to 32 bits."""
    if type_name == "pred":
        return values.astype(bool)
    if type_name in _PLAIN:
        values = np.ascontiguousarray(values, dtype=_PLAIN[type_name])
        bits = values.view(UINT[width(type_name)])
        if type_name in _NAN_BITS:
            return np.where(np.isnan(values), bits.dtype.type(_NAN_BITS[type_name]), bits)
        return bits
    if type_name in ("bf16", "bf16x2"):
        bits = round_to_bf16(np.asarray(values, np.float32))
        return bits if type_name == "bf16" else np.ascontiguousarray(bits).view(np.uint32)[..., 0]
    if type_name in _PAIRS:
        element = type_name[:-2]
        halves = np.ascontiguousarray(encode(np.asarray(values, _PAIRS[type_name]), element))
        return halves.view(UINT[width(type_name)])[..., 0]
    raise KeyError(type_name)


def round_to_bf16(values: Array) -> Array:
    """Nearest bf16 bits of float32 values, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded = ((bits.astype(np.uint64) + half) >> np.uint64(16)).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(BF16_NAN), rounded)
