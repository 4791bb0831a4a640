"""Unmodified ``from numba import cuda`` programs on the emulator: the switch.

``tk.cuda.emulate()``, or the environment variable ``TEACHKIT_NUMBA=1`` for programs that do not know teachkit
(``TEACHKIT_NUMBA=lines`` for counters and faults by source line as well). The compiler stays Numba's own; the driver
below it is :mod:`teachkit.frontends.cuda_driver`.
Not modelled: what that driver does not model.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys

from teachkit.errors import MissingCompilerError
from teachkit.frontends.import_hook import after_import

has_lines = False
"""Whether kernels are compiled with source lines though their program does not say so."""


def emulate(*, lines: bool = False) -> None:
    """Run this process's Numba-CUDA kernels on the emulator from now on, whether it has a GPU or not.

    Kernels are compiled for the modelled GPU (``TEACHKIT_ARCH``), counted under :func:`teachkit.profile`, and checked
    for accesses out of bounds. Times between events are modelled, and a warning says so. PyTorch's CPU tensors may be
    arguments, also of ``cuda.as_cuda_array``, as its CUDA tensors are on a GPU.

    Parameters
    ----------
    lines : bool
        Compile with source lines, so that counters and faults name them, as ``cuda.jit(lineinfo=True)`` does for one
        kernel. Numba cannot link CUDA C++ to such kernels unless they say ``lto=False``.

    Raises
    ------
    DriverError
        Where the process has loaded NVIDIA's driver already.
    MissingCompilerError
        Where numba-cuda is not installed.

    Examples
    --------
    >>> from teachkit import cuda
    >>> cuda.emulate()  # doctest: +SKIP
    >>> from numba import cuda  # doctest: +SKIP
    """
    global has_lines
    has_lines |= lines
    _install()
    _adapt_when_imported()


def emulate_when_used() -> None:
    """The same as soon as ``numba.cuda`` is imported; until then nothing is loaded (``TEACHKIT_NUMBA=1``)."""
    global has_lines
    has_lines = os.environ.get("TEACHKIT_NUMBA") == "lines"
    _adapt_when_imported()
    after_import("numba.cuda.cudadrv", _install)


def _install() -> None:
    if importlib.util.find_spec("numba_cuda") is None:
        raise MissingCompilerError("Numba-CUDA", "Numba's own, older CUDA part does not do")
    from teachkit.frontends.cuda_driver import install

    install()


def _adapt_when_imported() -> None:
    for module in ("numba.cuda.cudadrv.driver", "numba.cuda.dispatcher", "numba.cuda.codegen", "numba.cuda.api"):
        after_import(module, functools.partial(_adapt, module))


def _adapt(module: str) -> None:
    from teachkit.frontends.numba_adapter import adapt

    adapt(sys.modules[module])
