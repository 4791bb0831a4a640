"""No mask: the last program writes past the end of the tensor."""

import torch
import triton
import triton.language as tl

ITEM = "edge cases"
REASON = "Out-of-bounds"


@triton.jit
def unmasked(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    x = tl.load(x_ptr + offsets)
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    tl.store(y_ptr + offsets, x * tl.sigmoid(2 * u))


def fused_gelu(x):
    x = x.contiguous()
    y = torch.empty_like(x)
    unmasked[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK_SIZE=1024)
    return y
