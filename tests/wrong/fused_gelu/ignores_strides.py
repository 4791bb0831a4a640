"""Walks through a view with gaps as if it had none."""

import torch
import triton
import triton.language as tl

ITEM = "edge cases"
REASON = "input: every second element of a tensor"


@triton.jit
def flat(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    tl.store(y_ptr + offsets, x * tl.sigmoid(2 * u), mask=mask)


def fused_gelu(x):
    y = torch.empty_like(x)
    flat[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK_SIZE=1024)
    return y
