"""Runs a kernel: picks the compiled variant, spreads blocks over threads, reports faults."""

from __future__ import annotations

import array
import concurrent.futures
import ctypes
import functools
import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from teachkit.emulator import launches
from teachkit.emulator.arguments import Arguments, in_whole_words
from teachkit.emulator.checks import session as checks
from teachkit.emulator.engine import host
from teachkit.emulator.engine.clustered import Cluster, Clustered
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.faults import block_at, explain
from teachkit.emulator.engine.inline import function_addresses
from teachkit.emulator.engine.program import Program
from teachkit.emulator.engine.recorded import Recorded
from teachkit.emulator.engine.residents import Progress, Residents, prepare
from teachkit.emulator.engine.warp_code import Mode
from teachkit.emulator.engine.worker import TRACE_LIMIT_BYTES, Dims, Worker, aligned
from teachkit.emulator.launches import Launch, Resources
from teachkit.emulator.ptx.model import Module
from teachkit.errors import LaunchError
from teachkit.hardware.occupancy import occupancy

if TYPE_CHECKING:
    from teachkit.emulator.checks.watch import Watch
    from teachkit.hardware.spec import GpuSpec

_VARIABLE_ALIGN_BYTES = 256  # so that the sectors and banks of a module's variables are the same in every run
ALONE_S = 100e-6  # below this much work another thread costs more than it gives


@functools.cache
def _pool() -> concurrent.futures.ThreadPoolExecutor:
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of its parent's threads
    return concurrent.futures.ThreadPoolExecutor(max_workers=64, thread_name_prefix="teachkit-emulator")


def n_threads() -> int:
    """Worker threads of a launch: the setting, else ``TEACHKIT_NUM_THREADS``, else the processors at hand."""
    from teachkit.emulator.kernel import settings

    chosen = settings.n_threads or int(os.environ.get("TEACHKIT_NUM_THREADS", "0"))
    return chosen or len(os.sched_getaffinity(0))


def allocate_variables(module: Module) -> dict[str, Any]:
    """Memory of module variables in global and constant space: name -> (memory, address)."""
    places: dict[str, Any] = {}
    for variable in module.variables.values():
        if variable.space in ("global", "const"):
            memory, address = aligned(max(variable.n_bytes, 1), max(variable.align, _VARIABLE_ALIGN_BYTES))
            if variable.initial is not None:
                ctypes.memmove(address, variable.initial, len(variable.initial))
            places[variable.name] = (memory, address, variable.n_bytes)
    functions = function_addresses(module)
    for variable in module.variables.values():
        for at, symbol in variable.relocations if variable.name in places else ():
            address = places[symbol][1] if symbol in places else functions[symbol]
            addend = int.from_bytes((variable.initial or b"")[at : at + 8], "little")
            target = places[variable.name][1] + at
            ctypes.memmove(target, ((address + addend) % (1 << 64)).to_bytes(8, "little"), 8)
    return places


_programs_lock, _claiming = threading.Lock(), threading.Lock()


def program_of(kernel: Any, mode: Mode) -> Program:
    """The compiled kernel, once a process."""
    cache: dict[Mode, Program] = kernel.__dict__.setdefault("_programs", {})
    program = cache.get(mode)
    if program is None:
        with _programs_lock:
            program = cache.get(mode) or Program(kernel, mode)
            cache[mode] = program
    return program


