"""What a piece of code did: launches, bytes and FLOPs counted, and time where there is hardware to measure it on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.measure.profiler import profile
    from teachkit.measure.report import KernelReport, Profile
    from teachkit.measure.timer import Timing, time_function

__all__ = ["KernelReport", "Profile", "Timing", "profile", "time_function"]

_HOME = {
    "KernelReport": "report",
    "Profile": "report",
    "Timing": "timer",
    "profile": "profiler",
    "time_function": "timer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
