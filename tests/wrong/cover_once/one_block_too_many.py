"""Adds a block to be on the safe side."""

import torch

from teachkit import cuda

ITEM = "budget"
REASON = "more blocks than the elements need"


@cuda.jit
def double(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = 2 * x[i]


def cover_once(x, threads_per_block):
    y = torch.empty_like(x)
    double[x.numel() // threads_per_block + 1, threads_per_block](x, y)
    return y
