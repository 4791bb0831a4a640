"""The course's running example, tanh-GELU, as a ladder: eight eager operators, one library operator, one kernel.

``gelu(x) = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``
Not modelled: anything; the kernel is plain Triton and runs on a GPU or on the emulator.
Source: D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415, section 2.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

SQRT_2_OVER_PI = 0.7978845608028654
BLOCK_SIZE = 1024


def eager_gelu(x: torch.Tensor) -> torch.Tensor:
    """Compute the formula as it stands: 8 operators, each its own trip to memory and back.

    Parameters
    ----------
    x
        ``[...]``, floating point.

    Returns
    -------
    torch.Tensor
        As ``x``. 10 N elements are read and 8 N written.
    """
    return 0.5 * x * (1 + torch.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x**3)))


def library_gelu(x: torch.Tensor) -> torch.Tensor:
    """Call PyTorch's own operator for the whole formula: 1 launch, N elements read and N written."""
    return torch.nn.functional.gelu(x, approximate="tanh")


@triton.jit
def fused_gelu_kernel(x_ptr, out_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    """Do everything between one load and one store, in registers."""
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask).to(tl.float32)
    inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    # 0.5 (1 + tanh u) is the logistic function of 2 u, which needs no tanh instruction.
    out = x * tl.sigmoid(2.0 * inner)
    tl.store(out_ptr + offsets, out.to(out_ptr.dtype.element_ty), mask=mask)


def fused_gelu(x: torch.Tensor) -> torch.Tensor:
    """Compute the formula in one launch.

    Parameters
    ----------
    x
        ``[N]``, floating point, contiguous.

    Returns
    -------
    torch.Tensor
        As ``x``. N elements are read and N written.
    """
    out = torch.empty_like(x)
    n_elements = x.numel()
    fused_gelu_kernel[(triton.cdiv(n_elements, BLOCK_SIZE),)](x, out, n_elements, BLOCK_SIZE=BLOCK_SIZE)
    return out
