"""Takes the number of the thread in its block for the number of the element."""

import torch

from teachkit import cuda

ITEM = "correct"
REASON = "elements are wrong"


@cuda.jit
def double(x, y):
    i = cuda.threadIdx.x
    if i < x.size:
        y[i] = 2 * x[i]


def cover_once(x, threads_per_block):
    y = torch.empty_like(x)
    double[-(-x.numel() // threads_per_block), threads_per_block](x, y)
    return y
