"""Why GPU programs are fast or slow: real kernels, compiled, run, counted and explained on any Linux machine.

Importing this package does nothing: each name below loads its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.grading.checker import check
    from teachkit.hardware.describe import describe
    from teachkit.hardware.device import device
    from teachkit.measure.profiler import profile

__version__ = "0.1.0"

__all__ = ["check", "describe", "device", "profile"]

# name -> module that defines it; a name that is a module of its own (tk.emulator) maps to itself.
_HOME = {
    "check": "teachkit.grading.checker",
    "describe": "teachkit.hardware.describe",
    "device": "teachkit.hardware.device",
    "profile": "teachkit.measure.profiler",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'teachkit' has no attribute {name!r}; it has {', '.join(sorted(_HOME))}")
    module = import_module(home)
    value = module if home == f"teachkit.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
