"""The residual is added by PyTorch: a second launch, and the dropped tensor goes through memory."""

import torch
import triton
import triton.language as tl

ITEM = "budget"
REASON = "PyTorch operators launched: 1 (add), budget 0"


@triton.jit
def bias_dropout(x_ptr, bias_ptr, y_ptr, n_elements, n_cols, p, seed, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    value = tl.load(x_ptr + offsets, mask=mask) + tl.load(bias_ptr + offsets % n_cols, mask=mask)
    keep = tl.rand(seed, offsets) > p
    tl.store(y_ptr + offsets, tl.where(keep, value / (1 - p), 0.0), mask=mask)


def fused_bias_dropout_residual(x, bias, residual, p, seed):
    y = torch.empty_like(x)
    n = x.numel()
    bias_dropout[(triton.cdiv(n, 512),)](x, bias, y, n, x.shape[1], p, seed, BLOCK_SIZE=512)
    return residual + y
