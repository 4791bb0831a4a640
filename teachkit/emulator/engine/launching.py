"""A launch in progress: its blocks are spread over threads, and its faults are raised."""

from __future__ import annotations

import array
import concurrent.futures
import ctypes
import functools
import itertools
import os
import time
from typing import TYPE_CHECKING

from teachkit.emulator.arguments import Arguments
from teachkit.emulator.engine import host
from teachkit.emulator.engine.clustered import Cluster, Clustered
from teachkit.emulator.engine.context import Stop
from teachkit.emulator.engine.faults import block_at, explain
from teachkit.emulator.engine.program import Program
from teachkit.emulator.engine.queue import Queue
from teachkit.emulator.engine.recorded import Recorded
from teachkit.emulator.engine.residents import Progress, Residents, prepare
from teachkit.emulator.engine.worker import TRACE_LIMIT_BYTES, Dims, Worker
from teachkit.hardware.occupancy import occupancy

if TYPE_CHECKING:
    from teachkit.emulator.checks.watch import Watch
    from teachkit.hardware.spec import GpuSpec

_NO_LIMIT = 1 << 62
_PIECE_S = 50e-6  # of work at least, where threads take pieces of the grid
ALONE_S = 100e-6  # below this much work another thread costs more than it gives


@functools.cache
def _pool() -> concurrent.futures.ThreadPoolExecutor:
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of its parent's threads
    return concurrent.futures.ThreadPoolExecutor(max_workers=64, thread_name_prefix="teachkit-emulator")


def n_workers() -> int:
    """Worker threads of a launch: the setting, else ``TEACHKIT_NUM_THREADS``, else the processors at hand."""
    from teachkit.emulator.kernel import settings

    chosen = settings.n_threads or int(os.environ.get("TEACHKIT_NUM_THREADS", "0"))
    return chosen or len(os.sched_getaffinity(0))


