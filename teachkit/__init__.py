"""Why GPU programs are fast or slow: real kernels, compiled, run, counted and explained on any Linux machine.

Importing this package does nothing: each name below loads its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit import emulator
    from teachkit.frontends import numba_cuda as cuda
    from teachkit.frontends.cuda_c import compile_cuda_c
    from teachkit.frontends.torch_compile import compile
    from teachkit.grading.checker import check
    from teachkit.grading.progress import progress
    from teachkit.hardware.describe import describe
    from teachkit.hardware.device import device
    from teachkit.measure.eager_kernels import eager_kernels
    from teachkit.measure.profiler import profile
    from teachkit.model.time_model import predict
    from teachkit.viz.plot_roofline import plot_roofline as roofline

__version__ = "0.1.0"

__all__ = [
    "check",
    "compile",
    "compile_cuda_c",
    "cuda",
    "describe",
    "device",
    "eager_kernels",
    "emulator",
    "predict",
    "profile",
    "progress",
    "roofline",
]

# name -> "module:attribute", or "module" for a name that is a module itself.
_HOME = {
    "check": "teachkit.grading.checker:check",
    "compile": "teachkit.frontends.torch_compile:compile",
    "compile_cuda_c": "teachkit.frontends.cuda_c:compile_cuda_c",
    "cuda": "teachkit.frontends.numba_cuda",
    "describe": "teachkit.hardware.describe:describe",
    "device": "teachkit.hardware.device:device",
    "eager_kernels": "teachkit.measure.eager_kernels:eager_kernels",
    "emulator": "teachkit.emulator",
    "predict": "teachkit.model.time_model:predict",
    "progress": "teachkit.grading.progress:progress",
    "profile": "teachkit.measure.profiler:profile",
    "roofline": "teachkit.viz.plot_roofline:plot_roofline",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'teachkit' has no attribute {name!r}; it has {', '.join(sorted(_HOME))}")
    module, _, attribute = home.partition(":")
    value = getattr(import_module(module), attribute) if attribute else import_module(module)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
