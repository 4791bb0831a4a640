"""L1 and L2 of the modelled GPU, replayed from a launch's trace: how many bytes reach DRAM.

Modelled: sectored, set-associative LRU caches; blocks dealt round-robin to SMs, each SM with its own L1; stores
write through L1 and stay in L2 until evicted; atomics read and write in L2; a cold start and a write-back of
everything dirty at the end of each launch. Not modelled: the interleaving of blocks that run at the same time,
cache-policy hints, the hashing and the two partitions of real L2s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from teachkit.emulator.engine.context import SECTOR_BYTES
from teachkit.hardware.spec import GpuSpec

_L1_WAYS = 4
_L2_WAYS = 16
_SECTORS_PER_LINE = 4
_HOME_SECTORS = 16

Trace = npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """What the caches made of a launch. Bytes, and look-ups in sectors."""

    compulsory_read_bytes: int
    compulsory_write_bytes: int
    dram_read_bytes: int
    dram_write_bytes: int
    l1_lookups: int
    l1_hits: int
    l2_lookups: int
    l2_hits: int
    l1_tag_lookups: int = 0


class CacheModel:
    """Caches of one GPU during one launch. Feed traces in block order, then read :meth:`traffic`.

    Parameters
    ----------
    spec : GpuSpec
        The modelled GPU.
    shared_bytes : int
        Shared memory of a block, which comes out of the L1's capacity where the two are one memory.
    intervals : sequence of (int, int)
        Host addresses [low, high) of every allocation that the launch may touch.
    """

    def __init__(self, spec: GpuSpec, shared_bytes: int, intervals: Sequence[tuple[int, int]]) -> None:
        from teachkit.emulator.cache_replay import EMPTY

        l1_bytes = spec.l1_bytes_per_sm
        if spec.l1_includes_shared:
            l1_bytes = max(l1_bytes - min(shared_bytes, spec.shared_bytes_per_sm), 16 * 1024)
        line_bytes = _SECTORS_PER_LINE * SECTOR_BYTES
        l1_sets = max(1, l1_bytes // (line_bytes * _L1_WAYS))
        l2_sets = max(1, spec.l2_bytes // (line_bytes * _L2_WAYS))
        self._l1 = np.full(spec.n_sms * l1_sets * _L1_WAYS, EMPTY, np.int64)
        self._l2 = np.full(l2_sets * _L2_WAYS, EMPTY, np.int64)
        self._n_sms, self._l1_sets, self._l2_sets = int(spec.n_sms), l1_sets, l2_sets
        merged = _merge(intervals)
        self._first = np.array([low // SECTOR_BYTES for low, _ in merged] or [0], dtype=np.int64)
        self._last = np.array([(high - 1) // SECTOR_BYTES for _, high in merged] or [-1], dtype=np.int64)
        sizes = self._last - self._first + 1
        self._base = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._home = _homes(merged, intervals, sizes)
        self._touched = np.zeros(int(self._base[-1]), dtype=np.uint8)
        self._state = np.zeros(7, dtype=np.int64)

    def feed(self, traces: Sequence[Trace]) -> None:
        """Replay the traces of all workers, in the order of their blocks."""
        from teachkit.emulator.cache_replay import marks_of, replay

        traces = [trace for trace in traces if len(trace)]
        if not traces:
            return
        joined = traces[0]
        if len(traces) > 1:
            segments: list[tuple[int, Trace]] = []
            for trace in traces:
                marks = marks_of(trace)
                ends = np.append(marks[1:], len(trace))
                blocks = trace[marks] & np.uint64((1 << 63) - 1)
                segments += [
                    (int(block), trace[start:end]) for block, start, end in zip(blocks, marks, ends, strict=True)
                ]
            segments.sort(key=lambda segment: segment[0])
            joined = np.concatenate([segment for _, segment in segments])
        replay(
            joined,
            self._l1,
            self._l1_sets,
            self._l2,
            self._l2_sets,
            self._n_sms,
            self._first,
            self._last,
            self._base,
            self._home,
            self._touched,
            self._state,
        )

    def traffic(self) -> Traffic:
        """Totals, everything dirty written back."""
        dirty = int(np.bitwise_count(self._l2 & 15).sum())
        read, written, l1_lookups, l1_hits, l2_lookups, l2_hits = (int(n) for n in self._state[:6])
        return Traffic(
            compulsory_read_bytes=SECTOR_BYTES * int(np.count_nonzero(self._touched & 1)),
            compulsory_write_bytes=SECTOR_BYTES * int(np.count_nonzero(self._touched & 2)),
            dram_read_bytes=SECTOR_BYTES * read,
            dram_write_bytes=SECTOR_BYTES * (written + dirty),
            l1_lookups=l1_lookups,
            l1_hits=l1_hits,
            l2_lookups=l2_lookups,
            l2_hits=l2_hits,
            l1_tag_lookups=int(self._state[6]),
        )


def _homes(
    merged: Sequence[tuple[int, int]], intervals: Sequence[tuple[int, int]], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Sector in which each merged interval begins on the modelled GPU.

    One after the other in the order of ``intervals``, each at a multiple of 512 bytes, as PyTorch's allocator on a GPU
    does: where the host happened to put an array decides neither cache sets nor how it is cut into lines.
    """
    order = sorted(
        range(len(merged)),
        key=lambda which: next(
            (i for i, (low, high) in enumerate(intervals) if merged[which][0] <= low < high <= merged[which][1]), 0
        ),
    )
    homes = np.zeros(max(len(merged), 1), dtype=np.int64)
    free = 0
    for which in order:
        homes[which] = free
        free += -(-int(sizes[which]) // _HOME_SECTORS) * _HOME_SECTORS
    return homes


def _merge(intervals: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, non-empty intervals; those that share memory, a sector or a border are joined."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(i for i in intervals if i[1] > i[0]):
        if merged and low // SECTOR_BYTES <= merged[-1][1] // SECTOR_BYTES:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
