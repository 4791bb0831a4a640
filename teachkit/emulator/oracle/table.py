"""The oracle's instruction table: one small function per instruction, keyed by base mnemonic.

A function reads the modifiers it knows from a :class:`Form` and returns what to do. A modifier that nobody
read makes the instruction unsupported, so nothing is executed by a loose match.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Instruction
from teachkit.errors import UnsupportedInstruction

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_FAMILIES = (
    "integer",
    "bitfield",
    "packed",
    "video",
    "floating",
    "compare",
    "convert",
    "move",
    "clusters",
    "memory",
    "atomic",
    "warp",
    "matrix",
    "sparse",
    "quadpairs",
    "wmma",
    "wgmma",
    "tcgen05",
    "mbarrier",
    "bulk",
    "control",
)


class UnmatchedForm(Exception):
    """Modifiers or operands that the instruction's function does not know."""


class Form:
    """An opcode whose modifiers are taken off one by one, in any order."""

    def __init__(self, opcode: str) -> None:
        self.opcode = opcode
        self.base, *self.rest = opcode.split(".")

    def flag(self, *names: str) -> bool:
        """Whether one of the modifiers is there; takes all of them."""
        found = [name for name in names if name in self.rest]
        for name in found:
            self.rest.remove(name)
        return bool(found)

    def maybe(self, *names: str, default: str = "") -> str:
        """The first modifier that is one of ``names``, or ``default``."""
        for modifier in self.rest:
            if modifier in names:
                self.rest.remove(modifier)
                return modifier
        return default

    def one(self, *names: str) -> str:
        """The first modifier that is one of ``names``; there must be one."""
        found = self.maybe(*names)
        if not found:
            raise UnmatchedForm(f"none of .{', .'.join(names)}")
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Lanes:
    """A result that depends on nothing but the same lane's operands."""

    result: str
    sources: tuple[str, ...]
    compute: Callable[..., Array]
    counts: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """Anything else: ``run(machine, instruction, mask)`` with the lanes that are on."""

    run: Callable[[Machine, Instruction, Array], None]
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    per_warp: dict[str, int] = dataclasses.field(default_factory=dict)


Operation = Lanes | Step
_table: dict[str, list[Callable[[Form], Operation]]] = {}


def instruction(*names: str) -> Callable[[Callable[[Form], Operation]], Callable[[Form], Operation]]:
    """Register the decorated function for these base mnemonics; families may share one (``add``)."""

    def register(function: Callable[[Form], Operation]) -> Callable[[Form], Operation]:
        for name in names:
            _table.setdefault(name, []).append(function)
        return function

    return register


@functools.cache
def _load_families() -> None:
    for family in _FAMILIES:
        importlib.import_module(f"teachkit.emulator.oracle.{family}")


def decode(item: Instruction) -> Operation:
    """What to do for an instruction.

    Raises
    ------
    UnsupportedInstruction
        For a mnemonic without a function, or a modifier that its function does not know.
    """
    try:
        return _decode(item.opcode)
    except UnmatchedForm as reason:
        raise unsupported(item, str(reason)) from None


@functools.lru_cache(maxsize=4096)
def _decode(opcode: str) -> Operation:
    _load_families()
    reason = UnmatchedForm("no such instruction in the oracle")
    for function in _table.get(opcode.partition(".")[0], ()):
        form = Form(opcode)
        try:
            operation = function(form)
        except UnmatchedForm as unmatched:
            reason = unmatched
            continue
        if not form.rest:
            return operation
        reason = UnmatchedForm(f"modifier .{form.rest[0]}")
    raise reason


def space_of(modifier: str) -> str:
    """The state space that a modifier names; "cluster" is shared memory of any block of the cluster."""
    return "cluster" if modifier == "shared::cluster" else modifier.partition("::")[0]


def unsupported(item: Instruction, what: str = "") -> UnsupportedInstruction:
    """The error for an instruction, with where it stands."""
    return UnsupportedInstruction(item.opcode, item.ptx_line, str(item.source or ""), what)


def known() -> list[str]:
    """Every base mnemonic of the table."""
    _load_families()
    return sorted(_table)


def counting(type_name: str, per_lane: int = 1) -> dict[str, int]:
    """The counter that an arithmetic instruction of this type adds to."""
    if type_name == "pred":
        return {}
    if "f" not in type_name:
        return {"int_ops": per_lane}
    lanes = 2 if type_name.endswith("x2") else 1
    size = type_name.removesuffix("x2")
    return {{"f64": "flop_fp64", "f32": "flop_fp32"}.get(size, "flop_fp16"): per_lane * lanes}
