"""Writes the mask as well, one float an element."""

import torch
import triton
import triton.language as tl

ITEM = "budget"
REASON = "DRAM bytes moved:"


@triton.jit
def tail(x_ptr, bias_ptr, residual_ptr, keep_ptr, y_ptr, n_elements, n_cols, p, seed, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    value = tl.load(x_ptr + offsets, mask=mask) + tl.load(bias_ptr + offsets % n_cols, mask=mask)
    keep = tl.rand(seed, offsets) > p
    tl.store(keep_ptr + offsets, keep.to(tl.float32), mask=mask)
    residual = tl.load(residual_ptr + offsets, mask=mask)
    tl.store(y_ptr + offsets, residual + tl.where(keep, value / (1 - p), 0.0), mask=mask)


def fused_bias_dropout_residual(x, bias, residual, p, seed):
    keep, y = torch.empty_like(x), torch.empty_like(x)
    n = x.numel()
    tail[(triton.cdiv(n, 512),)](x, bias, residual, keep, y, n, x.shape[1], p, seed, BLOCK_SIZE=512)
    return y
