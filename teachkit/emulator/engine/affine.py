"""Registers whose lanes hold base, base + stride, base + 2 stride, ...: kept as the scalar ``base``.

Thread numbers are such, and most addresses computed from them. Where an address has a stride equal to the
access size, the engine knows before running that lanes touch consecutive memory. Besides the stride the
analysis tracks which bits can be set, because compilers write additions that cannot carry as ``or``.
"""

from __future__ import annotations

import dataclasses
import functools

from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.steps import Step
from teachkit.emulator.ptx.model import Function, Immediate, Operand, Register

_WORD = 0xFFFFFFFF
_LONG = 0xFFFFFFFFFFFFFFFF
_SIGN = 0x80000000


_MAX_BLOCK_THREADS = 1024


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


def affine_registers(
    function: Function,
    steps: list[Step],
    uniform: frozenset[str],
    refused: set[str],
    zeros: frozenset[str],
    rows: bool,
) -> dict[str, Affine]:
    """Registers of the form above, ``refused`` ones aside. A stride of 0 is one value a warp after all.

    ``zeros`` may be read before they are written, as 0. ``rows``: a warp is a part of a row of its block, whose width
    is a multiple of 32.
    """
    n_threads = function.directives.get("reqntid", ())
    linear = bool(n_threads) and all(n == 1 for n in n_threads[1:])
    known: dict[str, Affine] = {}
    definitions: dict[str, list[Step]] = {}
    for step in steps:
        for name in step.writes:
            definitions.setdefault(name, []).append(step)
    width = n_threads[0] if linear else _MAX_BLOCK_THREADS if rows else 0
    facts = _Facts(function, known, refused, uniform, width, rows)
    changed = True
    while changed:
        changed = False
        for name, sources in definitions.items():
            if name in refused:
                continue
            before = known.get(name)
            found = [facts.result(step) for step in sources]
            if name in zeros:
                found.append(Affine(0, 0))
            merged = _merge(before, found)
            if merged is _VARYING and name in uniform:
                merged = Affine(0, _mask(function.registers[name]))
            if merged is _VARYING:
                known.pop(name, None)
                refused.add(name)
                changed = True
            elif isinstance(merged, Affine) and merged != before:
                known[name] = merged
                changed = True
    return {name: value for name, value in known.items() if name not in uniform}


def _mask(width: str) -> int:
    return _LONG if width.endswith("64") else _WORD


class _Varying:
    """Not of the form, for certain."""


_VARYING = _Varying()
_Found = Affine | _Varying | None  # None: operands not worked out yet


def _merge(before: Affine | None, found: list[_Found]) -> _Found:
    """What holds whichever definition was the last to run."""
    if any(f is _VARYING for f in found):
        return _VARYING
    values = [f for f in (before, *found) if isinstance(f, Affine)]
    if not values:
        return None
    if len({v.stride for v in values}) > 1:
        return _VARYING
    bits = 0
    for value in values:
        bits |= value.bits
    return Affine(values[0].stride, bits)


@dataclasses.dataclass(frozen=True, slots=True)
class _Facts:
    """What is known so far, and the rule of each instruction."""

    function: Function
    known: dict[str, Affine]
    refused: set[str]
    uniform: frozenset[str]
    n_threads: int  # of a block, if they are known to be a line
    rows: bool

    def operand(self, operand: Operand, mask: int) -> _Found:
        if isinstance(operand, Immediate) and operand.kind == "int":
            return Affine(0, operand.value & mask)
        if not isinstance(operand, Register) or not self._has_width(operand.name, mask):
            return _VARYING
        name = operand.name
        if name in self.known:
            return self.known[name]
        if name == "%tid.x" and self.n_threads:
            width = (1 << max(self.n_threads - 1, 31).bit_length()) - 1
            return Affine(1, width & ~31)
        if name == "%laneid":
            return Affine(1, 0)
        if name == "%ntid.x" and self.rows:
            return Affine(0, (2 * _MAX_BLOCK_THREADS - 1) & -LANES)
        if name.startswith(("%ctaid", "%nctaid", "%ntid")) or (self.rows and name in ("%tid.y", "%tid.z")):
            return Affine(0, mask)
        if name in self.refused or name not in self.function.registers:
            return _VARYING
        return None

    def result(self, step: Step) -> _Found:
        """What the instruction's rule makes of its operands."""
        instruction, kind = step.instruction, step.mnemonic
        if instruction.guard is not None or kind not in _RULES:
            return _VARYING
        modifiers = instruction.opcode.split(".")[1:]
        if not modifiers or "local" in modifiers:
            return _VARYING
        target, *sources = instruction.operands
        width = modifiers[-1]
        if width[1:] not in ("32", "64") or not isinstance(target, Register):
            return _VARYING
        if width[0] == "f" and kind != "mov":  # the bits of floats add up to something else
            return _VARYING
        mask = _mask(width)
        is_wide = "wide" in modifiers
        results = _LONG if is_wide else _mask(modifiers[0]) if kind == "cvt" else mask
        if not self._has_width(target.name, results):
            return _VARYING
        masks = [mask] * len(sources)
        if kind in ("shl", "shr", "bfe"):  # amounts and places
            masks[1:] = [_WORD] * (len(sources) - 1)
        elif is_wide:
            masks[2:] = [_LONG] * (len(sources) - 2)
        found = [self.operand(o, m) for o, m in zip(sources, masks, strict=True)]
        if any(f is _VARYING for f in found):
            return _VARYING
        if any(f is None for f in found):
            return None
        values = [f for f in found if isinstance(f, Affine)]
        rule = _RULES[kind]
        immediates = [o.value & m if isinstance(o, Immediate) else None for o, m in zip(sources, masks, strict=True)]
        result = rule(modifiers, mask, values, immediates)
        return _VARYING if result is None else result

    def _has_width(self, name: str, mask: int) -> bool:
        """Whether a register is as wide as ``mask``: some instructions take a part of one, or leave a part zero."""
        return _mask(self.function.registers.get(name, "b32" if mask == _WORD else "b64")) == mask


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
    result = _LONG if is_wide else mask
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
    return _sum(product, v[2], _LONG if "wide" in modifiers else mask) if product is not None and is_plain else None


def _cvt(modifiers: list[str], mask: int, v: list[Affine], c: list[int | None]) -> Affine | None:
    a = v[0]
    if modifiers in (["u32", "u64"], ["s32", "s64"], ["u32", "s64"], ["s32", "u64"]):
        return _of(a.stride, a.bits & _WORD, _WORD)
    if modifiers not in (["s64", "s32"], ["u64", "u32"]) or not a.exact:
        return None
    if modifiers[0] == "s64" and a.lane_bits & _SIGN:
        return None
    return Affine(a.stride, a.bits | (_LONG ^ _WORD) if modifiers[0] == "s64" else a.bits)


_RULES = {
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
