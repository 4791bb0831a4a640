"""Runs a kernel: picks the compiled variant, sets up workers, spreads blocks over threads, reports faults."""

from __future__ import annotations

import concurrent.futures
import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from teachkit.emulator.arguments import Arguments
from teachkit.emulator.cache_model import CacheModel, Trace
from teachkit.emulator.counters import Counters
from teachkit.emulator.engine import host, jit
from teachkit.emulator.engine.context import LANES, Context
from teachkit.emulator.engine.faults import explain
from teachkit.emulator.engine.inline import function_addresses
from teachkit.emulator.engine.translate import WARP_FUNCTION, Mode, translate
from teachkit.emulator.launches import Launch, Resources
from teachkit.emulator.ptx.model import Module, SourceLine
from teachkit.emulator.sites import Site, sum_lines, totals
from teachkit.errors import LaunchError

Dims = tuple[int, int, int]

TURNS = 4096  # loop iterations of a warp before another gets its turn
TRACE_LIMIT_BYTES = 64 << 20  # after which the caches are replayed and the trace starts anew
ALONE_S = 100e-6  # below this much work another thread costs more than it gives


class Program:
    """A kernel compiled in one mode, and idle workers to run it."""

    def __init__(self, kernel: Any, mode: Mode) -> None:
        self.kernel, self.mode = kernel, mode
        module, function = kernel.owner.module, kernel.function

        def build() -> tuple[bytes, dict[str, Any]]:
            t = translate(module, function, mode)
            names = ("n_slots", "frame_bytes", "shared_bytes", "trace_reserve", "local_bytes", "is_ordered")
            facts = {name: getattr(t, name) for name in names}
            facts |= {"globals": list(t.globals), "sites": [_pack_site(site) for site in t.sites]}
            return jit.compile_object(t.text), facts

        key = f"{function.name} {mode} {kernel.owner.text}"
        code, facts = jit.cached("kernel", key, build)
        imports = jit.runtime() | host.callbacks()
        self.address, self.keep_alive = jit.load_object(code, WARP_FUNCTION, imports)
        self.sites = tuple(_unpack_site(fields) for fields in facts["sites"])
        self.max_slots = np.array([s.max_slot for s in self.sites if s.max_slot is not None], np.intp)
        self.is_ordered: bool = facts["is_ordered"]
        self.local_bytes: int = facts["local_bytes"]
        self.n_slots: int = facts["n_slots"]
        self.frame_bytes: int = facts["frame_bytes"]
        self.shared_bytes: int = facts["shared_bytes"]
        self.trace_reserve: int = facts["trace_reserve"]
        self.global_names: list[str] = facts["globals"]
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def take(self, block: Dims, shared_bytes: int) -> Worker:
        """An idle worker for such blocks, else a new one."""
        with self._lock:
            for index, worker in enumerate(self._idle):
                if worker.fits(block, shared_bytes):
                    return self._idle.pop(index)
        return Worker(self, block, shared_bytes)

    def give_back(self, worker: Worker) -> None:
        """Keep a worker for the next launch."""
        with self._lock:
            if len(self._idle) < 4:
                self._idle.append(worker)


def _pack_site(site: Site) -> list[Any]:
    fields = [getattr(site, name) for name in Site.__dataclass_fields__ if name != "source"]
    return [*fields, _pack_line(site.source)]


def _unpack_site(fields: list[Any]) -> Site:
    names = [name for name in Site.__dataclass_fields__ if name != "source"]
    return Site(**dict(zip(names, fields[:-1], strict=True)), source=_unpack_line(fields[-1]))


def _pack_line(line: SourceLine | None) -> list[Any] | None:
    return None if line is None else [line.file, line.line, line.column, _pack_line(line.inlined_at)]


def _unpack_line(fields: list[Any] | None) -> SourceLine | None:
    if fields is None:
        return None
    file, line, column, inlined_at = fields
    return SourceLine(file, line, column, _unpack_line(inlined_at))


