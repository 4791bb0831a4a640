"""A compiled kernel: its code, what the launcher must know about it, and idle workers to run it."""

from __future__ import annotations

import functools
import json
import threading
from typing import Any

import numpy as np

from teachkit.emulator.engine import host, jit
from teachkit.emulator.engine.translate import translate
from teachkit.emulator.engine.warp_code import WARP_FUNCTION, Mode
from teachkit.emulator.engine.worker import Dims, Worker
from teachkit.emulator.ptx.model import SourceLine
from teachkit.emulator.sites import Site

_N_IDLE = 4


class Program:
    """A kernel compiled in one mode, and idle workers to run it."""

    def __init__(self, kernel: Any, mode: Mode) -> None:
        self.kernel, self.mode = kernel, mode

        def build() -> tuple[bytes, dict[str, Any]]:
            t = translate(kernel.owner.module, kernel.function, mode)
            names = "n_slots frame_bytes shared_bytes trace_reserve local_bytes is_ordered asking_loops".split()
            names += ["looks", "waits", "masks_at", "n_masks", "cluster_waits", "spans_blocks", "reserved_bytes"]
            facts = {name: getattr(t, name) for name in names}
            for name in ("idle_loops", "closed_loops"):
                facts[name] = [(n, _pack_line(i.source), i.ptx_line) for n, i in getattr(t, name).items()]
            facts |= {"globals": list(t.globals), "max_slots": _max_slots(t.sites)}
            functions = kernel.owner.module.functions.values()
            opcodes = (getattr(item, "opcode", "") for each in functions for item in each.body)
            facts["swaps_words"] = any(o.startswith("atom.") and ".cas.b32" in o for o in opcodes)
            facts["sites"] = json.dumps(_pack_sites(t.sites))  # a text in the text: read when it is needed
            return jit.compile_object(t.text), facts

        key = f"{kernel.name} {mode} {kernel.owner.text}"
        code, facts = jit.cached("kernel", key, build)
        imports = jit.runtime() | host.callbacks()
        if mode.checked:
            from teachkit.emulator.checks.monitor import functions

            imports |= functions()
        self.address, self.keep_alive = jit.load_object(code, WARP_FUNCTION, imports)
        self._packed_sites: str = facts["sites"]
        self.max_slots = np.array(facts["max_slots"], np.intp)
        self.idle_loops, self.closed_loops = (
            {number: (_unpack_line(line), ptx_line) for number, line, ptx_line in facts[name]}
            for name in ("idle_loops", "closed_loops")
        )
        self.asking_loops = frozenset[int](facts["asking_loops"])
        self.cluster_waits = frozenset[int](facts["cluster_waits"])
        self.spans_blocks: bool = facts["spans_blocks"]
        self.is_ordered: bool = facts["is_ordered"]
        self.looks: bool = facts["looks"]
        self.waits = np.array(facts["waits"], np.int32)
        self.masks_at: int = facts["masks_at"]
        self.n_masks: int = facts["n_masks"]
        self.local_bytes: int = facts["local_bytes"]
        self.n_slots: int = facts["n_slots"]
        self.frame_bytes: int = facts["frame_bytes"]
        self.shared_bytes: int = facts["shared_bytes"]
        self.reserved_bytes: int = facts["reserved_bytes"]
        self.trace_reserve: int = facts["trace_reserve"]
        self.global_names: list[str] = facts["globals"]
        self.swaps_words: bool = facts["swaps_words"]
        self.block_s = self.block_bytes = 0.0  # what blocks took that ran last: time, and trace
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    @functools.cached_property
    def _all_sites(self) -> list[Site]:
        return _unpack_sites(json.loads(self._packed_sites))

    @functools.cached_property
    def sites(self) -> tuple[Site, ...]:
        """Where the kernel counts."""
        return tuple(site for site in self._all_sites if site.kind != "place")

    @functools.cached_property
    def places(self) -> tuple[Site, ...]:
        """What is checked and not counted."""
        return tuple(site for site in self._all_sites if site.kind == "place")

    def learn(self, n_blocks: int, seconds: float, n_bytes: int) -> None:
        """Blocks have just taken so much time and trace."""
        if n_blocks:
            self.block_s, self.block_bytes = max(seconds, 1e-9) / n_blocks, n_bytes / n_blocks

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


def _max_slots(sites: tuple[Site, ...]) -> list[int]:
    return [site.max_slot for site in sites if site.max_slot is not None and site.kind != "place"]


_FIELDS = tuple(name for name in Site.__dataclass_fields__ if name != "source")


def _pack_sites(sites: tuple[Site, ...]) -> list[Any]:
    """The source lines, each once, and the fields of each site with the number of its line."""
    lines = {line: number for number, line in enumerate(dict.fromkeys(site.source for site in sites))}
    fields = [[*(getattr(site, name) for name in _FIELDS), lines[site.source]] for site in sites]
    return [[_pack_line(line) for line in lines], fields]


def _unpack_sites(packed: list[Any]) -> list[Site]:
    lines = [_unpack_line(line) for line in packed[0]]
    return [Site(**dict(zip(_FIELDS, fields[:-1], strict=True)), source=lines[fields[-1]]) for fields in packed[1]]


def _pack_line(line: SourceLine | None) -> list[Any] | None:
    return None if line is None else [line.file, line.line, line.column, _pack_line(line.inlined_at)]


def _unpack_line(fields: list[Any] | None) -> SourceLine | None:
    if fields is None:
        return None
    file, line, column, inlined_at = fields
    return SourceLine(file, line, column, _unpack_line(inlined_at))
