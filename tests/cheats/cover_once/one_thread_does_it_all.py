"""One thread does all the work."""

import torch

from teachkit import cuda

ITEM = "budget"
REASON = "one thread does the work of several"


@cuda.jit
def double(x, y):
    for i in range(x.size):
        y[i] = 2 * x[i]


def cover_once(x, threads_per_block):
    y = torch.empty_like(x)
    double[1, 1](x, y)
    return y
