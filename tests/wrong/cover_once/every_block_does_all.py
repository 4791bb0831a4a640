"""Every block walks over the whole vector: right, and done again by each block."""

import torch

from teachkit import cuda

ITEM = "budget"
REASON = "an element is touched more than once"


@cuda.jit
def double(x, y):
    for i in range(cuda.threadIdx.x, x.size, cuda.blockDim.x):
        y[i] = 2 * x[i]


def cover_once(x, threads_per_block):
    y = torch.empty_like(x)
    double[-(-x.numel() // threads_per_block), threads_per_block](x, y)
    return y
