"""Four programs that go on until everything is done, and load nothing that is dropped."""

import torch
import triton
import triton.language as tl


@triton.jit
def tail(x_ptr, bias_ptr, residual_ptr, y_ptr, n, n_cols, p, seed, BLOCK_SIZE: tl.constexpr, N_PROGRAMS: tl.constexpr):
    for start in range(tl.program_id(0) * BLOCK_SIZE, n, BLOCK_SIZE * N_PROGRAMS):
        offsets = start + tl.arange(0, BLOCK_SIZE)
        mask = offsets < n
        keep = mask & (tl.rand(seed, offsets) > p)
        value = tl.load(x_ptr + offsets, mask=keep, other=0.0)
        value += tl.load(bias_ptr + offsets % n_cols, mask=keep, other=0.0)
        tl.store(y_ptr + offsets, tl.load(residual_ptr + offsets, mask=mask) + value / (1 - p), mask=mask)


def fused_bias_dropout_residual(x, bias, residual, p, seed):
    y = torch.empty_like(x)
    tail[(4,)](x, bias, residual, y, x.numel(), x.shape[1], p, seed, BLOCK_SIZE=256, N_PROGRAMS=4)
    return y
