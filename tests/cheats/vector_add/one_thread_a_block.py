"""The right number of blocks, in each of which one thread does everything."""

import torch

from teachkit import cuda

ITEM = "budget"
REASON = "few threads do the work of many"


@cuda.jit
def add(x, y, out, block_size):
    for k in range(block_size):
        i = cuda.blockIdx.x * block_size + k
        if i < out.size:
            out[i] = x[i] + y[i]


def vector_add(x, y, block_size):
    out = torch.empty_like(x)
    add[-(-x.numel() // block_size), 1](x, y, out, block_size)
    return out