class Launching:
    """One launch in progress. ``record`` is what it leaves to be counted, None where nobody observes."""

    def __init__(
        self,
        program: Program,
        grid: Dims,
        block: Dims,
        arguments: Arguments,
        shared_bytes: int,
        name: str,
        gpu: GpuSpec,
        cluster: Dims | None = None,
    ) -> None:
        self.program, self.grid, self.block, self.arguments = program, grid, block, arguments
        self.shared_bytes, self.name, self.gpu = shared_bytes, name, gpu
        self.n_blocks = grid[0] * grid[1] * grid[2]
        self.has_clusters, self.cluster = cluster is not None, cluster or (1, 1, 1)
        self.cluster_size = self.cluster[0] * self.cluster[1] * self.cluster[2]
        self.is_clustered = self.cluster_size > 1 or program.spans_blocks
        self.clusters: list[Cluster] = []  # which errors ask about memory
        self.free_clusters: list[Cluster] = []
        self.queue = Queue(self.n_blocks)
        self.stop = Stop(0, self.n_blocks)
        self.workers: list[Worker] = []
        variables = program.kernel.owner.variables if program.global_names else {}
        places = [variables[name] for name in program.global_names]
        intervals = [(0, 0) if b is None else (b.low, b.high) for b in arguments.memory]
        intervals += [(p[1], p[1] + p[2]) for p in places] + [(b.low, b.high) for b in arguments.others]
        self.intervals = array.array("Q", itertools.chain.from_iterable(intervals))
        self._globals = (ctypes.c_uint64 * (len(places) or 1))(*(place[1] for place in places))
        self._packed = ctypes.create_string_buffer(arguments.packed, len(arguments.packed) or 1)
        self.record = Recorded(program, self.gpu, shared_bytes, intervals) if program.mode.counting else None
        self.output = host.Output()
        self.progress = Progress()
        self.watch: Watch | None = None  # of a launch that is checked

    def worker(self) -> Worker:
        """A worker made ready for this launch."""
        worker = self.program.take(self.block, self.shared_bytes)
        c = worker.context
        c.params = ctypes.addressof(self._packed)
        c.bounds, n_ends = self.intervals.buffer_info()
        c.n_bounds = n_ends // 2
        c.globals = ctypes.addressof(self._globals)
        c.stop = ctypes.addressof(self.stop)
        if self.is_clustered or self.has_clusters:
            c.cluster_nctaid, c.is_cluster = self.cluster, int(self.has_clusters)
        c.nctaid, c.n_sms = self.grid, int(self.gpu.n_sms)
        prepare(worker)
        c.fault.fault = 0
        worker.counts[:] = 0
        c.trace_limit = _NO_LIMIT if self.queue.is_split else TRACE_LIMIT_BYTES
        if self.watch is not None:
            self.watch.attach(c)
        host.listen(c, self.output)
        self.workers.append(worker)
        return worker

    def _residents(self, worker: Worker, deadline: float | None) -> Residents:
        """What runs blocks on one thread."""
        return (Clustered if self.is_clustered else Residents)(self, worker, deadline)

    @functools.cached_property
    def n_resident_blocks(self) -> int:
        """How many blocks the modelled GPU holds at once, registers aside."""
        n_threads = self.block[0] * self.block[1] * self.block[2]
        a_processor = occupancy(self.gpu, n_threads, shared_bytes=self.shared_bytes).n_blocks_per_sm
        return max(1, a_processor * int(self.gpu.n_sms))

    def place(self, worker: Worker) -> Dims:
        """The block that the worker has in hand."""
        return block_at(worker.context.block, self.grid)

    def run_all(self) -> None:
        """Run every block; raises the first fault."""
        if self.n_blocks == 0:
            return
        try:
            self._run_blocks()
        except BaseException:
            self.stop.value = 2
            self._stop_listening()
            self.workers.clear()  # a worker stopped in mid-block is not fit for another launch
            raise
        self._stop_listening()
        faulty = [w for w in self.workers if w.context.fault.fault]
        if faulty:
            first = min(faulty, key=lambda worker: worker.context.fault.block)
            said = self.output.assertions.get(ctypes.addressof(first.context), "")
            place = (self.program, self.name, self.grid, self.block, self.arguments, self.shared_bytes)
            raise explain(*place, first.context, said)
        if self.record is not None:
            self.record.finish(self.workers)
        for worker in self.workers:
            if self.is_clustered or self.has_clusters:
                worker.leave_cluster()
            self.program.give_back(worker)

    def _stop_listening(self) -> None:
        for worker in self.workers:
            host.forget(worker.context)
        self.output.flush()

    def _run_blocks(self) -> None:
        """Alone, until it is clear that there is enough to do for other threads; then with them."""
        first, program = self.worker(), self.program
        deadline = _deadline(time.perf_counter())
        n_threads = 1 if program.is_ordered else n_workers()
        while (left := self.queue.n_left) and not self.stop.value:
            n, end = 1, self.n_blocks
            if n_threads > 1 and program.block_s * left > ALONE_S:
                n, end = max(1, min(n_threads, left // self.cluster_size)), self._end_together(n_threads)
            elif n_threads > 1:
                end = min(end, end - left + max(1, int(ALONE_S / program.block_s) if program.block_s else 1))
            start, n_bytes = time.perf_counter(), self._trace_bytes
            self._together(first, n - 1, end, deadline)
            seconds = n * (time.perf_counter() - start)
            program.learn(left - self.queue.n_left, seconds, self._trace_bytes - n_bytes)
            self._make_room()

    def _end_together(self, n_threads: int) -> int:
        """How far threads may go together. Where they take pieces, until their traces are long: these can be replayed
        when all blocks below some number have ended, and no other."""
        program = self.program
        if program.looks or self.is_clustered:
            return self.n_blocks
        if not self.queue.is_split:
            self.queue.split(n_threads, int(_PIECE_S / program.block_s))
            for worker in self.workers:
                worker.context.trace_limit = _NO_LIMIT
        room = TRACE_LIMIT_BYTES // 2 - self._trace_bytes
        n_blocks = self.n_blocks if self.record is None else max(room, 0) // max(1, int(program.block_bytes))
        return min(self.n_blocks, self.n_blocks - self.queue.n_left + max(n_blocks, 16 * n_threads))

    def _together(self, first: Worker, n_helpers: int, end: int, deadline: float | None) -> None:
        while len(self.workers) < n_helpers + 1:
            self.worker()
        futures: list[concurrent.futures.Future[None]] = []
        try:
            for worker in self.workers[1 : n_helpers + 1]:
                futures.append(_pool().submit(self._residents(worker, deadline).run, end))
            self._residents(first, deadline).run(end)
            for future in futures:
                if not future.cancel():  # one that has not begun has nothing left to do
                    future.result()
        except BaseException:
            self.stop.value = 2
            concurrent.futures.wait(futures)  # they work on this launch's memory
            raise

    @property
    def _trace_bytes(self) -> int:
        return sum(worker.trace_bytes for worker in self.workers)

    def _make_room(self) -> None:
        """Replay the trace when it has grown large, so that memory stays bounded."""
        limit = TRACE_LIMIT_BYTES // 2 if self.queue.is_split else TRACE_LIMIT_BYTES
        if self.record is not None and self._trace_bytes > limit:
            self.record.replay(self.workers)


def _deadline(start: float) -> float | None:
    from teachkit.emulator.kernel import settings

    limit = settings.time_limit_s
    return None if limit is None else start + limit
