"""Runs the blocks of a launch as clusters: those of one are resident together, on one thread, and take turns.

Each block of a cluster has a worker of its own, and all of them lie in one piece of memory, the arena. A turn ends when
the block has ended or when its warps wait: at the barrier of the cluster, or for another block's arrival or store.
Another cluster starts beside the first only where all blocks of that wait for something.
"""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.engine import residents
from teachkit.emulator.engine.context import LANES, ClusterState, Status, Stop
from teachkit.emulator.engine.faults import shown_line
from teachkit.emulator.engine.residents import WAITING_TURNS, Residents, prepare
from teachkit.emulator.engine.worker import Worker, aligned
from teachkit.emulator.ptx.model import SourceLine
from teachkit.errors import KernelFault

if TYPE_CHECKING:
    from teachkit.emulator.engine.launching import Launching

_MIN_SHIFT = 10  # memory of a block begins at a multiple of 1024 bytes, as without clusters


class Cluster:
    """Room for one cluster: its workers by rank, their shared memory, and what they share besides."""

    def __init__(self, launching: Launching) -> None:
        x, y, z = launching.cluster
        self.workers = [launching.worker() for _ in range(x * y * z)]
        first = self.workers[0].context
        self.n_bytes = (first.shared_end or 0) - (first.shared or 0)
        shift = max(_MIN_SHIFT, (self.n_bytes + LANES - 1).bit_length())
        self._memory, arena = aligned(len(self.workers) << shift, 1 << _MIN_SHIFT)
        self.state = ClusterState(arena=arena, shift=shift, size=len(self.workers))
        self.stop = Stop()
        self.next = (ctypes.c_int64 * len(self.workers))()
        self._lanes = np.zeros((len(self.workers), 2, first.n_warps), np.uint32)
        n_threads = launching.block[0] * launching.block[1] * launching.block[2]
        self.state.n_threads = n_threads * len(self.workers)
        for rank, worker in enumerate(self.workers):
            c = worker.context
            c.shared = arena + (rank << shift)
            c.shared_end = c.shared + self.n_bytes
            c.cluster, c.cluster_lanes = ctypes.addressof(self.state), self._lanes[rank].ctypes.data
            c.stop = ctypes.addressof(self.stop)
        self.numbers: list[int] = []
        launching.clusters.append(self)
        self.n_left = 0

    def begin(self, launching: Launching, number: int) -> None:
        """Make ready for the cluster with that number."""
        state, (cx, cy, cz), (gx, gy, _) = self.state, launching.cluster, launching.grid
        state.phase = state.n_counted = state.n_gone = 0
        ctypes.memset(state.limits, 0, ctypes.sizeof(state.limits))
        self._lanes[:, 0], self._lanes[:, 1] = 0xFFFFFFFF, 0
        nx, ny = gx // cx, gy // cy
        at_x, at_y, at_z = number % nx * cx, number // nx % ny * cy, number // (nx * ny) * cz
        for rank, worker in enumerate(self.workers):
            x, y, z = at_x + rank % cx, at_y + rank // cx % cy, at_z + rank // (cx * cy)
            self.next[rank] = x + gx * (y + gy * z)
            prepare(worker, WAITING_TURNS)
            worker.context.budget = 1
        self.numbers = list(self.next)
        self.n_left = len(self.workers)

    @property
    def has_room(self) -> bool:
        """Whether no worker's trace is full."""
        return all(worker.trace_bytes <= worker.context.trace_limit for worker in self.workers)


