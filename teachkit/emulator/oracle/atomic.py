"""Atomic operations, lane after lane."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.emulator.oracle.table import Form, Operation, Step, instruction, space_of
from teachkit.emulator.oracle.values import Array, decode, encode, raw, width
from teachkit.emulator.ptx.model import Group, Instruction, Operand

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_ORDER = ("relaxed", "acquire", "release", "acq_rel", "sc")
_SCOPES = ("cta", "cluster", "gpu", "sys")
_FLOATS = ("f16", "f16x2", "bf16", "bf16x2", "f32", "f64")
_INTEGERS = ("b16", "b32", "b64", "u32", "u64", "s32", "s64")

Update = Callable[[Any, Any, Any], Any]


def _wrap_up(old: Any, limit: Any, _: Any) -> Any:
    return old.dtype.type(0) if old >= limit else old + 1


def _wrap_down(old: Any, limit: Any, _: Any) -> Any:
    return limit if old == 0 or old > limit else old - 1


_UPDATES: dict[str, Update] = {
    "add": lambda old, b, c: old + b,
    "min": lambda old, b, c: np.fmin(old, b),
    "max": lambda old, b, c: np.fmax(old, b),
    "and": lambda old, b, c: old & b,
    "or": lambda old, b, c: old | b,
    "xor": lambda old, b, c: old ^ b,
    "inc": _wrap_up,
    "dec": _wrap_down,
    "exch": lambda old, b, c: b,
    "cas": lambda old, b, c: c if old == b else old,
}


@instruction("atom", "red")
def atomic(form: Form) -> Operation:
    """``atom`` returns what was there; ``red`` is the same without the result."""
    for modifier in (*_ORDER, *_SCOPES, "noftz"):
        form.flag(modifier)
    has_policy = form.flag("L2::cache_hint")
    space = space_of(form.maybe("global", "shared", "shared::cta", "shared::cluster", default="generic"))
    update = _UPDATES[form.one(*_UPDATES)]
    n = int(form.maybe("v2", "v4", "v8", default="v1")[1:])
    kind = form.one(*_INTEGERS, *_FLOATS, "b128")
    if kind == "b128":
        return Step(functools.partial(_exchange_pair, space=space, has_policy=has_policy))
    size = width(kind) // 8

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        operands = list(item.operands[:-1] if has_policy else item.operands)
        target = operands.pop(0) if form.base == "atom" else None
        address, *values = operands
        rows = [[machine.read(x, kind) for x in _elements(value)] for value in values]
        before = np.zeros((machine.n_threads, n * size), np.uint8)
        for part in machine.access.parts(item, space, address, n * size, mask):
            machine.tally.atomic_access(item, part.offsets, part.lanes, n * size, is_global=part.space == "global")
            for i, lane in enumerate(part.lanes):
                one = part.only(i)
                before[lane] = machine.access.fetch(one, n * size)[0]
                after = [
                    _updated(update, before[lane, e * size : (e + 1) * size], [row[e] for row in rows], int(lane), kind)
                    for e in range(n)
                ]
                machine.access.put(one, np.concatenate(after)[None])
        if target is not None:
            for e, register in enumerate(_elements(target)):
                old = np.ascontiguousarray(before[:, e * size : (e + 1) * size]).view(f"u{size}")[:, 0]
                machine.write(register, old, raw(kind), mask)

    return Step(run)


def _exchange_pair(machine: Machine, item: Instruction, mask: Array, *, space: str, has_policy: bool) -> None:
    """``exch`` and ``cas`` of 16 bytes, in two registers."""
    target, address, *values = item.operands[:-1] if has_policy else item.operands
    operands = [_octets(machine, value, mask.size) for value in values]
    before = np.zeros((mask.size, 16), np.uint8)
    for part in machine.access.parts(item, space, address, 16, mask):
        machine.tally.atomic_access(item, part.offsets, part.lanes, 16, is_global=part.space == "global")
        for i, lane in enumerate(part.lanes):
            one = part.only(i)
            before[lane] = machine.access.fetch(one, 16)[0]
            if len(operands) == 1 or (before[lane] == operands[0][lane]).all():
                machine.access.put(one, operands[-1][lane][None])
    halves = before.view(np.uint64)
    for e, register in enumerate(target.items if isinstance(target, Group) else ()):
        machine.write(register, halves[:, e], "b64", mask)


def _octets(machine: Machine, pair: Operand, n: int) -> Array:
    halves = [np.broadcast_to(machine.read(half, "b64"), n) for half in _elements(pair)]
    return np.ascontiguousarray(np.stack(halves, axis=1)).view(np.uint8).reshape(n, 16)


def _elements(operand: Any) -> tuple[Any, ...]:
    return operand.items if isinstance(operand, Group) else (operand,)


def _updated(update: Update, octets: Array, operands: list[Array], lane: int, kind: str) -> Array:
    """New bytes of one element from its old bytes."""
    old = decode(octets.copy().view(f"u{octets.size}"), kind)
    b, c = ([operand[lane if operand.shape[0] > 1 else 0] for operand in operands] + [None])[:2]
    new = np.asarray(update(old[0], b, c))
    return np.ascontiguousarray(encode(new[None], kind)).view(np.uint8)
