"""Eight programs that go on until everything is done."""

import torch
import triton
import triton.language as tl


@triton.jit
def gelu(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr, N_PROGRAMS: tl.constexpr):
    for start in range(tl.program_id(0) * BLOCK_SIZE, n_elements, BLOCK_SIZE * N_PROGRAMS):
        offsets = start + tl.arange(0, BLOCK_SIZE)
        mask = offsets < n_elements
        x = tl.load(x_ptr + offsets, mask=mask)
        u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        tl.store(y_ptr + offsets, x / (1 + tl.exp(-2 * u)), mask=mask)


def fused_gelu(x):
    x = x.contiguous()
    y = torch.empty_like(x)
    gelu[(8,)](x, y, x.numel(), BLOCK_SIZE=512, N_PROGRAMS=8)
    return y
