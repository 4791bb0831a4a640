"""The random number belongs to the place in the block, so every block drops the same places."""

import torch
import triton
import triton.language as tl

ITEM = "correct"
REASON = "elements are wrong; the first:"


@triton.jit
def tail(x_ptr, bias_ptr, residual_ptr, y_ptr, n_elements, n_cols, p, seed, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    value = tl.load(x_ptr + offsets, mask=mask) + tl.load(bias_ptr + offsets % n_cols, mask=mask)
    keep = tl.rand(seed, tl.arange(0, BLOCK_SIZE)) > p
    residual = tl.load(residual_ptr + offsets, mask=mask)
    tl.store(y_ptr + offsets, residual + tl.where(keep, value / (1 - p), 0.0), mask=mask)


def fused_bias_dropout_residual(x, bias, residual, p, seed):
    y = torch.empty_like(x)
    n = x.numel()
    tail[(triton.cdiv(n, 512),)](x, bias, residual, y, n, x.shape[1], p, seed, BLOCK_SIZE=512)
    return y
