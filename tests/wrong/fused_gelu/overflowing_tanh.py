"""tanh(u) = (e^2u - 1) / (e^2u + 1), which is inf / inf for large u."""

import torch
import triton
import triton.language as tl

ITEM = "correct"
REASON = "got nan"


@triton.jit
def overflowing(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    e = tl.exp(2 * 0.7978845608028654 * (x + 0.044715 * x * x * x))
    tl.store(y_ptr + offsets, 0.5 * x * (1 + (e - 1) / (e + 1)), mask=mask)


def fused_gelu(x):
    x = x.contiguous()
    y = torch.empty_like(x)
    overflowing[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK_SIZE=1024)
    return y
