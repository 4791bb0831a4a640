"""Rounds the grid down: what is left over after the last whole block is never written."""

import torch
import triton
import triton.language as tl

ITEM = "edge cases"
REASON = "got nan"


@triton.jit
def tail(x_ptr, bias_ptr, residual_ptr, y_ptr, n_elements, n_cols, p, seed, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    value = tl.load(x_ptr + offsets, mask=mask) + tl.load(bias_ptr + offsets % n_cols, mask=mask)
    keep = tl.rand(seed, offsets) > p
    residual = tl.load(residual_ptr + offsets, mask=mask)
    tl.store(y_ptr + offsets, residual + tl.where(keep, value / (1 - p), 0.0), mask=mask)


def fused_bias_dropout_residual(x, bias, residual, p, seed):
    y = torch.empty_like(x)
    n = x.numel()
    tail[(max(1, n // 512),)](x, bias, residual, y, n, x.shape[1], p, seed, BLOCK_SIZE=512)
    return y
