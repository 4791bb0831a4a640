"""Half precision inside the kernel: fewer bits than the result has."""

import torch
import triton
import triton.language as tl

ITEM = "correct"
REASON = "elements are wrong; the first:"


@triton.jit
def half(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask).to(tl.float16).to(tl.float32)
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    tl.store(y_ptr + offsets, x * tl.sigmoid(2 * u), mask=mask)


def fused_gelu(x):
    x = x.contiguous()
    y = torch.empty_like(x)
    half[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK_SIZE=1024)
    return y
