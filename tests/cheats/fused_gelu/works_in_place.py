"""Writes into its input and returns it: no allocation, and the caller's data is gone."""

import torch
import triton
import triton.language as tl

ITEM = "correct"
REASON = "the call changed its input x"


@triton.jit
def gelu(x_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    tl.store(x_ptr + offsets, x * tl.sigmoid(2 * u), mask=mask)


def fused_gelu(x):
    gelu[(triton.cdiv(x.numel(), 1024),)](x, x.numel(), BLOCK_SIZE=1024)
    return torch.as_tensor(x)
