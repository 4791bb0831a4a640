"""tanh-GELU, from eight eager operators to one kernel that moves 16 bytes at a time.

Not modelled: anything; PyTorch operators, Triton, and CUDA C++ (``cu/gelu.cu``).
Source: D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415, section 2.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from teachkit.kernels.rungs import Ladder, Rung, cuda_kernel, require_aligned, require_vector, seeded
from teachkit.kernels.tanh_gelu import eager_gelu, library_gelu

THREADS = 256
BLOCK_SIZE = 1024


def inputs(n: int, seed: int = 0, device: str | torch.device = "cpu") -> tuple[torch.Tensor]:
    """Return one vector ``[n]`` of float32 between about -16 and 16."""
    return (4 * torch.randn(n, generator=seeded(seed, device), device=device),)


@triton.jit
def inner_kernel(x_ptr, inner_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    """Compute the argument of the tanh and write it to memory."""
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    tl.store(inner_ptr + offsets, 0.7978845608028654 * (x + 0.044715 * x * x * x), mask=mask)


@triton.jit
def gate_kernel(x_ptr, inner_ptr, out_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    """Read input and argument again, and gate the one by the other."""
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    inner = tl.load(inner_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, x * tl.sigmoid(2.0 * inner), mask=mask)


def gelu_two_kernels(x: torch.Tensor) -> torch.Tensor:
    """Compute tanh-GELU of ``[N]`` float32 in two launches: 3 N elements read, 2 N written."""
    require_vector(x, "gelu_two_kernels", n_dims=1)
    inner, out = torch.empty_like(x), torch.empty_like(x)
    if grid := triton.cdiv(x.numel(), BLOCK_SIZE):
        inner_kernel[(grid,)](x, inner, x.numel(), BLOCK_SIZE=BLOCK_SIZE)
        gate_kernel[(grid,)](x, inner, out, x.numel(), BLOCK_SIZE=BLOCK_SIZE)
    return out


def gelu_fused(x: torch.Tensor) -> torch.Tensor:
    """Compute tanh-GELU of ``[N]`` float32 in one launch, an element a thread."""
    return _launch("gelu_fused", x, per_thread=1)


def gelu_vectorised(x: torch.Tensor) -> torch.Tensor:
    """Compute tanh-GELU of ``[N]`` float32 at a 16-byte address in one launch, four elements a thread."""
    require_aligned(x, "gelu_vectorised")
    return _launch("gelu_vectorised", x, per_thread=4)


def _launch(name: str, x: torch.Tensor, per_thread: int) -> torch.Tensor:
    require_vector(x, name, n_dims=1)
    y = torch.empty_like(x)
    if n_blocks := -(-x.numel() // (per_thread * THREADS)):
        cuda_kernel("gelu.cu", name)[n_blocks, THREADS](x, y, x.numel())
    return y


LADDER = Ladder(
    name="gelu",
    sentence="Apply tanh-GELU to a vector of float32.",
    rungs=(
        Rung(
            "eager",
            "Eight operators, each its own trip to memory and back: 18 elements moved for each one.",
            "PyTorch",
            eager_gelu,
            kernel=eager_gelu,
        ),
        Rung(
            "two kernels",
            "The argument of the tanh in one kernel, the rest in another: one intermediate is left.",
            "Triton",
            gelu_two_kernels,
            proof=("n_launches", "dram_bytes"),
            kernel=inner_kernel,
        ),
        Rung(
            "fused",
            "One kernel: an element is read once and written once, everything between stays in registers.",
            "CUDA C++",
            gelu_fused,
            proof=("n_launches", "dram_bytes"),
            kernel="gelu_fused",
            file_name="gelu.cu",
        ),
        Rung(
            "vectorised",
            "Four elements an instruction: a quarter of the requests for the same bytes.",
            "CUDA C++",
            gelu_vectorised,
            proof=("global_load_requests", "global_store_requests", "warp_instructions"),
            kernel="gelu_vectorised",
            file_name="gelu.cu",
        ),
    ),
    reference=library_gelu,
    inputs=inputs,
    sizes=((1,), (3,), (1023,), (1024,), (1025,), (10_007,)),
    rtol=1e-5,
    atol=1e-6,
    reason="1 + tanh u cancels for u near -3: its last bits, 2^-24, are multiplied by |x| of about 10",
)
