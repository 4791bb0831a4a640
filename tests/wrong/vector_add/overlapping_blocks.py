"""Each block does the elements of the next one too."""

import torch

from teachkit import cuda

ITEM = "budget"
REASON = "an element is touched more than once"


@cuda.jit
def add(x, y, out):
    for k in range(2):
        i = cuda.grid(1) + k * cuda.blockDim.x
        if i < out.size:
            out[i] = x[i] + y[i]


def vector_add(x, y, block_size):
    out = torch.empty_like(x)
    add[-(-x.numel() // block_size), block_size](x, y, out)
    return out
