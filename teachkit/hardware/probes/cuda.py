"""Probes of a CUDA device: what the driver says, and bandwidth, matrix products and launches timed with events.

The latencies of its caches and of its memory are in ``chase``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from teachkit.hardware.device import has_cuda_driver
from teachkit.hardware.probes import chase
from teachkit.hardware.probes.record import Reading

_ARRAY_BYTES = 256 << 20
_SMALL = 4096
_N_SMALL = 1000


def device_name() -> str | None:
    """Name of the first CUDA device, or ``None``; PyTorch is asked only where there is a driver."""
    if not has_cuda_driver():
        return None
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None


def from_driver() -> dict[str, Reading]:
    """Number of SMs, L2 size and highest clock of the first device."""
    import torch

    properties: Any = torch.cuda.get_device_properties(0)
    found = {
        "gpu_sms": Reading(properties.multi_processor_count, "", "the driver"),
        "gpu_l2_bytes": Reading(properties.L2_cache_size, "bytes", "the driver"),
    }
    if (clock_hz := _clock_hz()) is not None:
        found["gpu_clock_hz"] = Reading(clock_hz, "Hz", "the driver, through NVML")
    return found


def _clock_hz() -> float | None:
    try:
        pynvml = import_module("pynvml")  # of the extra gpu
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        return 1e6 * float(pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM))
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def latency(level: str) -> Reading:
    """Latency of ``"l1"``, ``"l2"`` or ``"dram"``: a pointer chase over a buffer that lies in this level."""
    import torch

    properties: Any = torch.cuda.get_device_properties(0)
    return chase.measure(chase_bytes(level, int(properties.L2_cache_size)))


def chase_bytes(level: str, l2_bytes: int) -> int:
    """Size of a buffer of one level: 16 KiB are in any L1; a quarter of L2, but 1 MiB at least, are in no L1."""
    return {"l1": 16 << 10, "l2": max(l2_bytes // 4, 1 << 20), "dram": 4 * l2_bytes}[level]


def triad(array_bytes: int = _ARRAY_BYTES, device: str = "cuda") -> Reading:
    """Bandwidth of ``a = b + s * c`` in float64."""
    import torch

    n = array_bytes // 8
    a, b, c = (torch.full((n,), float(i), dtype=torch.float64, device=device) for i in range(3))
    seconds = _event_seconds(lambda: torch.add(b, c, alpha=3.0, out=a))
    how = f"triad of float64, 3 arrays of {array_bytes >> 20} MiB, events"
    return Reading(3 * 8 * n / min(seconds), "B/s", how, 1 - min(seconds) / max(seconds))


def matmul(dtype: str, size: int = 4096, device: str = "cuda") -> Reading:
    """Rate of a square matrix product of ``dtype``, in PyTorch's default precision for it."""
    import torch

    a = torch.ones((size, size), dtype=getattr(torch, dtype), device=device)
    out = torch.empty_like(a)
    seconds = _event_seconds(lambda: torch.mm(a, a, out=out))
    how = f"torch.mm of {dtype}, {size} x {size}, events"
    return Reading(2 * size**3 / min(seconds), "FLOP/s", how, 1 - min(seconds) / max(seconds))


def small_kernels(*, in_graph: bool, device: str = "cuda") -> Reading:
    """Time of one kernel on 4,096 floats among many, in a queue or replayed from a CUDA graph."""
    import torch

    a = torch.zeros(_SMALL, device=device)

    def many() -> None:
        for _ in range(_N_SMALL):
            a.mul_(1.5)

    call: Callable[[], object] = many
    if in_graph:
        many()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            many()
        call = graph.replay
    seconds = _event_seconds(call)
    where = "replayed from a CUDA graph" if in_graph else "launched by eager PyTorch"
    how = f"{_N_SMALL} multiplications of {_SMALL} floats {where}, events"
    return Reading(min(seconds) / _N_SMALL, "s", how, 1 - min(seconds) / max(seconds))


def _event_seconds(call: Callable[[], object], n: int = 7) -> list[float]:
    import torch

    call()
    torch.cuda.synchronize()
    times = []
    for _ in range(n):
        event: Any = torch.cuda.Event
        start, end = event(enable_timing=True), event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e-3)
    return times
