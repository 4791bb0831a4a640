"""A kernel that moves the right bytes for nothing, and PyTorch for the result."""

import torch

from teachkit import cuda

ITEM = "budget"
REASON = "PyTorch operators launched: 1 (add), budget 0"


@cuda.jit
def touch(x, y, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = max(x[i], y[i])


def vector_add(x, y, block_size):
    touch[-(-x.numel() // block_size), block_size](x, y, torch.empty_like(x))
    return x + y
