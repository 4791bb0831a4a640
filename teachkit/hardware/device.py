"""Where tensors go: the CUDA device when there is one, else the CPU, where kernels run on the emulator."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


SWITCH = "TEACHKIT_EMULATE"
"""Environment variable: ``1`` emulates although there is a CUDA device."""


def device() -> torch.device:
    """Return the device that a lesson puts its tensors on.

    Returns
    -------
    torch.device
        ``cuda`` when PyTorch can use a CUDA device, else ``cpu``, where Triton kernels run on the GPU emulator; always
        ``cpu`` with ``TEACHKIT_EMULATE=1`` in the environment.
    """
    import torch

    return torch.device("cuda" if uses_cuda() else "cpu")


def uses_cuda() -> bool:
    """Say whether kernels go to a CUDA device: PyTorch can use one, and nobody has asked for the emulator."""
    import torch

    return os.environ.get(SWITCH) != "1" and torch.cuda.is_available()


def has_cuda_driver() -> bool:
    """Say whether NVIDIA's driver library loads; without it no CUDA device can be used and torch need not be asked."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
