"""What counts mean in seconds on a given GPU, and which operators may share a kernel."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.model.estimate import TimeEstimate
    from teachkit.model.time_model import predict

__all__ = ["TimeEstimate", "predict"]

_HOME = {"TimeEstimate": "estimate", "predict": "time_model"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
