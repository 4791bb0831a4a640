"""Adds into its input, which belongs to somebody else."""

from teachkit import cuda

ITEM = "correct"
REASON = "changed its input x"


@cuda.jit
def add(x, y):
    i = cuda.grid(1)
    if i < x.size:
        x[i] += y[i]


def vector_add(x, y, block_size):
    add[-(-x.numel() // block_size), block_size](x, y)
    return x
