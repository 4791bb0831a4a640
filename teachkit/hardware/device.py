"""Where tensors go: the CUDA device when there is one, else the CPU, where kernels run on the emulator."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def device() -> torch.device:
    """Return the device that a lesson puts its tensors on.

    Returns
    -------
    torch.device
        ``cuda`` when PyTorch can use a CUDA device, else ``cpu``, where Triton kernels run on the GPU emulator.
    """
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_cuda_driver() -> bool:
    """Say whether NVIDIA's driver library loads; without it no CUDA device can be used and torch need not be asked."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
