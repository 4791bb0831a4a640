"""Data races in a trace: two threads touch one place, at least one writes it, and nothing says who is first.

What puts two accesses in order is a barrier of their block, or a synchronisation of their warp, between them. Two
atomics never race. Blocks are in no order at all.
Not modelled: order made by fences and flags in memory (a race found there may be none); races that this run's data or
grid did not show.
Source: PTX ISA, "Memory Consistency Model", data races.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TypeAlias

from teachkit.emulator.ptx.model import SourceLine
from teachkit.emulator.steps import LANES, Step, Trace

_Place: TypeAlias = tuple[str, int, int]  # argument or "shared", block for shared memory, byte offset


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """One thread's part in a race."""

    block: int
    thread: int
    kind: str
    ptx_line: int
    source: SourceLine | None


@dataclasses.dataclass(frozen=True, slots=True)
class Race:
    """Two accesses that nothing puts in order, the first found for its pair of instructions.

    Attributes
    ----------
    place, element
        Argument (or ``"shared"``) and the element in it (byte, for shared memory).
    first, second
        The two accesses.
    n_places
        Places in which the same two instructions race.
    """

    place: str
    element: int
    first: Access
    second: Access
    n_places: int

    def __str__(self) -> str:
        where = f"byte {self.element} of shared memory" if self.place == "shared" else f"{self.place}[{self.element}]"
        a, b = (f"thread {x.thread} of block {x.block} ({x.kind}, {_line(x)})" for x in (self.first, self.second))
        more = f", and {self.n_places - 1} more places" if self.n_places > 1 else ""
        return f"{where}: {a} and {b} in no order{more}"


@dataclasses.dataclass(slots=True)
class _Seen:
    step: Step
    lane: int
    kind: str


def find_races(trace: Trace) -> list[Race]:
    """Races among the accesses that a trace recorded.

    Parameters
    ----------
    trace : of a launch with more than one thread.

    Returns
    -------
    list of Race
        One a pair of instructions, in the order of the trace; empty where there is none.
    """
    found: dict[tuple[str, int, int], Race] = {}
    for place, element, accesses in _by_place(trace):
        for one, other in _racing(accesses):
            lines = one.step.ptx_line, other.step.ptx_line
            key = place, min(lines), max(lines)
            if key in found:
                found[key] = dataclasses.replace(found[key], n_places=found[key].n_places + 1)
            else:
                found[key] = Race(place, element, _access(one), _access(other), 1)
    return list(found.values())


def _by_place(trace: Trace) -> Iterator[tuple[str, int, list[_Seen]]]:
    seen: dict[_Place, list[_Seen]] = {}
    element_bytes: dict[str, int] = {}
    for step in trace.steps:
        for touch in step.touches:
            home = step.block if touch.place == "shared" else -1
            unit = min(touch.n_bytes, touch.element_bytes) if touch.place != "shared" else 1
            element_bytes[touch.place] = touch.element_bytes
            for lane, offset in zip(touch.lanes, touch.offsets, strict=True):
                # A shared access is entered by its words, so that accesses of different width meet.
                step_bytes = max(unit, min(touch.n_bytes, 4)) if touch.place == "shared" else unit
                for part in range(offset // step_bytes, -(-(offset + touch.n_bytes) // step_bytes)):
                    seen.setdefault((touch.place, home, part * step_bytes), []).append(_Seen(step, lane, touch.kind))
    for (place, _, offset), accesses in seen.items():
        if any(access.kind != "load" for access in accesses):
            yield place, offset // element_bytes[place], accesses


def _racing(accesses: list[_Seen]) -> Iterator[tuple[_Seen, _Seen]]:
    """Pairs of racing accesses, each pair of instructions once."""
    done: set[tuple[int, int]] = set()
    writes = [access for access in accesses if access.kind != "load"]
    for one in writes:
        for other in accesses:
            low, high = sorted((one.step.ptx_line, other.step.ptx_line))
            if (low, high) in done or one is other or not _unordered(one, other):
                continue
            done.add((low, high))
            yield one, other


def _unordered(one: _Seen, other: _Seen) -> bool:
    a, b = one.step, other.step
    if one.kind == other.kind == "atomic":
        return False
    if a.block != b.block:
        return True
    if LANES * a.warp + one.lane == LANES * b.warp + other.lane or a.interval != b.interval:
        return False
    return a.warp != b.warp or a.warp_interval == b.warp_interval


def _access(seen: _Seen) -> Access:
    step = seen.step
    return Access(step.block, LANES * step.warp + seen.lane, seen.kind, step.ptx_line, step.source)


def _line(access: Access) -> str:
    return f"line {access.source.line}" if access.source is not None else f"PTX line {access.ptx_line}"
