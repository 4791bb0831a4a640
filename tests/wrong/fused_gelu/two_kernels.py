"""Two kernels, with an intermediate in memory between them."""

import torch
import triton
import triton.language as tl

ITEM = "budget"
REASON = "kernels launched: 2, budget 1"


@triton.jit
def inner_kernel(x_ptr, u_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    tl.store(u_ptr + offsets, 1.5957691216057308 * (x + 0.044715 * x * x * x), mask=mask)


@triton.jit
def outer_kernel(x_ptr, u_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    tl.store(u_ptr + offsets, x * tl.sigmoid(tl.load(u_ptr + offsets, mask=mask)), mask=mask)


def fused_gelu(x):
    x = x.contiguous()
    y = torch.empty_like(x)
    for kernel in (inner_kernel, outer_kernel):
        kernel[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK_SIZE=1024)
    return y
