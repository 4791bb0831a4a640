"""The GPU emulator: PTX in, results and hardware-like counters out, on any CPU.

``load_ptx(text)["kernel"][grid, block](*args)`` runs a kernel on torch CPU tensors or NumPy arrays.
"""

from __future__ import annotations

from teachkit.emulator.checks import CheckReport, check
from teachkit.emulator.counters import Counters
from teachkit.emulator.kernel import Kernel, LoadedModule, Settings, configure, load_ptx
from teachkit.emulator.launches import Launch, Resources, observe
from teachkit.emulator.steps import Step, Trace
from teachkit.emulator.tracing import trace

__all__ = [
    "CheckReport",
    "Counters",
    "Kernel",
    "Launch",
    "LoadedModule",
    "Resources",
    "Settings",
    "Step",
    "Trace",
    "check",
    "configure",
    "load_ptx",
    "observe",
    "trace",
]
