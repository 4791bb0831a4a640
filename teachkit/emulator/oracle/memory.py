"""Loads, stores, asynchronous copies, and hints that do nothing here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction, space_of, unsupported
from teachkit.emulator.oracle.values import Array, is_signed, raw, width
from teachkit.emulator.ptx.model import Group, Immediate, Instruction, Negated, Operand, Register

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_ORDER = ("weak", "relaxed", "acquire", "release", "volatile", "mmio")
_SCOPES = ("cta", "cluster", "gpu", "sys")
_SPACES = (
    "global",
    "shared",
    "shared::cta",
    "shared::cluster",
    "local",
    "param",
    "param::entry",
    "param::func",
    "const",
)
_EVICTION = ("evict_normal", "evict_unchanged", "evict_first", "evict_last", "no_allocate")
_CACHE_HINTS = (
    *("ca", "cg", "cs", "lu", "cv", "wb", "wt"),
    *(f"{level}::{name}" for level in ("L1", "L2") for name in _EVICTION),
    *("L2::64B", "L2::128B", "L2::256B"),
)
_TYPES = (*(f"{kind}{bits}" for kind in "bus" for bits in (8, 16, 32, 64)), "f32", "f64")


@instruction("ld", "ldu")
def load(form: Form) -> Operation:
    space, n, kind = _common(form)
    form.flag("nc")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        targets = _elements(item.operands[0], n)
        octets = machine.access.load(item, space, item.operands[1], n * width(kind) // 8, mask)
        # A load into a wider register extends by its type, so signed types keep theirs.
        as_type = kind if is_signed(kind) else raw(kind)
        for target, value in zip(targets, _split(octets, n, as_type), strict=True):
            machine.write(target, value, as_type, mask)

    return Step(run)


@instruction("st")
def store(form: Form) -> Operation:
    space, n, kind = _common(form)

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        values = [machine.read(source, raw(kind)) for source in _elements(item.operands[1], n)]
        octets = np.concatenate([_octets(value, mask.size) for value in values], axis=1)
        machine.access.store(item, space, item.operands[0], octets, mask)

    return Step(run)


@instruction("cp")
def copy_async(form: Form) -> Operation:
    """Data arrive at once; a copy that is short in its source fills up with zeros."""
    if not form.flag("async"):
        raise UnmatchedForm("not cp.async")
    if "bulk" in form.rest:
        raise UnmatchedForm("a bulk copy")
    if "mbarrier" in form.rest:
        raise UnmatchedForm("an arrival, not a copy")
    if form.flag("commit_group", "wait_group", "wait_all"):
        return Step(_nothing)
    form.one("ca", "cg")
    form.one("shared", "shared::cta")
    form.one("global")
    form.flag("L2::64B", "L2::128B", "L2::256B")
    has_policy = form.flag("L2::cache_hint")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        operands = item.operands[:-1] if has_policy else item.operands
        n_bytes = operands[2]
        assert isinstance(n_bytes, Immediate)
        wanted = np.full(mask.size, n_bytes.value)
        if len(operands) > 3 and _is_predicate(machine, operands[3]):
            wanted = np.where(machine.read(operands[3], "pred"), 0, n_bytes.value)
        elif len(operands) > 3:
            wanted = np.broadcast_to(machine.read(operands[3], "u32"), mask.shape)
            if (wanted[mask] > n_bytes.value).any():
                raise unsupported(item, "a source longer than the copy")
        machine.access.copy_async(item, operands[0], operands[1], n_bytes.value, wanted, mask)

    return Step(run)


@instruction(
    "prefetch",
    "prefetchu",
    "discard",
    "applypriority",
    "createpolicy",
    "membar",
    "fence",
    "nanosleep",
    "griddepcontrol",
    "setmaxnreg",
    "pmevent",
)
def hint(form: Form) -> Operation:
    """Memory is always coherent here, and nothing is late."""
    form.rest.clear()
    if form.base != "createpolicy":
        return Step(_nothing)

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        machine.write(item.operands[0], np.zeros(1, np.uint64), "b64", mask)

    return Step(run)


def _is_predicate(machine: Machine, operand: Operand) -> bool:
    register = operand.register if isinstance(operand, Negated) else operand
    return isinstance(register, Register) and machine.register_type(register.name) == "pred"


def _common(form: Form) -> tuple[str, int, str]:
    for modifier in (*_ORDER, *_SCOPES, *_CACHE_HINTS, "L2::cache_hint"):
        form.flag(modifier)
    space = space_of(form.maybe(*_SPACES, default="generic"))
    n = int(form.maybe("v2", "v4", "v8", default="v1")[1:])
    kind = form.one(*_TYPES, "b128")
    if kind == "b128" and n == 1:
        n, kind = 2, "b64"  # a pair of registers
    return space, n, kind


def _elements(operand: Operand, n: int) -> tuple[Operand, ...]:
    """The registers of a vector, also of one element in braces."""
    items = operand.items if isinstance(operand, Group) else (operand,)
    assert len(items) == n
    return items


def _split(octets: Array, n: int, kind: str) -> list[Array]:
    size = width(kind) // 8
    dtype = f"{'i' if is_signed(kind) else 'u'}{size}"
    return [np.ascontiguousarray(octets[:, i * size : (i + 1) * size]).view(dtype)[:, 0] for i in range(n)]


def _octets(value: Array, n_threads: int) -> Array:
    value = np.ascontiguousarray(np.broadcast_to(value, n_threads))
    return value.view(np.uint8).reshape(n_threads, -1)


def _nothing(machine: Machine, item: Instruction, mask: Array) -> None:
    """Nothing to do."""
