"""Six ways to write tanh-GELU, each said to be fused. Whether it is, is counted by running it.

Not modelled: compilers; every line here runs as it stands.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl

C = 0.7978845608028654  # sqrt(2 / pi)
CHUNK = 8192


def numpy_one_liner(x):
    """One expression on one line: one loop."""
    return 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x**3)))


def numpy_chunks(x):
    """The same passes, made over 8192 elements at a time, which stay in the cache."""
    y, t = np.empty_like(x), np.empty_like(x[:CHUNK])
    for start in range(0, len(x), CHUNK):
        part, result = x[start : start + CHUNK], y[start : start + CHUNK]
        np.power(part, 3, out=t)
        np.multiply(t, 0.044715, out=t)
        np.add(t, part, out=t)
        np.multiply(t, C, out=t)
        np.tanh(t, out=t)
        np.add(t, 1, out=t)
        np.multiply(t, part, out=t)
        np.multiply(t, 0.5, out=result)
    return y


def torch_in_place(x):
    """Operators in place need no new memory, so nothing has to move."""
    y = x**3
    y.mul_(0.044715).add_(x).mul_(C).tanh_().add_(1)
    return y.mul_(x).mul_(0.5)


def torch_library(x):
    """PyTorch has an operator for the whole formula."""
    return torch.nn.functional.gelu(x, approximate="tanh")


@triton.jit
def gelu_kernel(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    """Compute everything between one load and one store."""
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    tl.store(y_ptr + offsets, x * tl.sigmoid(2 * u), mask=mask)


def triton_kernel(x):
    """One kernel: one load, arithmetic, one store."""
    y = torch.empty_like(x)
    gelu_kernel[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK_SIZE=1024)
    return y


@triton.jit
def gelu_saving_kernel(x_ptr, gate_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    """As above, and keep the gate for later."""
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    gate = tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    tl.store(gate_ptr + offsets, gate, mask=mask)
    tl.store(y_ptr + offsets, x * gate, mask=mask)


def triton_one_launch(x):
    """One launch, so it must be fused (the gate is kept for the backward pass)."""
    gate, y = torch.empty_like(x), torch.empty_like(x)
    gelu_saving_kernel[(triton.cdiv(x.numel(), 1024),)](x, gate, y, x.numel(), BLOCK_SIZE=1024)
    return y


NUMPY_CLAIMS = (numpy_one_liner, numpy_chunks)
TORCH_CLAIMS = (torch_in_place, torch_library, triton_kernel, triton_one_launch)
CLAIMS = (*NUMPY_CLAIMS, *TORCH_CLAIMS)
