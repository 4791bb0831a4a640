"""Vector addition: the smallest kernel that has everything, a grid, a mask, two loads and a store.

Not modelled: anything; this is plain Triton and runs on a GPU or on the emulator.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK_SIZE = 1024


@triton.jit
def vector_add_kernel(x_ptr, y_ptr, out_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    """Add one block of ``BLOCK_SIZE`` elements; the mask keeps the last block inside the tensors."""
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    y = tl.load(y_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, x + y, mask=mask)


def vector_add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Add two vectors in one launch.

    Parameters
    ----------
    x, y
        ``[N]``, floating point, contiguous, on one device. Read once each.

    Returns
    -------
    torch.Tensor
        ``[N]``, as ``x``. Written once: with float32, ``12 N`` bytes move in all.
    """
    out = torch.empty_like(x)
    n_elements = x.numel()
    vector_add_kernel[(triton.cdiv(n_elements, BLOCK_SIZE),)](x, y, out, n_elements, BLOCK_SIZE=BLOCK_SIZE)
    return out
