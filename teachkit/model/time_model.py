"""How long launches would take on a device of which we have a data sheet.

Modelled: for each launch its overhead plus the longest of its terms, as :mod:`teachkit.hardware.kernel_time` computes
them: DRAM traffic, latency by Little's law, the start of blocks, L2, passes through L1 and through shared memory, issue
slots, arithmetic of each precision, special functions, tensor cores. Launches run one after the other on one stream. A
processor has the roofline's terms only: memory and arithmetic.
Not modelled: what that module leaves out, several streams, copies over PCIe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from teachkit.emulator.counters import Counters
from teachkit.errors import PredictionError
from teachkit.hardware.cpu import CpuSpec, any_device
from teachkit.hardware.grid_shape import shape_of
from teachkit.hardware.kernel_time import (
    ASSUMED_BLOCK_TURNOVER_S,
    ASSUMED_BLOCKS_PER_CYCLE,
    ASSUMED_DRAM_LATENCY_S,
    ASSUMED_GRAPH_KERNEL_S,
    ASSUMED_L2_LATENCY_S,
    ASSUMED_SMALL_KERNEL_S,
    SFU_PER_CYCLE_PER_SM,
    CacheState,
    LaunchMode,
    kernel_costs,
)
from teachkit.hardware.memory_rates import ASSUMED_DRAM_FRACTION, mixed_dram_rate
from teachkit.hardware.spec import DEFAULT_GPU_NAME, GpuSpec
from teachkit.model.estimate import KernelEstimate, Term, TimeEstimate
from teachkit.model.subject import Launched, launches_of

ASSUMED_EAGER_HOST_S = 5e-6
"""Host time of one eager operator where nobody gives another; ``teachkit probe`` measures this machine's."""

# Low and high ends of the band: factors on the seconds of a term, by what its number is.
_BANDS = {
    "launch": (0.5, 2.0),  # half when replayed from a CUDA graph (RRZE, A100 and H200); twice when the host lags behind
    "measured rate": (0.85, 1.15),  # the model's bar on streaming kernels
    "assumed rate": (0.85, 1.25),  # devices with a measurement reach 0.70 to 0.90 of their data sheet, against 0.83
    "latency": (0.7, 1.5),
    "peak": (1.0, 1.7),  # nothing is faster than the data sheet's rate; well-tuned kernels reach 60 % of it and more
    "issue": (0.6, 1.7),  # PTX instructions, of which ptxas makes fewer or more
}
_HOST_BAND = (0.5, 2.0)


def predict(
    subject: Any,
    gpu: str | Path | GpuSpec | CpuSpec = DEFAULT_GPU_NAME,
    *,
    launch: LaunchMode = "queue",
    host_s: float | None = None,
    tensor: str = "fp16",
    l2: CacheState = "cold",
    footprint_bytes: float | None = None,
) -> TimeEstimate:
    """Model the time that launches would take on a device.

    Parameters
    ----------
    subject
        A profile, a report of one kernel, the counters of one launch, or a list of these.
    gpu
        Name, alias, data sheet or file of the GPU (or processor); ``spec.replace(...)`` gives a what-if device.
    launch
        ``"queue"``: the host is always ahead, launches stand in line. ``"eager"``: the host takes ``host_s`` for each
        operator, and the GPU waits for it. ``"compiled"``: like a queue, since one call launches everything.
        ``"graph"``: replayed from a CUDA graph, with its smaller overhead.
    host_s
        Seconds the host takes for one launch, with ``launch="eager"``; without it 5 us are assumed.
    tensor
        What the tensor cores work on, which counters do not tell: ``"fp16"``, ``"bf16"``, ``"tf32"``, ``"fp8"``, ...
    l2
        ``"cold"``: every launch finds L2 empty and leaves it written back, as the emulator counts. ``"warm"``: each
        launch ran before on the same memory and finds there what L2 still holds, as in a benchmark that repeats one
        kernel.
    footprint_bytes
        With ``l2="warm"``, the memory that is passed over from one run of a launch to its next; by default what the
        launch reads plus what it writes, which counts memory that it updates in place twice.

    Returns
    -------
    TimeEstimate
        Seconds with a band, every term of every launch, and what binds. It is modelled, never measured.

    Raises
    ------
    UnknownGpuError
        If the device has no data sheet.
    PredictionError
        If the subject has no counters, or another argument makes no sense.
    OccupancyError
        If a block does not fit on the GPU.

    Examples
    --------
    >>> counters = Counters(n_launches=1, dram_read_bytes=8_000_000, dram_write_bytes=4_000_000)
    >>> predict(counters, gpu="V100").binding
    'dram'
    """
    if host_s is not None and (launch != "eager" or not host_s >= 0):
        raise PredictionError(f'Expected host_s of 0 or more with launch="eager", got {host_s!r} with {launch!r}.')
    spec = any_device(gpu)
    if isinstance(spec, CpuSpec):
        return TimeEstimate(spec, tuple(_on_processor(launched, spec) for launched in launches_of(subject)), launch)
    launches = launches_of(subject)
    options: dict[str, Any] = {"launch": launch, "tensor": tensor, "l2": l2, "footprint_bytes": footprint_bytes}
    kernels = tuple(_estimate(launched, spec, options) for launched in launches)
    if launch == "eager":
        kernels = _behind_the_host(launches, kernels, host_s)
    return TimeEstimate(spec, kernels, launch, l2)


