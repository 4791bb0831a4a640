"""No mask: the last block reads and writes past the end."""

import torch
import triton
import triton.language as tl

ITEM = "edge cases"
REASON = "Out-of-bounds"


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK_SIZE: tl.constexpr):
    i = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    tl.store(out_ptr + i, tl.load(x_ptr + i) + tl.load(y_ptr + i))


def vector_add(x, y, block_size):
    out = torch.empty_like(x)
    add_kernel[(triton.cdiv(x.numel(), block_size),)](x, y, out, x.numel(), BLOCK_SIZE=block_size)
    return out
