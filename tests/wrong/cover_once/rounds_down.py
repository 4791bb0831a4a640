"""Rounds the number of blocks down: the last elements have no thread."""

import torch

from teachkit import cuda

ITEM = "edge cases"
REASON = "elements are wrong"


@cuda.jit
def double(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = 2 * x[i]


def cover_once(x, threads_per_block):
    y = torch.empty_like(x)
    double[max(1, x.numel() // threads_per_block), threads_per_block](x, y)
    return y
