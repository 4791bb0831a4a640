"""``trace()``: record what every warp does, step by step, for launches small enough to look at.

The launch runs twice: on the engine, as always, and before that, on copies of its arguments, on the oracle, which is
slow and keeps to the definitions; the steps are the oracle's.
An address in memory that several arguments share is named after the first of them.
Not modelled: what an earlier launch left in variables of the module; local memory; addresses of ``ldmatrix``;
what ``wgmma`` and ``tcgen05.mma`` read of shared memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from teachkit.emulator import launches
from teachkit.emulator.arguments import Arguments, Bound
from teachkit.emulator.oracle.tally import Tally
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Instruction
from teachkit.emulator.steps import LANES, Kind, Step, Touch, Trace
from teachkit.errors import TraceError

Dims = tuple[int, int, int]

MAX_STEPS = 200_000
_ALIGN_BYTES = 256

_lock = threading.Lock()


@contextlib.contextmanager
def trace(*, max_steps: int = MAX_STEPS) -> Iterator[list[Trace]]:
    """Record every launch inside the block; one on a GPU runs on the emulator first, with copies of its arguments.

    Parameters
    ----------
    max_steps : warp instructions that one launch may run; a trace is for looking at, not for measuring.

    Yields
    ------
    list of Trace
        One a launch, in order.

    Raises
    ------
    TraceError
        Inside the block, by a launch that runs more steps.

    Examples
    --------
    >>> import numpy as np
    >>> from teachkit import cuda, emulator
    >>> @cuda.jit
    ... def double(x):
    ...     i = cuda.grid(1)
    ...     if i < x.size:
    ...         x[i] *= 2
    >>> with emulator.trace() as traces:
    ...     double[2, 64](np.ones(100, np.float32))
    >>> traces[0]
    <Trace of 'double': 2 blocks of 64 threads, 84 steps of 4 warps>
    """
    found: list[Trace] = []

    def record(
        kernel: Any,
        grid: Dims,
        block: Dims,
        arguments: Arguments,
        shared_bytes: int,
        name: str,
        cluster: Dims | None = None,
    ) -> None:
        if cluster is not None and math.prod(cluster) > 1:
            raise TraceError(
                f"Expected a launch without clusters to trace, got {name!r} with clusters of {cluster} blocks.",
                hint="launch it outside trace(): steps of blocks that take turns are not recorded.",
            )
        found.append(_traced(kernel, grid, block, arguments, shared_bytes, name, max_steps))

    with _lock:
        launches.tracers.append(record)
    try:
        with launches.brought_here():
            yield found
    finally:
        with _lock:
            launches.tracers.remove(record)


def _traced(
    kernel: Any, grid: Dims, block: Dims, arguments: Arguments, shared_bytes: int, name: str, max_steps: int
) -> Trace:
    from teachkit.emulator.oracle.run import run

    values, places = _copies(kernel.function.params, arguments)
    recorder = Recorder(name, places, max_steps)
    run(kernel.owner.module, kernel.name, grid, block, values, shared_bytes=shared_bytes, tally=recorder)
    sizes = {
        bound.name: (bound.high - bound.low) // bound.element_bytes for bound in arguments.bounds if bound.is_memory
    }
    return Trace(name, grid, block, recorder.steps(), sizes)


def _copies(params: Any, arguments: Arguments) -> tuple[list[Any], list[tuple[int, int, int, Bound]]]:
    """Parameters for the oracle, and ``(low, high, address of the first element, bound)`` of their memory.

    Arguments that share memory share its copy.
    """
    runs: dict[tuple[int, int], Any] = {}
    for low, high in _merged(arguments.bounds):
        room = np.zeros(high - low + _ALIGN_BYTES, np.uint8)
        shift = (low - room.__array_interface__["data"][0]) % _ALIGN_BYTES
        copy = room[shift : shift + high - low]
        copy[:] = np.frombuffer(ctypes.string_at(low, high - low), np.uint8)
        runs[low, high] = copy
    values: list[Any] = []
    places: list[tuple[int, int, int, Bound]] = []
    at = 0
    for param, bound in zip(params, arguments.bounds, strict=True):
        at += -at % param.align
        if not bound.is_memory or bound.low == bound.high:
            values.append(arguments.packed[at : at + param.n_bytes])
        else:
            low, copy = next(
                (low, copy) for (low, high), copy in runs.items() if low <= bound.low and bound.high <= high
            )
            start = copy.__array_interface__["data"][0]
            values.append(copy[bound.data - low :])
            first = start + bound.data - low
            places.append((start + bound.low - low, start + bound.high - low, first, bound))
        at += param.n_bytes
    return values, places


def _merged(bounds: tuple[Bound, ...]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for low, high in sorted({(b.low, b.high) for b in bounds if b.is_memory and b.low < b.high}):
        if runs and low < runs[-1][1]:
            runs[-1] = runs[-1][0], max(high, runs[-1][1])
        else:
            runs.append((low, high))
    return runs


class Recorder(Tally):
    """Writes down what the oracle counts."""

    def __init__(self, name: str, places: list[tuple[int, int, int, Bound]], max_steps: int) -> None:
        super().__init__()
        self._name, self._places, self._max_steps = name, places, max_steps
        self._rows: list[dict[str, Any]] = []
        self._touches: list[list[Touch]] = []
        self._block = -1
        self._last: dict[int, int] = {}  # warp -> its latest row

    def begin_block(self) -> None:
        """The next block starts."""
        self._block += 1
        self._last = {}

    def executed(self, item: Instruction, active: Array, on: Array) -> None:
        """One row for each warp that takes part."""
        super().executed(item, active, on)
        actives, ons = _masks(active), _masks(on)
        for warp in np.flatnonzero(actives).tolist():
            if len(self._rows) == self._max_steps:
                raise TraceError(
                    f"Expected a launch of at most {self._max_steps:,} steps to trace, got {self._name!r}.",
                    hint="trace a small launch, a few blocks of a few warps; tk.profile() counts large ones.",
                )
            self._last[warp] = len(self._rows)
            self._touches.append([])
            self._rows.append(
                {
                    "block": self._block,
                    "warp": warp,
                    "active": int(actives[warp]),
                    "on": int(ons[warp]),
                    "opcode": item.opcode,
                    "ptx_line": item.ptx_line,
                    "source": item.source,
                }
            )

    def global_access(self, item: Instruction, addresses: Array, lanes: Array, n_bytes: Any, *, store: bool) -> None:
        """Addresses in global memory, as offsets into arguments."""
        super().global_access(item, addresses, lanes, n_bytes, store=store)
        self._touch(addresses, lanes, n_bytes, "store" if store else "load", "")

    def shared_access(self, item: Instruction, offsets: Array, lanes: Array, n_bytes: int, *, store: bool) -> None:
        """Offsets in shared memory."""
        super().shared_access(item, offsets, lanes, n_bytes, store=store)
        self._touch(offsets, lanes, n_bytes, "store" if store else "load", "shared")

    def atomic_access(
        self, item: Instruction, addresses: Array, lanes: Array, n_bytes: int, *, is_global: bool
    ) -> None:
        """Atomics of either memory."""
        super().atomic_access(item, addresses, lanes, n_bytes, is_global=is_global)
        self._touch(addresses, lanes, n_bytes, "atomic", "" if is_global else "shared")

    def steps(self) -> tuple[Step, ...]:
        """Everything recorded."""
        pairs = zip(self._rows, self._touches, strict=True)
        return tuple(Step(**row, touches=tuple(touches)) for row, touches in pairs)

    def _touch(self, addresses: Array, lanes: Array, n_bytes: Any, kind: Kind, place: str) -> None:
        size = int(np.max(n_bytes)) if lanes.size else 0
        for warp in np.unique(lanes // LANES).tolist():
            mine = lanes // LANES == warp
            own_lanes, own = (lanes[mine] % LANES).tolist(), [int(address) for address in addresses[mine]]
            if place == "shared":
                self._touches[self._last[warp]].append(Touch("shared", kind, tuple(own_lanes), tuple(own), size))
                continue
            homes = [self._home(address) for address in own]
            for home in dict.fromkeys(homes):
                picked = [i for i, other in enumerate(homes) if other == home]
                name, first, element_bytes = home
                offsets = tuple(own[i] - first for i in picked)
                touch = Touch(name, kind, tuple(own_lanes[i] for i in picked), offsets, size, element_bytes)
                self._touches[self._last[warp]].append(touch)

    def _home(self, address: int) -> tuple[str, int, int]:
        for low, high, first, bound in self._places:
            if low <= address < high:
                return bound.name, first, bound.element_bytes
        return "", 0, 1


def _masks(lanes: Array) -> Array:
    """A mask [n_threads] as one uint32 a warp."""
    bits = lanes.reshape(-1, LANES).astype(np.uint64) << np.arange(LANES, dtype=np.uint64)
    return np.asarray(bits.sum(axis=1))
