"""What a launch leaves behind to be counted later: its counters by site, and its memory traffic as a trace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from teachkit.emulator.cache_model import CacheModel, Trace
from teachkit.emulator.counters import Counters
from teachkit.emulator.engine.program import Program
from teachkit.emulator.engine.worker import Worker
from teachkit.emulator.ptx.model import SourceLine
from teachkit.emulator.sites import sum_lines, totals
from teachkit.hardware.spec import GpuSpec


class Recorded:
    """Counters and trace of one launch. It holds on to neither workers nor arguments."""

    def __init__(
        self, program: Program, spec: GpuSpec, shared_bytes: int, intervals: Sequence[tuple[int, int]]
    ) -> None:
        self._program, self._spec = program, spec
        self._shared_bytes, self._intervals = shared_bytes, intervals
        self._counts: npt.NDArray[np.int64] = np.zeros(program.n_slots, dtype=np.int64)
        self._traces: list[Trace] = []
        self._caches: CacheModel | None = None

    @property
    def n_bytes(self) -> int:
        """Memory that waits for :meth:`counted`."""
        return self._counts.nbytes + sum(trace.nbytes for trace in self._traces)

    def replay(self, workers: Sequence[Worker]) -> None:
        """Run the workers' traces so far through the caches. All blocks begun must have ended."""
        self._feed([worker.trace for worker in workers])
        for worker in workers:
            worker.restart_trace()

    def finish(self, workers: Sequence[Worker]) -> None:
        """Take over what the workers counted. A trace that was replayed in part is replayed to its end."""
        maxima = self._program.max_slots
        first, *others = workers
        self._counts = first.counts.copy()
        for worker in others:
            most = np.maximum(self._counts[maxima], worker.counts[maxima])
            self._counts += worker.counts
            self._counts[maxima] = most
        if self._caches is not None:
            self.replay(workers)
            return
        self._traces = [worker.trace.copy() for worker in workers]
        for worker in workers:
            worker.restart_trace()

    def _feed(self, traces: list[Trace]) -> None:
        if self._caches is None:
            self._caches = CacheModel(self._spec, self._shared_bytes, self._intervals)
        self._caches.feed(traces)

    def counted(self) -> tuple[Counters, dict[SourceLine | None, Counters]]:
        """Counters of the launch and of each source line."""
        lines = totals(self._program.sites, self._counts)
        self._feed(self._traces)
        assert self._caches is not None
        t = self._caches.traffic()
        total = sum_lines(lines) + Counters(
            n_launches=1,
            compulsory_read_bytes=t.compulsory_read_bytes,
            compulsory_write_bytes=t.compulsory_write_bytes,
            dram_read_bytes=t.dram_read_bytes,
            dram_write_bytes=t.dram_write_bytes,
            l1_hit_rate=t.l1_hits / t.l1_lookups if t.l1_lookups else None,
            l2_hit_rate=t.l2_hits / t.l2_lookups if t.l2_lookups else None,
            l1_lookups=t.l1_lookups,
            l2_lookups=t.l2_lookups,
            l1_tag_lookups=t.l1_tag_lookups,
        )
        return total, {line: Counters(**amounts) for line, amounts in lines.items()}