class Clustered(Residents):
    """The clusters that one thread has begun and not ended. The worker that it is given stays idle."""

    def __init__(self, launching: Launching, first: Worker, deadline: float | None) -> None:
        super().__init__(launching, first, deadline)
        self._places: dict[int, tuple[Cluster, int]] = {}  # of a worker: its cluster, and its block's rank there
        self._arrivals: dict[int, int] = {}  # of a worker, when its last turn was over
        self._end = 0

    def run(self, end: int) -> None:
        """Run clusters until no block below ``end`` is left; comes back to Python after each turn of a block."""
        launching, self._end = self._launching, end
        launching.progress.enter()
        try:
            while not launching.stop.value and self._begin_cluster():
                self._now = self._waiting.popleft()
                while self._turn():
                    pass
        finally:
            launching.progress.leave()

    def _turn(self) -> bool:
        """One turn of the block at hand; false where none is left, or the launch is over."""
        launching, worker = self._launching, self._now
        cluster, rank = self._places[id(worker)]
        cluster.state.limits[1 + rank] = cluster.n_bytes
        counter, number = ctypes.addressof(cluster.next) + 8 * rank, cluster.numbers[rank]
        residents.run_function()(ctypes.addressof(worker.context), launching.program.address, counter, number + 1)
        self._check_clock(time.perf_counter())
        if worker.context.fault.fault:  # the others may wait for it in vain
            launching.stop.value = max(launching.stop.value, 1)
            return False
        if launching.stop.value == 2:
            return False
        if worker.context.unfinished:
            self._take_turns()
            return True
        cluster.state.limits[1 + rank] = 0
        cluster.n_left -= 1
        if not cluster.n_left:
            launching.free_clusters.append(cluster)
        return self._next_waiting()

    def _take_turns(self) -> bool:
        """A block that has arrived somewhere got on, whatever else it did: no need to look at what its warps hold."""
        arrivals = self._now.context.arrivals
        if self._arrivals.get(id(self._now)) == arrivals:
            return super()._take_turns()
        self._arrivals[id(self._now)] = arrivals
        self._held.pop(id(self._now), None)
        self._got_on()
        self._rotate()
        return False

    def _put_away(self, worker: Worker) -> None:
        """It stays with its cluster, which is put away as a whole."""

    def _begin_cluster(self) -> bool:
        """Let the blocks of the next cluster wait for their first turn; false where there is none, or no room."""
        launching = self._launching
        cluster = launching.free_clusters.pop() if launching.free_clusters else Cluster(launching)
        start = launching.queue.claim(len(cluster.workers), self._end) if cluster.has_room else None
        if start is None:
            launching.free_clusters.append(cluster)
            return False
        cluster.begin(launching, start // len(cluster.workers))
        for rank, worker in enumerate(cluster.workers):
            self._places[id(worker)] = cluster, rank
            self._waiting.append(worker)
        self._got_on()
        return True

    def _begin_another(self) -> bool:
        """Where every block has waited in vain, the next cluster begins beside them, as many as the GPU holds."""
        launching = self._launching
        n_now = len(self._waiting) + 1
        if self._n_in_vain < n_now or n_now + launching.cluster_size > launching.n_resident_blocks:
            return False
        self._end = launching.n_blocks
        if launching.stop.value or not self._begin_cluster():
            return False
        self._rotate()
        return True

    def _endless(self) -> KernelFault:
        """Blocks that wait at the barrier of their cluster are stuck there, whatever the others wait for."""
        program = self._launching.program
        for worker in (self._now, *self._waiting):
            for status, place in worker.warps():
                if status == Status.YIELDED and place in program.cluster_waits:
                    source, ptx_line = program.closed_loops[place]
                    return self._stuck(worker, source, ptx_line)
        return super()._endless()

    def _stuck(self, worker: Worker, source: SourceLine | None, ptx_line: int) -> KernelFault:
        launching = self._launching
        block, where = launching.place(worker), f"at PTX line {ptx_line}" if source is None else shown_line(source)
        return KernelFault(
            f"Some threads of a cluster wait at its barrier, which others never reach,\n"
            f"  in kernel {launching.name!r}, block {block}\n  {where}",
            hint="every thread of every block of the cluster must reach the same cluster barrier, or end; look for one "
            "inside an if.",
            kernel=launching.name,
            kind="deadlock",
            block=block,
            source="" if source is None else str(source),
        )
