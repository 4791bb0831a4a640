"""From the last element to the first: another map, as good."""

import torch

from teachkit import cuda


@cuda.jit
def double(x, y):
    i = x.size - 1 - cuda.grid(1)
    if i >= 0:
        y[i] = 2 * x[i]


def cover_once(x, threads_per_block):
    y = torch.empty_like(x)
    double[-(-x.numel() // threads_per_block), threads_per_block](x, y)
    return y
