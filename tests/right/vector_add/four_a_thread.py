"""Numba, four neighbouring elements a thread."""

import torch

from teachkit import cuda


@cuda.jit
def add(x, y, out):
    first = 4 * cuda.grid(1)
    for i in range(first, min(first + 4, out.size)):
        out[i] = x[i] + y[i]


def vector_add(x, y, block_size):
    out = torch.empty_like(x)
    add[-(-x.numel() // block_size), block_size // 4](x, y, out)
    return out