def _aligned(n_bytes: int, align: int = 128) -> tuple[npt.NDArray[np.uint8], int]:
    """Memory and an aligned address inside it."""
    memory = np.zeros(n_bytes + align, dtype=np.uint8)
    start = memory.ctypes.data
    return memory, -(-start // align) * align


class Worker:
    """The memory one thread needs to run blocks of a program."""

    def __init__(self, program: Program, block: Dims, shared_bytes: int) -> None:
        self.block, self.shared_bytes = block, shared_bytes
        n_threads = block[0] * block[1] * block[2]
        n_warps = -(-n_threads // LANES)
        self.context = c = Context()
        self._memory: list[Any] = []
        c.shared, c.shared_bytes = self._room(max(shared_bytes, 1)), shared_bytes
        c.frames, c.frame_bytes = self._room(n_warps * program.frame_bytes), program.frame_bytes
        c.staging = self._room(1024)
        c.local = self._room(n_warps * LANES * program.local_bytes)
        c.thread_ids = self._thread_ids(block, n_warps)
        c.n_warps, c.turns = n_warps, TURNS
        c.last_warp_mask = (1 << (n_threads - LANES * (n_warps - 1))) - 1
        c.ntid = block
        c.trace_reserve, c.trace_limit = max(program.trace_reserve, 16), TRACE_LIMIT_BYTES
        self.counts = np.zeros(program.n_slots, dtype=np.int64)
        c.sites = self.counts.ctypes.data if program.mode.counting else None

    def _room(self, n_bytes: int) -> int:
        memory, address = _aligned(n_bytes)
        self._memory.append(memory)
        return address

    def _thread_ids(self, block: Dims, n_warps: int) -> int:
        ids = np.arange(n_warps * LANES, dtype=np.int32)
        table = np.stack([ids % block[0], ids // block[0] % block[1], ids // (block[0] * block[1])])
        self._memory.append(np.ascontiguousarray(table, dtype=np.int32))
        return int(self._memory[-1].ctypes.data)

    def fits(self, block: Dims, shared_bytes: int) -> bool:
        """Whether the worker was made for such blocks."""
        return self.block == block and self.shared_bytes == shared_bytes

    def take_trace(self) -> Trace:
        """The trace so far, which starts anew."""
        c = self.context
        n = (c.trace_cursor or 0) - (c.trace_begin or 0)
        trace = np.empty(n // 8, dtype=np.uint64)
        if n:
            ctypes.memmove(trace.ctypes.data, c.trace_begin, n)
        c.trace_cursor = c.trace_begin
        return trace

    def __del__(self) -> None:
        if self.context.trace_begin:
            _libc().free(ctypes.c_void_p(self.context.trace_begin))


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


@functools.cache
def _run_function() -> Callable[..., int]:
    signature = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    return signature(jit.runtime()["tk_run"])


@functools.cache
def _pool() -> concurrent.futures.ThreadPoolExecutor:
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
            memory, address = _aligned(max(variable.n_bytes, 1), max(variable.align, 16))
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


_programs_lock = threading.Lock()


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
) -> Launch | None:
    """Run every block. See :meth:`teachkit.emulator.kernel.Kernel.launch`."""
    n_block_threads = block[0] * block[1] * block[2]
    program = program_of(kernel, Mode(counting, partial_warps=n_block_threads % LANES != 0))
    shared = program.shared_bytes + shared_bytes
    _check_shared(kernel, shared)
    if shared_bytes and program.shared_bytes:
        shared = -(-program.shared_bytes // 16) * 16 + shared_bytes
    launch = _Launching(program, grid, block, arguments, shared)
    launch.run_all()
    if not counting:
        return None
    needs = resources or Resources(shared_bytes=shared)
    return Launch(name, grid, block, launch.counted, needs, kernel.owner.text)


def _check_shared(kernel: Any, shared: int) -> None:
    spec = modelled_gpu()
    if shared > spec.shared_bytes_per_block_max:
        raise LaunchError(
            f"Expected at most {spec.shared_bytes_per_block_max} bytes of shared memory a block, the limit of "
            f"{spec.name}, got {shared} for kernel {kernel.name!r}.",
            hint="make the tile smaller or use fewer pipeline stages; H100 allows 232448 bytes.",
        )


def modelled_gpu() -> Any:
    """The data sheet of the GPU that is modelled."""
    from teachkit.emulator.kernel import settings
    from teachkit.hardware.spec import DEFAULT_GPU_NAME, gpu

    return gpu(settings.gpu or DEFAULT_GPU_NAME)


class _Launching:
    """One launch in progress."""

    def __init__(self, program: Program, grid: Dims, block: Dims, arguments: Arguments, shared_bytes: int) -> None:
        self.program, self.grid, self.block, self.arguments = program, grid, block, arguments
        self.shared_bytes = shared_bytes
        self.n_blocks = grid[0] * grid[1] * grid[2]
        self.next = ctypes.c_int64(0)
        self.stop = ctypes.c_int64(0)
        self.workers: list[Worker] = []
        self.caches: CacheModel | None = None
        self.traces: list[Trace] = []
        variables = program.kernel.owner.variables if program.global_names else {}
        places = [variables[name] for name in program.global_names]
        bounds = [(b.low, b.high) for b in arguments.bounds] + [(p[1], p[1] + p[2]) for p in places]
        self.intervals = bounds
        self._bounds = np.array(bounds or [(0, 0)], dtype=np.uint64)
        self._globals = np.array([p[1] for p in places] or [0], dtype=np.uint64)
        self._packed = ctypes.create_string_buffer(arguments.packed, len(arguments.packed) or 1)
        self.counts: npt.NDArray[np.int64] = np.zeros(program.n_slots, dtype=np.int64)
        self.output = host.Output()

    def _worker(self) -> Worker:
        worker = self.program.take(self.block, self.shared_bytes)
        c = worker.context
        c.params = ctypes.addressof(self._packed)
        c.bounds, c.n_bounds = self._bounds.ctypes.data, len(self.intervals)
        c.globals = self._globals.ctypes.data
        c.stop = ctypes.addressof(self.stop)
        c.nctaid = self.grid
        c.unfinished = 0
        c.fault.fault = 0
        worker.counts[:] = 0
        host.listen(c, self.output)
        self.workers.append(worker)
        return worker

    def run_all(self) -> None:
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
        for worker in self.workers:
            self._add_counts(worker)
            if self.program.mode.counting:
                self.traces.append(worker.take_trace())
        faulty = [w for w in self.workers if w.context.fault.fault]
        if faulty:
            first = min(faulty, key=lambda worker: worker.context.fault.block)
            said = self.output.assertions.get(ctypes.addressof(first.context), "")
            raise explain(self.program, self.grid, self.block, self.arguments, self.shared_bytes, first.context, said)
        for worker in self.workers:
            self.program.give_back(worker)

    def _stop_listening(self) -> None:
        for worker in self.workers:
            host.forget(worker.context)
        self.output.flush()

    def _add_counts(self, worker: Worker) -> None:
        maxima = self.program.max_slots
        most = np.maximum(self.counts[maxima], worker.counts[maxima])
        self.counts += worker.counts
        self.counts[maxima] = most

    def _run_blocks(self) -> None:
        """First alone; when that has taken long enough to be worth it, with the other threads."""
        first = self._worker()
        start = time.perf_counter()
        deadline = _deadline(start)
        end = 1
        while self.next.value < self.n_blocks and not self.stop.value:
            self._drive(first, min(end, self.n_blocks), deadline)
            done = min(self.next.value, end)
            self.next.value = min(self.next.value, end, self.n_blocks)
            elapsed = time.perf_counter() - start
            left = self.n_blocks - done
            is_alone = self.program.is_ordered or n_threads() == 1
            if left > 0 and elapsed / done * left > ALONE_S and not is_alone:
                break
            end = self.n_blocks if is_alone else done + max(1, int(done * ALONE_S / max(elapsed, 1e-7)))
            self._make_room([first])
        while self.next.value < self.n_blocks and not self.stop.value:
            helpers = min(n_threads(), self.n_blocks - self.next.value) - 1
            self._together(first, helpers, deadline)
            self.next.value = min(self.next.value, self.n_blocks)
            self._make_room(self.workers)

    def _together(self, first: Worker, n_helpers: int, deadline: float | None) -> None:
        while len(self.workers) < n_helpers + 1:
            self._worker()
        futures = [_pool().submit(self._drive, w, self.n_blocks, deadline) for w in self.workers[1 : n_helpers + 1]]
        try:
            self._drive(first, self.n_blocks, deadline)
        except BaseException:
            self.stop.value = 2
            concurrent.futures.wait(futures)
            raise
        for future in futures:
            future.result()

    def _drive(self, worker: Worker, end: int, deadline: float | None) -> None:
        """Run blocks until ``end``; comes back to Python now and then, where Ctrl-C and the clock are seen."""
        run = _run_function()
        context, counter = ctypes.addressof(worker.context), ctypes.addressof(self.next)
        while run(context, self.program.address, counter, end):
            if deadline is not None and time.perf_counter() > deadline:
                raise _time_up(self.program.kernel.name)

    def _make_room(self, workers: list[Worker]) -> None:
        """Replay the trace when it has grown large, so that memory stays bounded."""
        if not self.program.mode.counting:
            return
        sizes = sum((w.context.trace_cursor or 0) - (w.context.trace_begin or 0) for w in workers)
        if sizes > TRACE_LIMIT_BYTES:
            self._feed([worker.take_trace() for worker in workers])

    def _feed(self, traces: list[Trace]) -> None:
        if self.caches is None:
            self.caches = CacheModel(modelled_gpu(), self.shared_bytes, self.intervals)
        self.caches.feed(traces)

    def counted(self) -> tuple[Counters, dict[SourceLine | None, Counters]]:
        """Counters of the launch and of each source line."""
        lines = totals(self.program.sites, self.counts)
        exact = sum_lines(lines)
        self._feed(self.traces)
        assert self.caches is not None
        t = self.caches.traffic()
        total = exact + Counters(
            n_launches=1,
            compulsory_read_bytes=t.compulsory_read_bytes,
            compulsory_write_bytes=t.compulsory_write_bytes,
            dram_read_bytes=t.dram_read_bytes,
            dram_write_bytes=t.dram_write_bytes,
            l1_hit_rate=t.l1_hits / t.l1_lookups if t.l1_lookups else None,
            l2_hit_rate=t.l2_hits / t.l2_lookups if t.l2_lookups else None,
            l1_lookups=t.l1_lookups,
            l2_lookups=t.l2_lookups,
        )
        return total, {line: Counters(**amounts) for line, amounts in lines.items()}


def _deadline(start: float) -> float | None:
    from teachkit.emulator.kernel import settings

    limit = settings.time_limit_s
    return None if limit is None else start + limit


def _time_up(name: str) -> Exception:
    from teachkit.emulator.kernel import settings
    from teachkit.errors import KernelFault

    return KernelFault(
        f"Kernel {name!r} was stopped after {settings.time_limit_s} s.",
        hint="look for a loop that never ends, or a lock that nobody releases; "
        "teachkit.emulator.configure(time_limit_s=...) sets the limit.",
        kernel=name,
        kind="time limit",
    )
