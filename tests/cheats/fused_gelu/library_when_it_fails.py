"""A kernel that cannot compile, and a library path behind try and except."""

import torch
import triton
import triton.language as tl

ITEM = "budget"
REASON = "kernels launched: 0, budget 1"


@triton.jit
def broken(x_ptr, y_ptr, BLOCK_SIZE: tl.constexpr):
    tl.store(y_ptr, tl.does_not_exist(x_ptr))


def fused_gelu(x):
    try:
        y = torch.empty_like(x)
        broken[(1,)](x, y, BLOCK_SIZE=1)
        return y
    except Exception:
        return torch.nn.functional.gelu(x, approximate="tanh")
