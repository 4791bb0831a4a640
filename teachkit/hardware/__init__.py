"""Facts about GPUs and processors (data sheets, occupancy rules) and about this machine."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.hardware.cpu import CpuSpec, any_device, cpu, cpu_names
    from teachkit.hardware.spec import DEFAULT_GPU_NAME, GpuSpec, gpu, gpu_names

__all__ = ["DEFAULT_GPU_NAME", "CpuSpec", "GpuSpec", "any_device", "cpu", "cpu_names", "gpu", "gpu_names"]

_HOME = {
    "CpuSpec": "cpu",
    "any_device": "cpu",
    "cpu": "cpu",
    "cpu_names": "cpu",
    "DEFAULT_GPU_NAME": "spec",
    "GpuSpec": "spec",
    "gpu": "spec",
    "gpu_names": "spec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
