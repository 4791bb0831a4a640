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
    known = _known(builder, opcode, values)
    if known is None or not is_vector(result) or not 0 < known[2] < _MOST_BYTES:
        return result
    base, index, scale, is_signed = known
    return ir.Indexed(result, base, index, scale, is_signed=is_signed)


def widened(lanes: Value, index: Value, *, is_signed: bool) -> Value:
    """``lanes``, which are those of ``index`` made wider."""
    if not is_vector(lanes) or lanes.type.element is not I64 or index.type.element is not I32:
        return lanes
    return ir.Indexed(lanes, I64(0), index, 1, is_signed=is_signed)


def moved(builder: ir.IRBuilder, lanes: Value, value: ir.Indexed, n_bytes: int) -> ir.Indexed:
    """``lanes``, which are ``n_bytes`` behind those of ``value``."""
    base = builder.add(value.base, I64(n_bytes))
    return ir.Indexed(lanes, base, value.index, value.scale, is_signed=value.is_signed)


def _known(builder: ir.IRBuilder, opcode: str, values: Sequence[Value]) -> tuple[Value, Value, int, bool] | None:
    name, _, kind = opcode.partition(".")
    if kind in ("wide.s32", "wide.u32") and name in ("mul", "mad"):
        index, scale = _with_number(values[0], values[1])
        base = values[2] if name == "mad" else I64(0)
        if index is None or is_vector(base):
            return None
        return base, index, scale, kind == "wide.s32"
    if name not in ("add", "shl") or kind not in ("s64", "u64", "b64"):
        return None
    one, other = values if isinstance(values[0], ir.Indexed) else values[::-1]
    if not isinstance(one, ir.Indexed) or is_vector(other):
        return None
    if name == "add":
        return builder.add(one.base, other), one.index, one.scale, one.is_signed
    amount = other.number if isinstance(other, ir.Constant) and one is values[0] else None
    if amount is None or not isinstance(one.base, ir.Constant) or one.base.number != 0:
        return None
    return one.base, one.index, one.scale << min(amount, 63), one.is_signed


def _with_number(a: Value, b: Value) -> tuple[Value | None, int]:
    """A vector and a number that it is multiplied by, in any order."""
    for index, factor in ((a, b), (b, a)):
        if isinstance(factor, ir.Constant) and factor.number and is_vector(index) and not is_vector(factor):
            return index, factor.number
    return None, 0
