"""Which GPU the compilers aim at where the machine has none.

Modelled: nothing; this is a choice. The architecture decides what code is generated, the data sheet that goes with it
decides limits (shared memory, registers) and the prices of autotuning.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable

from teachkit import hardware
from teachkit.errors import UnsupportedArchitecture
from teachkit.hardware import GpuSpec
from teachkit.hardware.spec import GPU_OF_ARCHITECTURE

DEFAULT_ARCHITECTURE = 80
"""Compute capability 8.0, without the dot: the A100."""

_VARIABLES = ("TEACHKIT_ARCH", "TRITON_OVERRIDE_ARCH")
_FORM = re.compile(r"(?:sm_?)?(\d+)a?")
_chosen: int | None = None
_ordinals: dict[int, int] = {}
_lock = threading.Lock()
_callbacks: list[Callable[[], None]] = []


def architecture() -> int:
    """Compute capability that kernels are compiled for, without the dot.

    The choice of :func:`set_architecture`, else the environment's ``TEACHKIT_ARCH`` (or Triton's
    ``TRITON_OVERRIDE_ARCH``), else 80.

    Raises
    ------
    UnsupportedArchitecture
        If the environment names an architecture without a data sheet.
    """
    if _chosen is not None:
        return _chosen
    for variable in _VARIABLES:
        if value := os.environ.get(variable):
            return checked_architecture(value, where=f"the environment variable {variable}")
    return DEFAULT_ARCHITECTURE


def set_architecture(value: int | str | None) -> None:
    """Compile for another architecture from now on.

    Parameters
    ----------
    value : int, str or None
        ``90``, ``"90"`` or ``"sm_90"``; ``None`` goes back to the environment's choice.

    Raises
    ------
    UnsupportedArchitecture
        If there is no data sheet for it.
    """
    global _chosen
    _chosen = None if value is None else checked_architecture(value, where="set_architecture()")
    for callback in _callbacks:
        callback()


def on_change(callback: Callable[[], None]) -> None:
    """Call ``callback`` after each :func:`set_architecture`, for those who cache by architecture."""
    _callbacks.append(callback)


def modelled_gpu(arch: int | None = None) -> GpuSpec:
    """Data sheet of the GPU that stands for ``arch`` (default: :func:`architecture`)."""
    return hardware.gpu(GPU_OF_ARCHITECTURE[architecture() if arch is None else arch])


def checked_architecture(value: int | str, *, where: str) -> int:
    """``value`` as a number such as 80, or :class:`UnsupportedArchitecture`, which names ``where`` it came from."""
    match = _FORM.fullmatch(str(value))
    arch = int(match.group(1)) if match else None
    if arch is None or arch not in GPU_OF_ARCHITECTURE:
        raise UnsupportedArchitecture(value, where=where, known=sorted(GPU_OF_ARCHITECTURE))
    return arch


def device_ordinal() -> int:
    """Number of the emulated device: each architecture is one, counted in the order of first use.

    Compilers cache by device, so that a change of architecture has to look like a change of device.
    """
    arch = architecture()
    with _lock:
        return _ordinals.setdefault(arch, len(_ordinals))


def architecture_of_device(ordinal: int) -> int:
    """Architecture of an emulated device (see :func:`device_ordinal`)."""
    with _lock:
        for arch, number in _ordinals.items():
            if number == ordinal:
                return arch
    return architecture()
