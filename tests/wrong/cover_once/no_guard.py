"""No guard: the spare threads of the last block write past the end."""

import torch

from teachkit import cuda

ITEM = "edge cases"
REASON = "Out-of-bounds"


@cuda.jit
def double(x, y):
    i = cuda.grid(1)
    y[i] = 2 * x[i]


def cover_once(x, threads_per_block):
    y = torch.empty_like(x)
    double[-(-x.numel() // threads_per_block), threads_per_block](x, y)
    return y
