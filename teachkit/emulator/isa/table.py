"""The whitelist: which opcodes exist, with which modifiers, and the function that translates each.

A row's pattern reads like the manual's syntax line. ``add[.rn][.ftz].(f32|f64)`` has two optional modifiers
and one required choice. Optional modifiers may stand in any order, and so may ``.sync`` of what lanes exchange; other
required ones keep theirs, because ``cvt.f32.f16`` and ``cvt.f16.f32`` differ. An opcode with a modifier that no row
names is not translated.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import re
from collections.abc import Callable
from typing import Any

_FAMILIES = (
    *("integer", "logic", "shifts", "bits", "packed", "video", "carry"),
    *("floating", "transcendental", "float_pairs", "halves", "directed", "mixed", "convert", "fp8", "compare"),
    *("move", "memory", "matrix", "sparse", "quadpairs", "wmma", "wgmma", "atomic", "mbarrier", "bulk", "tensor_maps"),
    *("clusters", "tensor_memory", "tcgen05", "warp", "control", "host"),
)

# ptxas takes ``.sync`` of these at any place, and CUB writes ``vote.ballot.sync``.
_AMONG_LANES = ("redux", "shfl", "vote")

_TYPE = re.compile(r"pred|[busf]\d+(x\d)?|bf16(x2)?|tf32|e[25]m[1-9].*")
_SLOT = re.compile(r"\[([^\]]*)\]|\.\(([^)]*)\)|\.([A-Za-z0-9_:]+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """An opcode matched against its row.

    ``required`` holds what stands in the pattern's choices, and its types, in order; ``optional`` the set of
    optional modifiers. A fixed word such as ``.sync`` is checked and not kept.
    """

    opcode: str
    base: str
    required: tuple[str, ...]
    optional: frozenset[str]

    @property
    def type(self) -> str:
        """The last type of the opcode, e.g. ``f32`` of ``add.rn.f32``."""
        return self.required[-1]

    @property
    def is_signed(self) -> bool:
        """Whether that type is one of signed integers."""
        return self.type.startswith("s")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the whitelist.

    ``reads`` names the type of each source operand: ``T`` is the last required modifier, ``D`` the first,
    anything else a PTX type. ``writes`` likewise for the destination. Rows with ``reads=None`` take their
    operands as they are written and do their own reading and writing.
    """

    base: str
    optional: tuple[frozenset[str], ...]
    required: tuple[frozenset[str], ...]
    translate: Callable[..., Any]
    reads: tuple[str, ...] | None
    writes: str

    def match(self, opcode: str, modifiers: list[str]) -> Form | None:
        """The form of ``opcode``, or None where this row does not spell it."""
        required: list[str] = []
        n_matched = 0
        free = list(self.optional)
        found: set[str] = set()
        for modifier in modifiers:
            if n_matched < len(self.required) and modifier in self.required[n_matched]:
                if len(self.required[n_matched]) > 1 or _TYPE.fullmatch(modifier):
                    required.append(modifier)
                n_matched += 1
                continue
            slot = next((s for s in free if modifier in s), None)
            if slot is None:
                return None
            free.remove(slot)
            found.add(modifier)
        if n_matched != len(self.required):
            return None
        return Form(opcode, self.base, tuple(required), frozenset(found))


_rows: dict[str, list[Row]] = {}


def instruction(
    *patterns: str, reads: tuple[str, ...] | None = ("T", "T"), writes: str = "T"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the translation of every opcode that one of ``patterns`` spells."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for pattern in patterns:
            base, optional, required = _parse(pattern)
            _rows.setdefault(base, []).append(Row(base, optional, required, function, reads, writes))
        return function

    return register


def _parse(pattern: str) -> tuple[str, tuple[frozenset[str], ...], tuple[frozenset[str], ...]]:
    base, rest = re.match(r"([a-z0-9_]+)(.*)", pattern).groups()  # type: ignore[union-attr]
    optional: list[frozenset[str]] = []
    required: list[frozenset[str]] = []
    end = 0
    for slot in _SLOT.finditer(rest):
        assert slot.start() == end, f"malformed pattern {pattern!r}"
        end = slot.end()
        if slot[1] is not None:
            optional.append(frozenset(choice.removeprefix(".") for choice in slot[1].split("|")))
        else:
            required.append(frozenset((slot[2] or slot[3]).split("|")))
    assert end == len(rest), f"malformed pattern {pattern!r}"
    return base, tuple(optional), tuple(required)


@functools.cache
def _load_families() -> None:
    for family in _FAMILIES:
        importlib.import_module(f"teachkit.emulator.isa.{family}")


@functools.lru_cache(maxsize=4096)
def lookup(opcode: str) -> tuple[Row, Form] | None:
    """The row and matched form of ``opcode``, or None where no row spells it exactly."""
    _load_families()
    base, *modifiers = opcode.split(".")
    if base in _AMONG_LANES:
        modifiers.sort(key=lambda modifier: modifier != "sync")
    for row in _rows.get(base, ()):
        form = row.match(opcode, modifiers)
        if form is not None:
            return row, form
    return None


def rows() -> dict[str, list[Row]]:
    """Every row by base mnemonic."""
    _load_families()
    return _rows
