"""Probes of the processor: cache sizes, STREAM bandwidth, latency of a pointer chase, matrix products, dispatch.

Modelled: nothing; every number is read from the operating system or timed. The best of several repetitions counts,
since whatever else runs here can only make a reading worse; the spread between them is kept beside it.
Source: McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance Computers", 1995: the triad.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from teachkit.hardware.probes.record import Reading

_CPU0 = Path("/sys/devices/system/cpu/cpu0/cache")
_STREAM_BYTES = 64 << 20  # an array; grown beyond four times the last cache
_LINE_BYTES = 64
_CHASE_LOADS = 200_000


def cache_sizes(root: Path = _CPU0) -> dict[str, Reading]:
    """Read sizes of the caches that the first core sees; empty where the system does not tell."""
    found: dict[str, Reading] = {}
    for index in sorted(root.glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        amount = re.fullmatch(r"(\d+)([KM]?)", size)
        if kind != "Instruction" and amount:
            n_bytes = int(amount[1]) << {"": 0, "K": 10, "M": 20}[amount[2]]
            found[f"l{level}_bytes"] = Reading(n_bytes, "bytes", "the operating system")
    return found


def triad(n_threads: int, array_bytes: int = _STREAM_BYTES, n_repeats: int = 7) -> Reading:
    """Time ``a = b + s * c`` in float64; the caches' write-allocate traffic is not counted, as in STREAM."""
    import torch

    n = array_bytes // 8
    with threads(n_threads):
        a, b, c = (torch.full((n,), float(i), dtype=torch.float64) for i in range(3))
        seconds = repeated(lambda: torch.add(b, c, alpha=3.0, out=a), n_repeats)
    how = f"triad of float64, 3 arrays of {array_bytes >> 20} MiB, {n_threads} thread{'' if n_threads == 1 else 's'}"
    return Reading(3 * 8 * n / min(seconds), "B/s", how, _spread(seconds))


def chase(buffer_bytes: int, n_repeats: int = 3) -> Reading:
    """Time loads that each need the one before, in random order over a buffer."""
    n = max(buffer_bytes // _LINE_BYTES, 2)
    step = _LINE_BYTES // 8
    order = np.random.default_rng(0).permutation(n).astype(np.int64)
    ring = np.zeros(n * step, dtype=np.int64)
    ring[order * step] = np.roll(order, -1) * step
    follow = _follow()
    n_loads = max(_CHASE_LOADS, n)
    follow(ring, n)
    seconds = repeated(lambda: follow(ring, n_loads), n_repeats)
    how = f"pointer chase over {buffer_bytes / 2**20:.3g} MiB in random order"
    return Reading(min(seconds) / n_loads, "s", how, _spread(seconds))


@functools.cache
def _follow() -> Callable[..., Any]:
    import numba

    def follow(ring: Any, n_loads: int) -> int:
        at = 0
        for _ in range(n_loads):
            at = ring[at]
        return at

    compiled: Callable[..., Any] = numba.njit(follow)
    compiled(np.zeros(2, dtype=np.int64), 1)
    return compiled


def matmul(dtype: str, n_threads: int, size: int = 1536, n_repeats: int = 5) -> Reading:
    """Time a square matrix product of ``dtype`` ("float32" or "float64") in PyTorch."""
    import torch

    with threads(n_threads):
        a = torch.ones((size, size), dtype=getattr(torch, dtype))
        out = torch.empty_like(a)
        seconds = repeated(lambda: torch.mm(a, a, out=out), n_repeats)
    how = f"torch.mm of {dtype}, {size} x {size}, {n_threads} thread{'' if n_threads == 1 else 's'}"
    return Reading(2 * size**3 / min(seconds), "FLOP/s", how, _spread(seconds))


def dispatch(n_calls: int = 2000, n_repeats: int = 7) -> Reading:
    """Time an eager addition of two tensors of one element, which is next to nothing but dispatch."""
    import torch

    a, out = torch.ones(1), torch.empty(1)

    def many() -> None:
        for _ in range(n_calls):
            torch.add(a, a, out=out)

    seconds = repeated(many, n_repeats)
    return Reading(min(seconds) / n_calls, "s", f"torch.add of one element, {n_calls} in a row", _spread(seconds))


def repeated(call: Callable[[], object], n: int) -> list[float]:
    """Wall times of ``n`` calls after one that does not count, seconds."""
    call()
    times = []
    for _ in range(n):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let PyTorch use ``n`` threads for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _spread(seconds: list[float]) -> float:
    return (max(seconds) - min(seconds)) / max(seconds)