def achievable_dram_bytes_per_s(spec: GpuSpec | CpuSpec) -> tuple[float, bool, str]:
    """Return the DRAM bandwidth that a streaming kernel reaches, whether it was measured, and where it is from.

    Raises
    ------
    PredictionError
        If the sheet has no bandwidth at all.
    """
    if isinstance(spec, GpuSpec):
        return mixed_dram_rate(spec)
    if spec.dram_triad_bytes_per_s is not None:
        return spec.dram_triad_bytes_per_s, True, f"dram_triad_bytes_per_s: {spec.source('dram_triad_bytes_per_s')}"
    if spec.dram_bytes_per_s is None:
        raise PredictionError(f"Expected a data sheet with a DRAM bandwidth, got {spec.name} without one.")
    assumed = ASSUMED_DRAM_FRACTION * spec.dram_bytes_per_s
    return assumed, False, f"assumed: {ASSUMED_DRAM_FRACTION} of the data sheet, as on GPUs that were measured"


def _estimate(launched: Launched, spec: GpuSpec, options: dict[str, Any]) -> KernelEstimate:
    shape = shape_of(spec, launched.grid, launched.block, launched.n_registers, launched.shared_bytes)
    costs = kernel_costs(launched.counters, spec, shape, **options)
    terms = tuple(Term(cost.name, cost.seconds, *_BANDS[cost.kind], cost.note, cost.waits) for cost in costs)
    return KernelEstimate(launched.name, terms)


def _behind_the_host(
    launches: list[Launched], kernels: tuple[KernelEstimate, ...], host_s: float | None
) -> tuple[KernelEstimate, ...]:
    """Give every kernel the time that the GPU waits until the host has launched it.

    The overhead of a launch that the GPU waits for passes while it waits.
    """
    each = ASSUMED_EAGER_HOST_S if host_s is None else host_s
    band = _HOST_BAND if host_s is None else (0.8, 1.25)
    note = f"{each * 1e6:.3g} us an operator, {'assumed' if host_s is None else 'your number'}"
    host = device = 0.0
    found = []
    for launched, kernel in zip(launches, kernels, strict=True):
        n = max(launched.counters.n_launches, 1)
        host += n * each
        end = max(device + kernel.seconds, host + kernel.body_s / n)
        if end > device + kernel.seconds:
            gap = Term("host", end - device - kernel.seconds + kernel.launch_s, *band, note)
            others = (term for term in kernel.parts if term.name != "launch")
            kernel = KernelEstimate(kernel.name, (gap, *others))
        device = end
        found.append(kernel)
    return tuple(found)


def _on_processor(launched: Launched, spec: CpuSpec) -> KernelEstimate:
    """The roofline's terms: on a processor our counters say nothing of caches and instructions."""
    counters: Counters = launched.counters
    rate, is_measured, note = achievable_dram_bytes_per_s(spec)
    terms = [
        Term("dram", counters.dram_bytes / rate, *_BANDS["measured rate" if is_measured else "assumed rate"], note)
    ]
    if spec.dispatch_s is not None:
        n = max(counters.n_launches, 1)
        terms.append(Term("launch", n * spec.dispatch_s, *_HOST_BAND, f"dispatch_s: {spec.source('dispatch_s')}"))
    single = counters.flop_fp32 + counters.flop_fp16 + counters.flop_tensor
    for name, n_flop in (("fp64", counters.flop_fp64), ("fp32", single)):
        if (peak := getattr(spec, f"{name}_flop_per_s")) is not None:
            terms.append(Term(name, n_flop / peak, *_BANDS["peak"], spec.source(f"{name}_flop_per_s")))
    return KernelEstimate(launched.name, tuple(term for term in terms if term.seconds > 0))


__all__ = [
    "ASSUMED_BLOCKS_PER_CYCLE",
    "ASSUMED_BLOCK_TURNOVER_S",
    "ASSUMED_DRAM_FRACTION",
    "ASSUMED_DRAM_LATENCY_S",
    "ASSUMED_EAGER_HOST_S",
    "ASSUMED_GRAPH_KERNEL_S",
    "ASSUMED_L2_LATENCY_S",
    "ASSUMED_SMALL_KERNEL_S",
    "SFU_PER_CYCLE_PER_SM",
    "KernelEstimate",
    "Term",
    "TimeEstimate",
    "achievable_dram_bytes_per_s",
    "predict",
]
