"""What happened in a launch, and who wants to know."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from teachkit.emulator.counters import Counters
from teachkit.emulator.ptx.model import SourceLine

Observer = Callable[["Launch"], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Resources:
    """What one block needs of an SM. ``None`` where no cubin was made to read it from.

    ``shared_bytes`` and ``n_spill_bytes`` are bytes (spills a thread), ``n_registers`` a thread, and
    ``occupancy`` the fraction (0 to 1) of the modelled GPU's warps that can be resident.
    """

    n_registers: int | None = None
    n_spill_bytes: int | None = None
    shared_bytes: int = 0
    occupancy: float | None = None


class Launch:
    """One kernel launch and its counters.

    Counters are worked out when they are first read, the cache model included. ``seconds`` is measured on
    hardware only and None on the emulator, whose own speed says nothing about a GPU's.
    """

    def __init__(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        count: Callable[[], tuple[Counters, dict[SourceLine | None, Counters]]],
        resources: Resources | Callable[[], Resources],
        ptx: str,
        seconds: float | None = None,
    ) -> None:
        self.name, self.grid, self.block = name, grid, block
        self.ptx, self.seconds = ptx, seconds
        self._count, self._resources = count, resources

    @functools.cached_property
    def _counted(self) -> tuple[Counters, dict[SourceLine | None, Counters]]:
        counted = self._count()
        del self._count  # lets go of the trace
        return counted

    @property
    def counters(self) -> Counters:
        """Exact counts, and the cache model's DRAM traffic."""
        return self._counted[0]

    @property
    def by_line(self) -> dict[SourceLine | None, Counters]:
        """Exact counts by line of the kernel's source; None for instructions that no line claims."""
        return self._counted[1]

    @functools.cached_property
    def resources(self) -> Resources:
        """Registers, shared memory and occupancy."""
        return self._resources() if callable(self._resources) else self._resources

    def __repr__(self) -> str:
        return f"Launch({self.name!r}, grid={self.grid}, block={self.block})"


_observers: list[Observer] = []
_lock = threading.Lock()
_alone = threading.local()


@contextlib.contextmanager
def observe(callback: Observer) -> Iterator[None]:
    """Call ``callback`` with every :class:`Launch` made inside the block, on any thread.

    Kernels count only while somebody observes.
    """
    with _lock:
        _observers.append(callback)
    try:
        yield
    finally:
        with _lock:
            _observers.remove(callback)


@contextlib.contextmanager
def observe_alone(callback: Observer) -> Iterator[None]:
    """Show this thread's launches inside the block to ``callback`` and to nobody else.

    For launches that a program did not make: a trial of autotuning, a second run that only counts.
    """
    before = getattr(_alone, "callback", None)
    _alone.callback = callback
    try:
        yield
    finally:
        _alone.callback = before


def observers() -> tuple[Any, ...]:
    """Who wants to know of this thread's launches."""
    alone = getattr(_alone, "callback", None)
    return tuple(_observers) if alone is None else (alone,)
