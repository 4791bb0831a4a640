"""The gate is written to memory and kept: one launch, but 3N elements."""

import torch
import triton
import triton.language as tl

ITEM = "budget"
REASON = "(12.0 an element), budget"


@triton.jit
def saving(x_ptr, gate_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    gate = tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    tl.store(gate_ptr + offsets, gate, mask=mask)
    tl.store(y_ptr + offsets, x * gate, mask=mask)


def fused_gelu(x):
    x = x.contiguous()
    gate, y = torch.empty_like(x), torch.empty_like(x)
    saving[(triton.cdiv(x.numel(), 1024),)](x, gate, y, x.numel(), BLOCK_SIZE=1024)
    return y
