"""A compiled kernel: its code, what the launcher must know about it, and idle workers to run it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from teachkit.emulator.engine import host, jit
from teachkit.emulator.engine.translate import WARP_FUNCTION, Mode, translate
from teachkit.emulator.engine.worker import Dims, Worker
from teachkit.emulator.ptx.model import SourceLine
from teachkit.emulator.sites import Site

_N_IDLE = 4


class Program:
    """A kernel compiled in one mode, and idle workers to run it."""

    def __init__(self, kernel: Any, mode: Mode) -> None:
        self.kernel, self.mode = kernel, mode
        module, function = kernel.owner.module, kernel.function

        def build() -> tuple[bytes, dict[str, Any]]:
            t = translate(module, function, mode)
            names = "n_slots frame_bytes shared_bytes trace_reserve local_bytes is_ordered asking_loops".split()
            names += ["waits", "masks_at", "n_masks"]
            facts = {name: getattr(t, name) for name in names}
            facts |= {"idle_loops": [(n, _pack_line(i.source), i.ptx_line) for n, i in t.idle_loops.items()]}
            facts |= {"globals": list(t.globals), "sites": [_pack_site(site) for site in t.sites]}
            return jit.compile_object(t.text), facts

        key = f"{function.name} {mode} {kernel.owner.text}"
        code, facts = jit.cached("kernel", key, build)
        imports = jit.runtime() | host.callbacks()
        if mode.checked:
            from teachkit.emulator.checks.monitor import functions

            imports |= functions()
        self.address, self.keep_alive = jit.load_object(code, WARP_FUNCTION, imports)
        sites = [_unpack_site(fields) for fields in facts["sites"]]
        self.sites = tuple(site for site in sites if site.kind != "place")
        self.places = tuple(site for site in sites if site.kind == "place")  # of what is checked and not counted
        self.max_slots = np.array([s.max_slot for s in self.sites if s.max_slot is not None], np.intp)
        self.idle_loops = {number: (_unpack_line(line), ptx_line) for number, line, ptx_line in facts["idle_loops"]}
        self.asking_loops = frozenset[int](facts["asking_loops"])
        self.is_ordered: bool = facts["is_ordered"]
        self.waits = np.array(facts["waits"], np.int32)
        self.masks_at: int = facts["masks_at"]
        self.n_masks: int = facts["n_masks"]
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
        worker.rest()
        with self._lock:
            if len(self._idle) < _N_IDLE:
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
