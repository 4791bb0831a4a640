"""Measurements of this machine: caches, memory, arithmetic and what a launch costs, kept on disk with their date."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.hardware.probes.record import MachineProbe, Reading
    from teachkit.hardware.probes.session import probe

__all__ = ["MachineProbe", "Reading", "probe"]

_HOME = {"MachineProbe": "record", "Reading": "record", "probe": "session"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
