"""Addresses as compilers write them: a pointer, and an index of 32 bits a lane that is widened and scaled.

Whether the lanes of an access lie in a row shows in the indices, which are half as many bits. The 64-bit addresses
are then never computed; where the runtime needs them, it computes them itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.shapes import I32, I64, Value, is_vector

_MOST_BYTES = 1 << 31  # of a scale: the runtime multiplies by 32 bits of it


def of(builder: ir.IRBuilder, opcode: str, values: Sequence[Value], result: Value) -> Value:
    """``result`` of an instruction on ``values``, which knows how it came to be where it is such an address."""
    name, _, kind = opcode.partition(".")
    if kind in ("wide.s32", "wide.u32") and name in ("mul", "mad"):
        index, scale = _with_number(values[0], values[1])
        base = values[2] if name == "mad" else I64(0)
        if index is None or is_vector(base) or scale >= _MOST_BYTES:
            return result
        return ir.Indexed(result, base, index, scale, is_signed=kind == "wide.s32")
    if name not in ("add", "shl") or kind not in ("s64", "u64", "b64"):
        return result
    one, other = values if isinstance(values[0], ir.Indexed) else values[::-1]
    if not isinstance(one, ir.Indexed) or is_vector(other):
        return result
    if name == "add":
        return moved(builder, result, one, other)
    return _shifted(result, one, other) if one is values[0] else result


def widened(lanes: Value, index: Value, *, is_signed: bool) -> Value:
    """``lanes``, which are those of ``index`` made wider."""
    if not is_vector(lanes) or lanes.type.element is not I64 or index.type.element is not I32:
        return lanes
    return ir.Indexed(lanes, I64(0), index, 1, is_signed=is_signed)


def moved(builder: ir.IRBuilder, lanes: Value, value: ir.Indexed, n_bytes: Value) -> ir.Indexed:
    """``lanes``, which are ``n_bytes`` behind those of ``value``."""
    base = builder.add(value.base, n_bytes)
    return ir.Indexed(lanes, base, value.index, value.scale, is_signed=value.is_signed)


def _shifted(lanes: Value, value: ir.Indexed, amount: Value) -> Value:
    """``lanes``, which are those of ``value`` shifted up, before a base was added."""
    by = amount.number if isinstance(amount, ir.Constant) else None
    if by is None or not isinstance(value.base, ir.Constant) or value.base.number != 0:
        return lanes
    scale = value.scale << min(by, 63)
    if scale >= _MOST_BYTES:
        return lanes
    return ir.Indexed(lanes, value.base, value.index, scale, is_signed=value.is_signed)


def _with_number(a: Value, b: Value) -> tuple[Value | None, int]:
    """A vector and a number that it is multiplied by, in any order."""
    for index, factor in ((a, b), (b, a)):
        if isinstance(factor, ir.Constant) and factor.number and is_vector(index) and not is_vector(factor):
            return index, factor.number
    return None, 0
