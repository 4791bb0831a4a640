"""What was measured of caches and of small kernels, beside what the model says.

The counts are closed forms of plain kernels (every lane reads or writes the next element), which the emulator's own
tests hold it to; which of them hit in L1 is the emulator's cache model.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from teachkit.emulator.cache_model import CacheModel
from teachkit.emulator.counters import Counters
from teachkit.emulator.engine.context import SECTOR_BYTES, TRACE_SECTOR_SHIFT
from teachkit.hardware.spec import GpuSpec, gpu
from teachkit.model.subject import Launched
from teachkit.model.time_model import predict
from tests.model.measured import Pair, _Subject, rows

_LINE_BYTES = 128
_BLOCK_MARK = np.uint64(1 << 63)


def small_kernels() -> Iterator[Pair]:
    """GB/s of a kernel that scales one array into another, by size and by threads a block; L2 is warm.

    ``what`` is how it was launched, ``at`` the bytes of both arrays and the threads of a block.
    """
    for row in rows("hw_small_kernels.csv"):
        spec, n = gpu(row["gpu"]), int(row["n"])
        for n_threads in (32, 64, 128, 256, 512, 1024):
            estimate = predict(
                _Subject(scale(n, n_threads)),
                gpu=spec,
                launch="graph" if row["launch"] == "graph" else "queue",
                l2="warm",
            )
            measured = float(row[f"block_{n_threads}_gb_per_s"])
            at = f"{16 * n} bytes, {n_threads} threads"
            yield Pair(spec.name, row["launch"], at, measured, 16 * n / estimate.seconds / 1e9)


def scale(n: int, n_threads: int) -> Launched:
    """``a[i] = c * b[i]`` on ``n`` doubles, one a thread."""
    n_requests, n_bytes = -(-n // 32), 8 * n
    counters = Counters(
        n_launches=1,
        global_load_requests=n_requests,
        global_load_wavefronts=2 * n_requests,
        global_load_sectors=n_bytes // SECTOR_BYTES,
        global_load_bytes=n_bytes,
        l1_tag_lookups=2 * n_requests,
        global_store_requests=n_requests,
        global_store_sectors=n_bytes // SECTOR_BYTES,
        global_store_bytes=n_bytes,
        compulsory_read_bytes=n_bytes,
        compulsory_write_bytes=n_bytes,
        dram_read_bytes=n_bytes,
        dram_write_bytes=n_bytes,
        flop_fp64=n,
    )
    return Launched("scale", counters, (n // n_threads + 1, 1, 1), (n_threads, 1, 1), 16)


def l2_bandwidth() -> Iterator[Pair]:
    """GB/s of blocks that read a data set over and over; ``what`` is the data set over the size of L2."""
    for row in rows("hw_l2_bandwidth.csv"):
        spec, n_bytes = gpu(row["gpu"]), int(row["data_set_kib"]) * 1024
        counters = Counters(
            n_launches=1,
            global_load_requests=n_bytes // 256,
            global_load_wavefronts=n_bytes // 128,
            global_load_sectors=n_bytes // SECTOR_BYTES,
            global_load_bytes=n_bytes,
            compulsory_read_bytes=n_bytes,
            dram_read_bytes=n_bytes,
        )
        # Blocks follow each other without a pause, and each reads for long: no start and no wave counts.
        seconds = max(predict(counters, gpu=spec, l2="warm").terms.get(term, 0.0) for term in ("dram", "l2", "l1"))
        where = "L2" if n_bytes <= 0.7 * spec.l2_bytes else "DRAM" if n_bytes >= 1.5 * spec.l2_bytes else "between"
        yield Pair(spec.name, where, row["data_set_kib"], float(row["gb_per_s"]), n_bytes / seconds / 1e9)


def cache_bandwidth() -> Iterator[Pair]:
    """GB/s of one block on each SM that reads a buffer over and over; ``what`` is the cache that it fits in."""
    for row in rows("hw_cache_bandwidth.csv"):
        spec, n_bytes = gpu(row["gpu"]), int(row["buffer_kib"]) * 1024
        n_lines = n_bytes // _LINE_BYTES
        n_missed = 4 * n_lines - l1_hits(spec, n_lines)
        counters = Counters(
            n_launches=1,
            global_load_requests=spec.n_sms * n_lines,
            global_load_wavefronts=spec.n_sms * n_lines,
            global_load_bytes=spec.n_sms * n_bytes,
            l1_tag_lookups=spec.n_sms * n_lines,
            l2_lookups=spec.n_sms * n_missed,
        )
        terms = predict(counters, gpu=spec).terms
        seconds = max(terms["l1"], terms["l2"] if n_missed else 0.0)
        share = n_bytes / spec.l1_bytes_per_sm
        where = "L1" if share <= 0.7 else "L2" if share >= 1.5 and n_bytes <= 0.45 * spec.l2_bytes else "between"
        measured = float(row["gb_per_s"])
        yield Pair(spec.name, where, row["buffer_kib"], measured, spec.n_sms * n_bytes / seconds / 1e9)


def l1_hits(spec: GpuSpec, n_lines: int) -> int:
    """Sectors that hit in L1 when one block reads so many lines in order, once more."""
    return _l1_hits(spec.l1_bytes_per_sm, spec.name, n_lines)


@functools.cache
def _l1_hits(l1_bytes: int, name: str, n_lines: int) -> int:
    if n_lines * _LINE_BYTES > 2 * l1_bytes:
        return 0
    base = 1 << 20
    trace = np.empty(4 * n_lines + 1, dtype=np.uint64)
    sectors = np.uint64(base // SECTOR_BYTES) + np.arange(4 * n_lines, dtype=np.uint64)
    trace[0], trace[1:] = _BLOCK_MARK, sectors << np.uint64(TRACE_SECTOR_SHIFT)
    caches = CacheModel(gpu(name).replace(n_sms=1), 0, [(base, base + n_lines * _LINE_BYTES)])
    caches.feed([trace])
    cold = caches.traffic().l1_hits
    caches.feed([trace])
    return caches.traffic().l1_hits - cold
