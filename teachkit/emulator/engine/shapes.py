"""Types of what a register holds, in one lane or in all 32, and constants of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import LANES

Value = ir.Value
Poison = ir.Poison

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F16, F32, F64 = ir.HalfType(), ir.FloatType(), ir.DoubleType()
POINTER = ir.PointerType()

WIDTHS = {
    "pred": 1,
    **dict.fromkeys(("b8", "u8", "s8"), 8),
    **dict.fromkeys(("b16", "u16", "s16", "f16", "bf16"), 16),
    **dict.fromkeys(("b32", "u32", "s32", "f32", "f16x2", "bf16x2"), 32),
    **dict.fromkeys(("b64", "u64", "s64", "f64"), 64),
}


@functools.cache
def vector_of(element: ir.Type, n: int = LANES) -> ir.VectorType:
    """``n`` elements of a type side by side."""
    return ir.VectorType(element, n)


def is_vector(value: Value) -> bool:
    """Whether a value has one element a lane."""
    return isinstance(value.type, ir.VectorType)


def like(shape: ir.Type, element: ir.Type) -> ir.Type:
    """``element`` as a scalar or a vector, whichever ``shape`` is."""
    return vector_of(element, shape.count) if isinstance(shape, ir.VectorType) else element


def lane_constants(element: ir.Type, numbers: Sequence[int]) -> ir.Constant:
    """A constant vector of the given numbers."""
    return _lane_constants(element, tuple(numbers))


@functools.lru_cache(maxsize=4096)  # the same few in every kernel, and long
def _lane_constants(element: ir.Type, numbers: tuple[int, ...]) -> ir.Constant:
    return ir.Constant(vector_of(element, len(numbers)), numbers)


def lane_numbers() -> ir.Constant:
    """0, 1, 2, ... 31."""
    return lane_constants(I32, list(range(LANES)))


def element_of(shape: ir.Type) -> Any:
    """The type of one lane."""
    return shape.element if isinstance(shape, ir.VectorType) else shape
