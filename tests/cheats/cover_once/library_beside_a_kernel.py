"""A kernel that covers every element with nothing, and PyTorch for the result."""

import torch

from teachkit import cuda

ITEM = "budget"
REASON = "PyTorch operators launched: 1 (mul), budget 0"


@cuda.jit
def touch(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i]


def cover_once(x, threads_per_block):
    touch[-(-x.numel() // threads_per_block), threads_per_block](x, torch.empty_like(x))
    return 2 * x
