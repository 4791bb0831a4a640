"""A clean first store of the result and a second one: the cache hides it from DRAM, the counted bytes do not."""

import torch
import triton
import triton.language as tl

ITEM = "budget"
REASON = "something is stored twice"


@triton.jit
def gelu_kernel(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    tl.store(y_ptr + offsets, x * tl.sigmoid(2 * u), mask=mask)
    tl.store(y_ptr + offsets, x * tl.sigmoid(2 * u), mask=mask)


def fused_gelu(x):
    x = x.contiguous()
    y = torch.empty_like(x)
    gelu_kernel[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK_SIZE=1024)
    return y
