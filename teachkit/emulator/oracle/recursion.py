"""Calls of functions that call themselves: which functions those are, and the activations of each thread.

A function's registers and the place of its variables belong to its latest activation. A call puts away those of the
one before, in the lanes that call; a return brings them back.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Function, Group, Instruction, Module, Register, Symbol, Variable

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

STACK_BYTES = 64 << 10  # of a thread
_ALIGN_BYTES = 16


@dataclasses.dataclass(slots=True)
class Body:
    """What belongs to one activation: registers, variables and parameters of the function, inlined ones included."""

    entry: int = -1
    registers: list[str] = dataclasses.field(default_factory=list)
    places: dict[str, int] = dataclasses.field(default_factory=dict)
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    parameters: set[str] = dataclasses.field(default_factory=set)

    @property
    def n_bytes(self) -> int:
        """Size of the frame."""
        ends = [at + self.sizes[name] for name, at in self.places.items()]
        return -(-max(ends, default=0) // _ALIGN_BYTES) * _ALIGN_BYTES

    def add(self, name: str, variable: Variable) -> None:
        """Give a variable its place in the frame."""
        at = max((at + self.sizes[other] for other, at in self.places.items()), default=0)
        self.places[name] = -(-at // variable.align) * variable.align
        self.sizes[name] = variable.n_bytes
        if variable.space == "param":
            self.parameters.add(name)


@dataclasses.dataclass(frozen=True, slots=True)
class Push:
    """One call of such a function: the caller's variables for (results, parameters), and where it comes back to."""

    function: str
    landing: int
    results: tuple[tuple[str, str], ...]  # (the caller's, the function's)
    arguments: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _PutAway:
    """What a call put away: arrays over all threads, of which the lanes that called matter."""

    push: Push
    registers: dict[str, Array]
    frame: Array


def recursive(module: Module) -> frozenset[str]:
    """Functions that may call themselves, directly or through others."""
    callees = {f.name: _callees(module, f) for f in module.functions.values() if f.body}
    while True:  # close over paths of twice the length
        longer = {
            name: direct | {far for near in direct for far in callees.get(near, ())} for name, direct in callees.items()
        }
        if longer == callees:
            return frozenset(name for name, reached in callees.items() if name in reached)
        callees = longer


def _callees(module: Module, function: Function) -> frozenset[str]:
    found = set()
    for item in function.body:
        if isinstance(item, Instruction) and item.opcode.split(".")[0] == "call":
            groups = [o for o in item.operands if isinstance(o, Group)]
            target = next(o for o in item.operands if not isinstance(o, Group))
            if isinstance(target, Symbol):
                found.add(module.aliases.get(target.name, target.name))
            elif isinstance(target, Register):
                n = sum(len(group.items) for group in groups)
                found |= {
                    f.name
                    for f in module.functions.values()
                    if not f.is_entry and len(f.params) + len(f.returns) == n and has_address(module, f.name)
                }
    return frozenset(found)


def has_address(module: Module, name: str) -> bool:
    """Whether anything but a direct call names the function."""
    names = {name} | {alias for alias, target in module.aliases.items() if target == name}
    if any(symbol in names for v in module.variables.values() for _, symbol in v.relocations):
        return True
    return any(
        isinstance(operand, Symbol) and operand.name in names
        for f in module.functions.values()
        for item in f.body
        if isinstance(item, Instruction) and item.opcode.split(".")[0] != "call"
        for operand in item.operands
    )


class Activations:
    """The stacks of a block's threads."""

    def __init__(self, machine: Machine, bodies: dict[str, Body], start: int) -> None:
        self._machine, self._bodies = machine, bodies
        self._top = np.full(machine.n_threads, start)
        self._frames = {name: np.full(machine.n_threads, start) for name in bodies}
        self._owner = {variable: name for name, body in bodies.items() for variable in body.places}
        self._put_away: list[list[_PutAway]] = [[] for _ in range(machine.n_threads)]

    def has(self, name: str) -> bool:
        """Whether the variable lies in an activation."""
        return name in self._owner

    def is_parameter(self, name: str) -> bool:
        """Whether it lies in one and is a parameter of a function or of a call."""
        return name in self._owner and name in self._bodies[self._owner[name]].parameters

    def n_bytes(self, name: str) -> int:
        """Size of such a variable, 0 for any other."""
        return self._bodies[self._owner[name]].sizes[name] if name in self._owner else 0

    def place(self, name: str) -> Array:
        """Offset in each thread's local memory of a variable of the running activation."""
        owner = self._owner[name]
        return np.asarray(self._frames[owner] + self._bodies[owner].places[name])

    def call(self, item: Instruction, push: Push, mask: Array) -> None:
        """Begin an activation in the lanes of ``mask``."""
        machine, body = self._machine, self._bodies[push.function]
        full = mask & (self._top + body.n_bytes > machine.local.shape[1])
        if full.any():
            machine.fault("stack overflow", item, int(np.flatnonzero(full)[0]))
            machine.next[full] = np.iinfo(np.int64).max
            mask = mask & ~full
        values = [self._octets(given, body.sizes[formal]) for given, formal in push.arguments]
        saved = {name: machine.registers[name].copy() for name in body.registers if name in machine.registers}
        put_away = _PutAway(push, saved, self._frames[push.function].copy())
        for thread in np.flatnonzero(mask):
            self._put_away[thread].append(put_away)
        self._frames[push.function][mask] = self._top[mask]
        self._top[mask] += body.n_bytes
        for (_, formal), octets in zip(push.arguments, values, strict=True):
            self._store(formal, octets, mask)
        machine.next[mask] = body.entry

    def leave(self, mask: Array) -> None:
        """End the latest activation of each lane of ``mask``."""
        calls: dict[int, tuple[_PutAway, list[int]]] = {}
        for thread in np.flatnonzero(mask):
            put_away = self._put_away[thread].pop()
            calls.setdefault(id(put_away), (put_away, []))[1].append(int(thread))
        for put_away, threads in calls.values():
            self._bring_back(put_away, np.isin(np.arange(mask.size), threads))

    def _bring_back(self, put_away: _PutAway, lanes: Array) -> None:
        machine, push = self._machine, put_away.push
        body = self._bodies[push.function]
        values = [self._octets(formal, body.sizes[formal]) for _, formal in push.results]
        for name, old in put_away.registers.items():
            machine.registers[name][lanes] = old[lanes]
        self._top[lanes] -= body.n_bytes
        self._frames[push.function][lanes] = put_away.frame[lanes]
        for (given, _), octets in zip(push.results, values, strict=True):
            self._store(given, octets, lanes)
        machine.next[lanes] = push.landing

    def _octets(self, name: str, n_bytes: int) -> Array:
        threads = np.arange(self._machine.n_threads)[:, None]
        return np.asarray(self._machine.local[threads, self._machine.columns(name, n_bytes)])

    def _store(self, name: str, octets: Array, lanes: Array) -> None:
        columns = self._machine.columns(name, octets.shape[1])
        self._machine.local[np.flatnonzero(lanes)[:, None], columns[lanes]] = octets[lanes]
