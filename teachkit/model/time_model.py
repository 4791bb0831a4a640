"""How long a launch would take on a GPU of which we have a data sheet.

Modelled: ``launch + max(term)`` for each launch, launches one after the other on one stream whose queue never runs
empty. The terms are DRAM traffic at the bandwidth that was measured for a triad (Little's law below it: a block cannot
end before one trip to DRAM), L2 and shared-memory traffic, and arithmetic at the data sheet's rates. Nothing is fitted.
Not modelled: integer and address arithmetic, instruction issue, divergence, loops of dependent loads, atomics on one
address, copies over PCIe, and a host that is too slow to keep the queue filled.
"""

from __future__ import annotations

import math
from typing import Any

from teachkit.emulator.counters import Counters
from teachkit.hardware.occupancy import occupancy
from teachkit.hardware.spec import DEFAULT_GPU_NAME, GpuSpec, gpu
from teachkit.model.estimate import KernelEstimate, Term, TimeEstimate
from teachkit.model.subject import Launched, launches_of

SECTOR_BYTES = 32

# Fractions and times for devices on which nobody measured them, from those on which somebody did. Each is the mean
# over the distinct measurements in teachkit/hardware/gpus; a test recomputes them.
ASSUMED_DRAM_FRACTION = 0.83
ASSUMED_DRAM_LATENCY_S = 370e-9
ASSUMED_BLOCK_TURNOVER_S = 260e-9
ASSUMED_SMALL_KERNEL_S = 2.6e-6

SFU_PER_CYCLE_PER_SM = 16
"""Source: CUDA C++ Programming Guide, table of results per clock cycle, 6.0 to 10.0: reciprocal, exp2, log2, sine."""

# Low and high ends of the band: factors on the seconds of a term.
_MEASURED = (0.85, 1.15)  # the model's bar on streaming kernels
_ASSUMED = (0.85, 1.25)  # devices with a measurement reach 0.70 to 0.90 of their data sheet, against 0.83
_LAUNCH = (0.5, 2.0)  # half when replayed from a CUDA graph (RRZE, A100 and H200); twice when the host lags behind
_LATENCY = (0.7, 1.5)
_PEAK = (1.0, 1.7)  # nothing is faster than the data sheet's rate; well-tuned kernels reach 60 % of it and more


def predict(subject: Any, gpu: str | GpuSpec = DEFAULT_GPU_NAME) -> TimeEstimate:
    """Model the time that launches would take on a GPU.

    Parameters
    ----------
    subject
        A profile, a report of one kernel, the counters of one launch, or a list of these.
    gpu
        Name, alias or data sheet of the GPU; ``spec.replace(...)`` gives a what-if device.

    Returns
    -------
    TimeEstimate
        Seconds with a band, every term of every launch, and what binds. It is modelled, never measured.

    Raises
    ------
    UnknownGpuError
        If the GPU has no data sheet.
    PredictionError
        If the subject has no counters.
    OccupancyError
        If a block does not fit on the GPU.

    Examples
    --------
    >>> counters = Counters(n_launches=1, dram_read_bytes=8_000_000, dram_write_bytes=4_000_000)
    >>> predict(counters, gpu="V100").binding
    'dram'
    """
    spec = _sheet(gpu)
    return TimeEstimate(spec, tuple(_estimate(launched, spec) for launched in launches_of(subject)))


def _sheet(name: str | GpuSpec) -> GpuSpec:
    return gpu(name)


def achievable_dram_bytes_per_s(spec: GpuSpec) -> tuple[float, bool, str]:
    """Return the DRAM bandwidth that a streaming kernel reaches, whether it was measured, and where it is from."""
    for field in ("dram_triad_bytes_per_s", "dram_copy_bytes_per_s"):
        if (measured := getattr(spec, field)) is not None:
            return measured, True, f"{field}: {spec.sources.get(field, 'given')}"
    assumed = ASSUMED_DRAM_FRACTION * spec.dram_bytes_per_s
    return assumed, False, f"assumed: {ASSUMED_DRAM_FRACTION} of the data sheet, as on devices that were measured"


def _estimate(launched: Launched, spec: GpuSpec) -> KernelEstimate:
    counters, n = launched.counters, max(launched.counters.n_launches, 1)
    waves, sm_share, note = _waves(launched, spec)
    terms = [
        _launch_term(spec, n),
        _dram_term(counters, spec),
        _latency_term(counters, spec, waves, n, note),
        *_cache_terms(counters, spec, sm_share),
        *_arithmetic_terms(counters, spec, sm_share),
    ]
    return KernelEstimate(launched.name, tuple(term for term in terms if term.seconds > 0))


