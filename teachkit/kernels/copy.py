"""Copying a vector, from one chunk a thread to several vectors in flight.

Not modelled: anything; the kernels are CUDA C++ (``cu/copy.cu``) and run on a GPU or on the emulator.
"""

from __future__ import annotations

import torch

from teachkit.kernels.rungs import Ladder, Rung, cuda_kernel, require_aligned, require_vector, seeded

THREADS = 256
CHUNK = 32  # elements a thread of the naive kernel copies


def inputs(n: int, seed: int = 0, device: str | torch.device = "cpu") -> tuple[torch.Tensor]:
    """Return one vector ``[n]`` of float32."""
    return (torch.randn(n, generator=seeded(seed, device), device=device),)


def copy_chunks(x: torch.Tensor) -> torch.Tensor:
    """Copy ``[N]`` float32, a chunk of 32 elements a thread: ``8 N`` bytes."""
    return _launch("copy_chunks", x, per_thread=CHUNK, extra=(CHUNK,))


def copy_coalesced(x: torch.Tensor) -> torch.Tensor:
    """Copy ``[N]`` float32, an element a thread."""
    return _launch("copy_coalesced", x, per_thread=1)


def copy_vectorised(x: torch.Tensor) -> torch.Tensor:
    """Copy ``[N]`` float32 at a 16-byte address, four elements a thread."""
    require_aligned(x, "copy_vectorised")
    return _launch("copy_vectorised", x, per_thread=4)


def copy_in_flight(x: torch.Tensor) -> torch.Tensor:
    """Copy ``[N]`` float32 at a 16-byte address, four vectors of four elements a thread."""
    require_aligned(x, "copy_in_flight")
    return _launch("copy_in_flight", x, per_thread=16)


def _launch(name: str, x: torch.Tensor, per_thread: int, extra: tuple[int, ...] = ()) -> torch.Tensor:
    require_vector(x, name, n_dims=1)
    y = torch.empty_like(x)
    n_blocks = -(-x.numel() // (per_thread * THREADS))
    if n_blocks:
        cuda_kernel("copy.cu", name)[n_blocks, THREADS](x, y, x.numel(), *extra)
    return y


LADDER = Ladder(
    name="copy",
    sentence="Copy a vector of float32.",
    rungs=(
        Rung(
            "chunks",
            "Each thread copies 32 neighbouring elements, so that the lanes of a warp are 128 bytes apart: "
            "32 sectors a request.",
            "CUDA C++",
            copy_chunks,
            kernel="copy_chunks",
            file_name="copy.cu",
        ),
        Rung(
            "coalesced",
            "Neighbouring lanes copy neighbouring elements: a request touches 4 sectors instead of 32.",
            "CUDA C++",
            copy_coalesced,
            proof=("global_load_sectors", "global_store_sectors"),
            kernel="copy_coalesced",
            file_name="copy.cu",
        ),
        Rung(
            "vectorised",
            "A thread moves 16 bytes with one instruction: a quarter of the requests for the same sectors.",
            "CUDA C++",
            copy_vectorised,
            proof=("global_load_requests", "global_store_requests", "warp_instructions"),
            kernel="copy_vectorised",
            file_name="copy.cu",
        ),
        Rung(
            "in flight",
            "A thread has four vectors under way at once, and works out its addresses once for all four.",
            "CUDA C++",
            copy_in_flight,
            proof=("warp_instructions",),
            kernel="copy_in_flight",
            file_name="copy.cu",
        ),
    ),
    reference=torch.clone,
    inputs=inputs,
    sizes=((0,), (1,), (3,), (1023,), (1024,), (4099,), (10_007,)),
)
