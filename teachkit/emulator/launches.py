"""What happened in a launch, and who wants to know."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from teachkit.emulator.counters import Counters
from teachkit.emulator.ptx.model import SourceLine

Observer = Callable[["Launch"], None]
_Counts = tuple[Counters, dict[SourceLine | None, Counters]]

BACKLOG_LIMIT_BYTES = 256 << 20  # of traces that wait until somebody reads the counters


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
        count: Callable[[], _Counts],
        resources: Resources | Callable[[], Resources],
        ptx: str,
        seconds: float | None = None,
    ) -> None:
        self.name, self.grid, self.block = name, grid, block
        self.ptx, self.seconds = ptx, seconds
        self._resources = resources
        self._count: Callable[[], _Counts] | None = count
        self._counts: _Counts | None = None
        self._lock = threading.Lock()

    def _counted(self) -> _Counts:
        with self._lock:
            if self._count is not None:
                self._counts = self._count()
                self._count = None  # lets go of the trace
                backlog.drop(self)
        assert self._counts is not None
        return self._counts

    @property
    def counters(self) -> Counters:
        """Exact counts, and the cache model's DRAM traffic."""
        return self._counted()[0]

    @property
    def by_line(self) -> dict[SourceLine | None, Counters]:
        """Exact counts by line of the kernel's source; None for instructions that no line claims."""
        return self._counted()[1]

    @functools.cached_property
    def resources(self) -> Resources:
        """Registers, shared memory and occupancy."""
        return self._resources() if callable(self._resources) else self._resources

    def __repr__(self) -> str:
        return f"Launch({self.name!r}, grid={self.grid}, block={self.block})"


class Backlog:
    """Launches that wait to be counted. When their traces need more than ``limit_bytes``, the oldest are counted.

    Whoever keeps every launch of a long program thus keeps counters, not traces.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._waiting: dict[int, tuple[weakref.ref[Launch], int]] = {}  # in order of launch
        self._n_bytes = 0
        self._lock = threading.RLock()  # a launch may be collected, and dropped, at any point

    @property
    def n_bytes(self) -> int:
        """Bytes of all that waits."""
        return self._n_bytes

    def add(self, launch: Launch, n_bytes: int) -> None:
        """Enter a launch; counts the oldest ones while there are too many bytes."""
        key = id(launch)
        with self._lock:
            self._waiting[key] = weakref.ref(launch, lambda _: self._forget(key)), n_bytes
            self._n_bytes += n_bytes
        while (oldest := self._oldest_of_too_many()) is not None:
            _ = oldest.counters

    def drop(self, launch: Launch) -> None:
        """Take out a launch that is counted."""
        self._forget(id(launch))

    def _forget(self, key: int) -> None:
        with self._lock:
            _, n_bytes = self._waiting.pop(key, (None, 0))
            self._n_bytes -= n_bytes

    def _oldest_of_too_many(self) -> Launch | None:
        with self._lock:
            while self._n_bytes > self.limit_bytes and self._waiting:
                key, (reference, _) = next(iter(self._waiting.items()))
                launch = reference()
                self._forget(key)
                if launch is not None:
                    return launch
        return None


backlog = Backlog(BACKLOG_LIMIT_BYTES)

tracers: list[
    Callable[..., None]
] = []  # called with kernel, grid, block, arguments, shared bytes, name and cluster before a launch
on_hardware: list[Callable[[], contextlib.AbstractContextManager[None]]] = []
"""Front ends whose launches may go to a GPU enter here what runs them on the emulator as well."""
_observers: list[Observer] = []
_lock = threading.Lock()
_alone = threading.local()


@contextlib.contextmanager
def brought_here() -> Iterator[None]:
    """Inside the block launches on a GPU run on the emulator too, for those who look at what only that shows."""
    with contextlib.ExitStack() as stack:
        for enter in on_hardware:
            stack.enter_context(enter())
        yield


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