def _waves(launched: Launched, spec: GpuSpec) -> tuple[float, float, str]:
    """Rounds in which the grid passes through the GPU, and the share of SMs that have work."""
    if launched.grid is None or launched.block is None:
        return 1.0, 1.0, "one wave: the grid is not known"
    n_blocks, n_threads = math.prod(launched.grid), math.prod(launched.block)
    fits = occupancy(spec, n_threads, launched.n_registers or 0, launched.shared_bytes)
    note = f"{fits.n_blocks_per_sm} blocks on an SM, limited by {fits.limiter}"
    if launched.n_registers is None:
        note += "; registers not known"
    sm_share = n_blocks / (spec.n_sms * math.ceil(n_blocks / spec.n_sms)) if n_blocks else 1.0
    return max(n_blocks / (spec.n_sms * fits.n_blocks_per_sm), 1.0), sm_share, note


def _launch_term(spec: GpuSpec, n: int) -> Term:
    small, latency, turnover = spec.small_kernel_s, spec.dram_latency_s, spec.block_turnover_s
    one_wave = (latency or ASSUMED_DRAM_LATENCY_S) + (turnover or ASSUMED_BLOCK_TURNOVER_S)
    seconds = max((small or ASSUMED_SMALL_KERNEL_S) - one_wave, 0.0)
    source = spec.sources.get("small_kernel_s", "assumed: mean of the devices that were measured")
    return Term("launch", n * seconds, *_LAUNCH, f"small kernels queued one after the other, less one wave ({source})")


def _dram_term(counters: Counters, spec: GpuSpec) -> Term:
    rate, is_measured, source = achievable_dram_bytes_per_s(spec)
    return Term("dram", counters.dram_bytes / rate, *(_MEASURED if is_measured else _ASSUMED), source)


def _latency_term(counters: Counters, spec: GpuSpec, waves: float, n: int, note: str) -> Term:
    if not counters.dram_bytes:
        return Term("latency", 0.0, *_LATENCY, note)
    seconds = spec.block_turnover_s or ASSUMED_BLOCK_TURNOVER_S
    if counters.dram_read_bytes:
        seconds += spec.dram_latency_s or ASSUMED_DRAM_LATENCY_S
    return Term("latency", waves * n * seconds, *_LATENCY, f"{waves:.3g} waves of blocks; {note}")


def _cache_terms(counters: Counters, spec: GpuSpec, sm_share: float) -> list[Term]:
    terms = []
    n_sectors = counters.l2_lookups or counters.global_load_sectors + counters.global_store_sectors
    if spec.l2_bytes_per_s is not None:
        seconds = SECTOR_BYTES * n_sectors / spec.l2_bytes_per_s
        terms.append(Term("l2", seconds, *_MEASURED, spec.sources.get("l2_bytes_per_s", "given")))
    n_wavefronts = counters.shared_load_wavefronts + counters.shared_store_wavefronts
    seconds = n_wavefronts / (spec.n_sms * spec.clock_hz * sm_share)
    terms.append(Term("shared", seconds, *_MEASURED, "one wavefront a cycle and SM"))
    return terms


def _arithmetic_terms(counters: Counters, spec: GpuSpec, sm_share: float) -> list[Term]:
    rates = {
        "fp64": (counters.flop_fp64, ("fp64_flop_per_s",)),
        "fp32": (counters.flop_fp32, ("fp32_flop_per_s",)),
        "fp16": (counters.flop_fp16, ("fp16_flop_per_s", "fp32_flop_per_s")),
        "tensor": (counters.flop_tensor, ("tensor_fp16_flop_per_s", "fp16_flop_per_s", "fp32_flop_per_s")),
    }
    terms = []
    for name, (n_flop, fields) in rates.items():
        field = next((field for field in fields if getattr(spec, field) is not None), None)
        if field is not None:
            seconds = n_flop / (getattr(spec, field) * sm_share)
            terms.append(Term(name, seconds, *_PEAK, f"{field}: {spec.sources.get(field, 'given')}"))
    seconds = counters.sfu_ops / (SFU_PER_CYCLE_PER_SM * spec.n_sms * spec.clock_hz * sm_share)
    terms.append(Term("sfu", seconds, *_PEAK, f"{SFU_PER_CYCLE_PER_SM} a cycle and SM"))
    return terms


__all__ = ["KernelEstimate", "Term", "TimeEstimate", "achievable_dram_bytes_per_s", "predict"]
