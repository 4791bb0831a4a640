"""How long one load takes when each load needs the one before it: the latency of L1, L2 and DRAM by buffer size.

Modelled: one warp that walks a buffer in random order, over and over; hits and misses come from the emulator's cache
model (sectored, set-associative, least recently used), times from the data sheet's measured latencies. Where L2 is two
halves, the near one keeps what it can of the other's lines; what it lost comes from the far one.
Not modelled: TLB misses, L1 that the driver keeps back for shared memory.
"""

from __future__ import annotations

import datetime as dt
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from teachkit.emulator.cache_model import CacheModel
from teachkit.emulator.engine.context import SECTOR_BYTES, TRACE_SECTOR_SHIFT
from teachkit.emulator.kernel import load_ptx
from teachkit.errors import PredictionError
from teachkit.hardware.kernel_time import ASSUMED_DRAM_LATENCY_S
from teachkit.hardware.memory_rates import missed_share
from teachkit.hardware.probes import chase
from teachkit.hardware.probes.cuda import chase_bytes
from teachkit.hardware.probes.record import MachineProbe, Reading
from teachkit.hardware.spec import GpuSpec
from teachkit.hardware.spec import gpu as data_sheet
from teachkit.measure.profiler import profile

_BLOCK_MARK = np.uint64(1 << 63)
_MISSES_EVERYTHING = 2  # a buffer of so many times L2 has no hit left: the least recently used is the next one needed


def chase_latency_s(spec: GpuSpec, buffer_bytes: int, step_bytes: int = 64, seed: int = 0) -> float:
    """Return the mean time of one load of a pointer chase, seconds.

    Parameters
    ----------
    spec
        A GPU whose sheet has the latencies of L1 and L2.
    buffer_bytes
        Size of the buffer.
    step_bytes
        Distance between the places that hold a pointer, a multiple of 32.
    seed
        Of the random order.

    Raises
    ------
    PredictionError
        If the sheet lacks a latency, or the buffer holds no pointer.

    Source
    ------
    Saavedra-Barrera, "CPU Performance Evaluation and Execution Time Prediction Using Narrow Spectrum Benchmarking",
    1992: the access pattern.
    """
    _require_latencies(spec)
    if step_bytes <= 0 or step_bytes % SECTOR_BYTES or buffer_bytes < step_bytes:
        raise PredictionError(
            f"Expected a buffer of one step or more, steps of a multiple of {SECTOR_BYTES} bytes, got {buffer_bytes} "
            f"bytes in steps of {step_bytes}."
        )
    return _seconds(spec, buffer_bytes, *_shares(spec, buffer_bytes, step_bytes, seed))


def emulated_probe(gpu: str | GpuSpec) -> MachineProbe:
    """Return what the latency probe of a GPU would read: its kernel runs on the emulator, its time is modelled.

    The same kernel and the same buffers are measured on a CUDA device (:mod:`teachkit.hardware.probes.chase`); hits and
    misses are counted here by the emulator's cache model of ``gpu``, and a data sheet's latencies price them.

    Raises
    ------
    PredictionError
        If the sheet lacks the latency of L1 or of L2.
    UnknownGpuError
        If there is no such data sheet.
    """
    spec = data_sheet(gpu)
    readings = {}
    for level in ("l1", "l2", "dram"):
        n_bytes = chase_bytes(level, spec.l2_bytes)
        size = f"{n_bytes / 2**20:.3g} MiB"
        how = f"pointer chase by one thread over {size}, hits counted on the emulator, times of the data sheet"
        readings[f"gpu_{level}_latency_s"] = Reading(emulated_chase_s(spec, n_bytes), "s", how)
    date = dt.datetime.now().astimezone().isoformat(timespec="seconds")
    return MachineProbe(spec.name, date, 0, MappingProxyType(readings), "modelled")


def emulated_chase_s(spec: GpuSpec, buffer_bytes: int) -> float:
    """Return the modelled time of one load of the probe's kernel, from what the emulator counts when it runs it."""
    _require_latencies(spec)
    words = np.empty(buffer_bytes // 8, dtype=np.uint64)
    words[:] = chase.ring(words.ctypes.data, buffer_bytes)
    out = np.zeros(1, dtype=np.uint64)
    kernel = load_ptx(chase.ptx())[chase.KERNEL]
    n = chase.n_loads_for(buffer_bytes, at_least=8)
    # As where it is timed: one pass fills the caches, and what a run twice as long does more is one warm pass.
    with profile(operators=False, gpu=spec.name) as prof:
        for factor in (1, 2):
            kernel[1, 1](words, out, factor * n)
    first, both = (report.counters for report in prof.kernels)
    hits = [
        round((getattr(c, f"{level}_hit_rate") or 0.0) * getattr(c, f"{level}_lookups"))
        for level in ("l1", "l2")
        for c in (first, both)
    ]
    n_warm = both.l1_lookups - first.l1_lookups
    l1 = (hits[1] - hits[0]) / n_warm
    stored = both.global_store_sectors - first.global_store_sectors
    l2 = (hits[3] - hits[2] - stored) / n_warm
    return _seconds(spec, buffer_bytes, l1, l2, 1.0 - l1 - l2)


def _require_latencies(spec: GpuSpec) -> None:
    if spec.l1_latency_cycles is None or spec.l2_latency_cycles is None:
        raise PredictionError(f"Expected a data sheet with the latencies of L1 and L2, got {spec.name} without them.")


def _seconds(spec: GpuSpec, buffer_bytes: int, l1: float, l2: float, dram: float) -> float:
    """Mean time of a load, of which such parts are answered by L1, L2 and DRAM."""
    assert spec.l1_latency_cycles is not None
    assert spec.l2_latency_cycles is not None
    near = far = spec.l2_latency_cycles
    if spec.l2_far_latency_cycles is not None:
        far = spec.l2_far_latency_cycles
    from_far = missed_share(spec.l2_bytes / 2, buffer_bytes)
    cycles = l1 * spec.l1_latency_cycles + l2 * (near + from_far * (far - near))
    return cycles / spec.clock_hz + dram * (spec.dram_latency_s or ASSUMED_DRAM_LATENCY_S)


def _shares(spec: GpuSpec, buffer_bytes: int, step_bytes: int, seed: int) -> tuple[float, float, float]:
    """Parts of the loads, 0 to 1, that L1, L2 and DRAM answer once the caches are warm."""
    if buffer_bytes >= _MISSES_EVERYTHING * spec.l2_bytes:
        return 0.0, 0.0, 1.0
    n = buffer_bytes // step_bytes
    order = chase.order(n, seed).astype(np.uint64)
    base = 1 << 20
    sectors = np.uint64(base // SECTOR_BYTES) + order * np.uint64(step_bytes // SECTOR_BYTES)
    trace: npt.NDArray[np.uint64] = np.empty(n + 1, dtype=np.uint64)
    trace[0], trace[1:] = _BLOCK_MARK, sectors << np.uint64(TRACE_SECTOR_SHIFT)
    caches = CacheModel(spec.replace(n_sms=1), 0, [(base, base + buffer_bytes)])
    caches.feed([trace])
    cold = caches.traffic()
    caches.feed([trace])
    warm = caches.traffic()
    l1 = (warm.l1_hits - cold.l1_hits) / n
    l2 = (warm.l2_hits - cold.l2_hits) / n
    return l1, l2, 1.0 - l1 - l2
