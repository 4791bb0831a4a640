"""Registers whose lanes hold base, base + stride, base + 2 stride, ...: kept as the scalar ``base``.

Thread numbers are such, and most addresses computed from them. Where an address has a stride equal to the
access size, the engine knows before running that lanes touch consecutive memory. Besides the stride the
analysis tracks which bits can be set, because compilers write additions that cannot carry as ``or``.
"""

from __future__ import annotations

import dataclasses

from teachkit.emulator.engine.affine_rules import LONG, RULES, WORD, Affine
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.steps import Step
from teachkit.emulator.ptx.model import Function, Immediate, Operand, Register

_MAX_BLOCK_THREADS = 1024


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
    return LONG if width.endswith("64") else WORD


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
        if name.startswith(("%ctaid", "%nctaid", "%ntid", "%cluster", "%ncluster")) or (
            self.rows and name in ("%tid.y", "%tid.z")
        ):
            return Affine(0, mask)
        if name in self.refused or name not in self.function.registers:
            return _VARYING
        return None

    def result(self, step: Step) -> _Found:
        """What the instruction's rule makes of its operands."""
        instruction, kind = step.instruction, step.mnemonic
        if instruction.guard is not None or kind not in RULES:
            return _VARYING
        modifiers = instruction.opcode.split(".")[1:]
        if not modifiers or "shared::cluster" in modifiers or "local" in modifiers:
            return _VARYING
        target, *sources = instruction.operands
        width = modifiers[-1]
        if width[1:] not in ("32", "64") or not isinstance(target, Register):
            return _VARYING
        if width[0] == "f" and kind != "mov":  # the bits of floats add up to something else
            return _VARYING
        mask = _mask(width)
        is_wide = "wide" in modifiers
        results = LONG if is_wide else _mask(modifiers[0]) if kind == "cvt" else mask
        if not self._has_width(target.name, results):
            return _VARYING
        masks = [mask] * len(sources)
        if kind in ("shl", "shr", "bfe"):  # amounts and places
            masks[1:] = [WORD] * (len(sources) - 1)
        elif is_wide:
            masks[2:] = [LONG] * (len(sources) - 2)
        found = [self.operand(o, m) for o, m in zip(sources, masks, strict=True)]
        if any(f is _VARYING for f in found):
            return _VARYING
        if any(f is None for f in found):
            return None
        values = [f for f in found if isinstance(f, Affine)]
        rule = RULES[kind]
        immediates = [o.value & m if isinstance(o, Immediate) else None for o, m in zip(sources, masks, strict=True)]
        result = rule(modifiers, mask, values, immediates)
        return _VARYING if result is None else result

    def _has_width(self, name: str, mask: int) -> bool:
        """Whether a register is as wide as ``mask``: some instructions take a part of one, or leave a part zero."""
        return _mask(self.function.registers.get(name, "b32" if mask == WORD else "b64")) == mask
