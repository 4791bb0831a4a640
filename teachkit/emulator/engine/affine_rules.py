"""What integer instructions make of registers whose lanes hold base, base + stride, base + 2 stride, ...

A rule takes the opcode's modifiers, the mask of the operands' width, what is known of each operand, and the values of
those that are constants; it gives what is known of the result, or None where that is not of the form.
"""

from __future__ import annotations

import dataclasses
import functools

from teachkit.emulator.engine.context import LANES

WORD = 0xFFFFFFFF
LONG = 0xFFFFFFFFFFFFFFFF
_SIGN = 0x80000000


@dataclasses.dataclass(frozen=True, slots=True)
class Affine:
    """``value[lane] = base + lane * stride``, modulo the register's size.

    ``bits`` are the bits that ``base`` may have set. Where they are disjoint from those of ``lane * stride``
    the sum has no carries (``exact``), and so survives widening from 32 to 64 bits.
    """

    stride: int
    bits: int

    @property
    def lane_bits(self) -> int:
        """The bits that ``lane * stride`` may have set."""
        return _lane_bits(self.stride)

    @property
    def exact(self) -> bool:
        """Whether the sum has no carries."""
        return self.bits & self.lane_bits == 0


@functools.lru_cache(maxsize=4096)
def _lane_bits(stride: int) -> int:
    found = 0
    for lane in range(LANES):
        found |= lane * stride
    return found


def _of(stride: int, bits: int, mask: int) -> Affine | None:
    """None where the lanes' part is more than the register holds."""
    return None if _lane_bits(stride) & ~mask else Affine(stride, bits & mask)


def _lowest(bits: int) -> int:
    return bits & -bits


def _move(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    return v[0] if len(v) == 1 else None


def _cvta(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    moves = any(part.startswith("shared") for part in modifiers)  # to or from where the block's memory is
    return _of(v[0].stride, mask if moves else v[0].bits, mask)


def _add(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    return _sum(v[0], v[1], mask) if len(v) == 2 and len(modifiers) == 1 else None


def _sub(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    a, b = v
    if len(modifiers) != 1 or b.stride:
        return None
    return _of(a.stride, -_lowest(a.bits | b.bits), mask)


def _sum(a: Affine, b: Affine, mask: int) -> Affine | None:
    # Carries can set any bit from the lowest that either may have.
    bits = -_lowest(a.bits | b.bits) if a.bits & b.bits else a.bits | b.bits
    return _of(a.stride + b.stride, bits, mask)


def _or(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    a, b = v
    if a.stride == 0 and b.stride == 0:
        return Affine(0, a.bits | b.bits)
    is_sum = a.exact and b.exact and (a.bits | a.lane_bits) & (b.bits | b.lane_bits) == 0
    return _sum(a, b, mask) if is_sum else None


def _and(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    a, b = v
    if a.stride == 0 and b.stride == 0:
        return Affine(0, a.bits & b.bits)
    if c[0] is not None:
        a, b, c = b, a, c[::-1]
    if c[1] is None or not a.exact:
        return None
    kept = a.lane_bits & c[1] & mask
    if kept == a.lane_bits:
        return Affine(a.stride, a.bits & c[1] & mask)
    return Affine(0, a.bits & c[1] & mask) if kept == 0 else None


def _shl(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    a, amount = v[0], c[1]
    if a.stride == 0 and v[1].stride == 0 and amount is None:
        return Affine(0, mask)
    if amount is None or not 0 <= amount < 64:
        return None
    return _of(a.stride << amount, a.bits << amount, mask)


def _shr(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    a, amount = v[0], c[1]
    if a.stride == 0 and v[1].stride == 0:
        return Affine(0, mask)
    top = mask ^ (mask >> 1)
    if amount is None or not 0 <= amount < mask.bit_length() or not a.exact or a.lane_bits & top:
        return None
    bits = a.bits >> amount
    if modifiers[-1].startswith("s") and a.bits & top:
        bits |= mask ^ (mask >> amount)  # copies of the sign
    if a.lane_bits >> amount == 0:
        return Affine(0, bits)
    return Affine(a.stride >> amount, bits) if a.stride % (1 << amount) == 0 else None


def _bfe(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    if c[1] is None or c[2] is None or modifiers[-1].startswith("s"):  # that copies the field's own sign
        return None
    shifted = _shr(modifiers, mask, v[:2], c[:2])
    field = (1 << min(c[2] & 0xFF, 64)) - 1
    return None if shifted is None else _and(modifiers, mask, [shifted, Affine(0, field)], [None, field])


def _mul(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    a, b = v[:2]
    if c[0] is not None:
        a, b, c = b, a, [c[1], c[0], *c[2:]]
    is_wide = "wide" in modifiers
    result = LONG if is_wide else mask
    if "hi" in modifiers:
        return Affine(0, mask) if a.stride == 0 and b.stride == 0 else None
    bits = -(_lowest(a.bits) * _lowest(b.bits))
    if a.stride == 0 and b.stride == 0:
        return Affine(0, bits & result)
    if c[1] is None or (is_wide and not (a.exact and modifiers[-1].endswith("32"))):
        return None
    if is_wide and modifiers[-1].startswith("s") and (a.lane_bits | c[1]) & _SIGN:
        return None
    return _of(a.stride * c[1], bits, result)


def _mad(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    product = _mul(modifiers, mask, v, c)
    is_plain = not {"hi", "sat", "cc"} & set(modifiers)
    return _sum(product, v[2], LONG if "wide" in modifiers else mask) if product is not None and is_plain else None


def _cvt(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    a = v[0]
    if modifiers in (["u32", "u64"], ["s32", "s64"], ["u32", "s64"], ["s32", "u64"]):
        return _of(a.stride, a.bits & WORD, WORD)
    if modifiers not in (["s64", "s32"], ["u64", "u32"]) or not a.exact:
        return None
    if modifiers[0] == "s64" and a.lane_bits & _SIGN:
        return None
    return Affine(a.stride, a.bits | (LONG ^ WORD) if modifiers[0] == "s64" else a.bits)


RULES = {
    "mov": _move,
    "add": _add,
    "sub": _sub,
    "or": _or,
    "and": _and,
    "shl": _shl,
    "shr": _shr,
    "bfe": _bfe,
    "mul": _mul,
    "mad": _mad,
    "cvt": _cvt,
    "cvta": _cvta,
}
