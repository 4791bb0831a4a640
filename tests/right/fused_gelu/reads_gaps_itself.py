"""No copy of a view with gaps: the kernel knows the stride. Tanh by an exponential that cannot overflow."""

import torch
import triton
import triton.language as tl


@triton.jit
def gelu(x_ptr, y_ptr, n_elements, stride, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets * stride, mask=mask)
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    e = tl.exp(-2 * tl.abs(u))
    tanh = tl.where(u < 0, -1.0, 1.0) * (1 - e) / (1 + e)
    tl.store(y_ptr + offsets, 0.5 * x * (1 + tanh), mask=mask)


def fused_gelu(x):
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    stride = x.stride(0) if x.dim() == 1 else 1
    gelu[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), stride, BLOCK_SIZE=256)
    return y