def run(
    kernel: Any,
    grid: Dims,
    block: Dims,
    arguments: Arguments,
    *,
    shared_bytes: int,
    counting: bool,
    name: str,
    resources: Resources | Callable[[], Resources] | None,
    cluster: Dims | None = None,
) -> Launch | None:
    """Run every block. See :meth:`teachkit.emulator.kernel.Kernel.launch`."""
    n_block_threads = block[0] * block[1] * block[2]
    checking = checks.active()
    if checking is not None and cluster not in (None, (1, 1, 1)):
        raise _unchecked(name, f"clusters of {cluster} blocks")
    mode = Mode(counting, n_block_threads % LANES != 0, checking is not None, rows=block[0] % LANES == 0)
    program = program_of(kernel, mode)
    shared = program.shared_bytes
    if shared_bytes:
        shared = -(-shared // 16) * 16 + shared_bytes
    gpu = modelled_gpu()
    _check_shared(name, shared, gpu)
    _check_writable(program, arguments, name)
    if program.swaps_words:
        arguments = in_whole_words(arguments)
    launching = Launching(program, grid, block, arguments, shared, name, gpu, cluster)
    if checking is not None and launching.is_clustered:
        raise _unchecked(name, "instructions for clusters")
    if checking is None:
        launching.run_all()
    else:
        checking.run(launching, name)
    if launching.record is None:
        return None
    needs = resources or Resources(shared_bytes=shared)
    launch = Launch(name, grid, block, launching.record.counted, needs, kernel.owner.text)
    launches.backlog.add(launch, launching.record.n_bytes)
    return launch


def _unchecked(name: str, what: str) -> LaunchError:
    return LaunchError(
        f"Expected a kernel without clusters to check, got {name!r} with {what}.",
        hint="launch it outside check(): accesses to the shared memory of other blocks are not checked.",
    )


def _check_shared(name: str, shared: int, spec: GpuSpec) -> None:
    if shared > spec.shared_bytes_per_block_max:
        raise LaunchError(
            f"Expected at most {spec.shared_bytes_per_block_max} bytes of shared memory a block, the limit of "
            f"{spec.name}, got {shared} for kernel {name!r}.",
            hint="make the tile smaller or use fewer pipeline stages; H100 allows 232448 bytes.",
        )


def _check_writable(program: Program, arguments: Arguments, name: str) -> None:
    """An array that NumPy holds read-only may be memory that the process cannot write."""
    written: frozenset[str] | None = None
    for parameter, bound in zip(program.kernel.signature.params, arguments.memory, strict=True):
        if bound is None or not bound.is_read_only:
            continue
        if written is None:
            written = frozenset(s.root for s in program.sites if s.is_store and s.space == "global")
        if parameter.name in written or "" in written:
            raise LaunchError(
                f"Expected an array that kernel {name!r} may write for argument {bound.name!r}, "
                f"got a read-only {bound.shown}.",
                hint="pass a copy of it: array.copy().",
            )


def modelled_gpu() -> GpuSpec:
    """The data sheet of the GPU that is modelled."""
    from teachkit.emulator.kernel import settings
    from teachkit.hardware.spec import gpu

    name = settings.gpu
    return gpu(name) if name is not None and name.endswith(".toml") else _named_gpu(name)


@functools.lru_cache(maxsize=32)
def _named_gpu(name: str | None) -> GpuSpec:
    """A data sheet that comes with the library, which does not change while a program runs."""
    from teachkit.hardware.spec import DEFAULT_GPU_NAME, gpu

    return gpu(name or DEFAULT_GPU_NAME)


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
        self.next = ctypes.c_int64(0)
        self.stop = ctypes.c_int64(0)  # 1: start no other block; 2: leave running blocks as well
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
        if self.watch is not None:
            self.watch.attach(c)
        host.listen(c, self.output)
        self.workers.append(worker)
        return worker

    def claim(self, n_blocks: int, end: int) -> int | None:
        """The first of the next ``n_blocks``, None where there is none below ``end``."""
        with _claiming:
            first = self.next.value
            if first >= end:
                return None
            self.next.value = first + n_blocks
            return first

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
        """First alone; when that has taken long enough to be worth it, with the other threads."""
        first = self.worker()
        start = time.perf_counter()
        deadline = _deadline(start)
        end = 1
        while self.next.value < self.n_blocks and not self.stop.value:
            self._residents(first, deadline).run(min(end, self.n_blocks))
            done = self.next.value
            elapsed = time.perf_counter() - start
            left = self.n_blocks - done
            is_alone = left <= 0 or self.program.is_ordered or n_threads() == 1
            if not is_alone and elapsed / done * left > ALONE_S:
                break
            end = self.n_blocks if is_alone else done + max(1, int(done * ALONE_S / max(elapsed, 1e-7)))
            self._make_room()
        while self.next.value < self.n_blocks and not self.stop.value:
            helpers = min(n_threads(), (self.n_blocks - self.next.value) // self.cluster_size) - 1
            self._together(first, helpers, deadline)
            self.next.value = min(self.next.value, self.n_blocks)
            self._make_room()

    def _together(self, first: Worker, n_helpers: int, deadline: float | None) -> None:
        while len(self.workers) < n_helpers + 1:
            self.worker()
        futures: list[concurrent.futures.Future[None]] = []
        try:
            for worker in self.workers[1 : n_helpers + 1]:
                futures.append(_pool().submit(self._residents(worker, deadline).run, self.n_blocks))
            self._residents(first, deadline).run(self.n_blocks)
            for future in futures:
                if not future.cancel():  # one that has not begun has nothing left to do
                    future.result()
        except BaseException:
            self.stop.value = 2
            concurrent.futures.wait(futures)  # they work on this launch's memory
            raise

    def _make_room(self) -> None:
        """Replay the trace when it has grown large, so that memory stays bounded."""
        if self.record is not None and sum(worker.trace_bytes for worker in self.workers) > TRACE_LIMIT_BYTES:
            self.record.replay(self.workers)


def _deadline(start: float) -> float | None:
    from teachkit.emulator.kernel import settings

    limit = settings.time_limit_s
    return None if limit is None else start + limit
