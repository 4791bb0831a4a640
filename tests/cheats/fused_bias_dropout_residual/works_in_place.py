"""Writes over the residual and returns it: no allocation, and the caller's data is gone."""

import triton
import triton.language as tl

ITEM = "correct"
REASON = "the call changed its input residual"


@triton.jit
def tail(x_ptr, bias_ptr, residual_ptr, n_elements, n_cols, p, seed, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    value = tl.load(x_ptr + offsets, mask=mask) + tl.load(bias_ptr + offsets % n_cols, mask=mask)
    residual = tl.load(residual_ptr + offsets, mask=mask)
    kept = tl.where(tl.rand(seed, offsets) > p, value / (1 - p), 0.0)
    tl.store(residual_ptr + offsets, residual + kept, mask=mask)


def fused_bias_dropout_residual(x, bias, residual, p, seed):
    n = x.numel()
    tail[(triton.cdiv(n, 512),)](x, bias, residual, n, x.shape[1], p, seed, BLOCK_SIZE=512)
    return residual
