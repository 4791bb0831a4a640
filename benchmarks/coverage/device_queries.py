"""Answers for programs that ask ``torch.cuda`` what the GPU is, where Triton's driver says that there is one.

The emulator runs kernels on CPU tensors and leaves ``torch.cuda`` as it is: PyTorch has no CUDA device here. Some
packages ask it for a name or a capability all the same, and pick block sizes by it. These stand-ins answer for the
modelled GPU; the kernels, and whatever launches them, stay as published.
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Iterator
from typing import Any


def answer_for_modelled_gpu() -> None:
    """Let ``torch.cuda`` answer questions about its device for the modelled GPU, until the process ends."""
    import torch

    from teachkit.frontends.target import architecture, modelled_gpu

    gpu = modelled_gpu()
    capability = divmod(architecture(), 10)
    properties = types.SimpleNamespace(
        name=f"NVIDIA {gpu.name}",
        major=capability[0],
        minor=capability[1],
        multi_processor_count=gpu.n_sms,
        warp_size=32,
        regs_per_multiprocessor=65_536,
        max_threads_per_multi_processor=2048,
        shared_memory_per_block_optin=gpu.shared_bytes_per_block_max,
        shared_memory_per_block=49_152,
        shared_memory_per_multiprocessor=gpu.shared_bytes_per_block_max + 1024,
        total_memory=40 * 2**30,
        L2_cache_size=40 * 2**20,
        gcnArchName="",
    )
    answers: dict[str, Any] = {
        "get_device_name": lambda device=None: properties.name,
        "get_device_capability": lambda device=None: capability,
        "get_device_properties": lambda device=None: properties,
        "current_device": lambda: 0,
        "device_count": lambda: 1,
        "synchronize": lambda device=None: None,
        "device": lambda device=None: contextlib.nullcontext(),
        "current_stream": lambda device=None: types.SimpleNamespace(cuda_stream=0),
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)


@contextlib.contextmanager
def tensors_claim_cuda() -> Iterator[None]:
    """Let ``tensor.is_cuda`` be true, for packages that insist on it."""
    import torch

    torch.Tensor.is_cuda = property(lambda tensor: True)
    try:
        yield
    finally:
        del torch.Tensor.is_cuda


def place_cuda_tensors_here() -> None:
    """Let ``device="cuda"`` mean the CPU from now on, for packages that name the device of tensors they make."""
    import torch

    def here(function: Any) -> Any:
        @functools.wraps(function)
        def make(*args: Any, **kwargs: Any) -> Any:
            if str(kwargs.get("device", "")).startswith("cuda"):
                kwargs["device"] = "cpu"
            return function(*args, **kwargs)

        return make

    for name in ("empty", "zeros", "ones", "full", "tensor", "arange"):
        setattr(torch, name, here(getattr(torch, name)))
