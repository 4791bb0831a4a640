"""How long one load takes when each load needs the one before it: the latency of L1, L2 and DRAM by buffer size.

Modelled: one warp that walks a buffer in random order, over and over; hits and misses come from the emulator's cache
model (sectored, set-associative, least recently used), times from the data sheet's measured latencies. Where L2 is two
halves, the near one keeps what it can of the other's lines; what it lost comes from the far one.
Not modelled: TLB misses, L1 that the driver keeps back for shared memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from teachkit.emulator.cache_model import CacheModel
from teachkit.emulator.engine.context import SECTOR_BYTES, TRACE_SECTOR_SHIFT
from teachkit.errors import PredictionError
from teachkit.hardware.kernel_time import ASSUMED_DRAM_LATENCY_S
from teachkit.hardware.memory_rates import missed_share
from teachkit.hardware.spec import GpuSpec

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
    if spec.l1_latency_cycles is None or spec.l2_latency_cycles is None:
        raise PredictionError(f"Expected a data sheet with the latencies of L1 and L2, got {spec.name} without them.")
    if step_bytes <= 0 or step_bytes % SECTOR_BYTES or buffer_bytes < step_bytes:
        raise PredictionError(
            f"Expected a buffer of one step or more, steps of a multiple of {SECTOR_BYTES} bytes, got {buffer_bytes} "
            f"bytes in steps of {step_bytes}."
        )
    l1, l2, dram = _shares(spec, buffer_bytes, step_bytes, seed)
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
    order = np.random.default_rng(seed).permutation(n).astype(np.uint64)
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
