"""Tensors beyond 2 GB: offsets of more than 31 bits. Only the pages that a kernel touches are ever taken."""

import pytest
import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit.errors import KernelFault

N = 2**31 + 4096


@triton.jit
def mark(x_ptr, start, BLOCK_SIZE: tl.constexpr):
    offsets = start + tl.program_id(0).to(tl.int64) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    tl.store(x_ptr + offsets, (offsets % 100).to(tl.int8))


@pytest.fixture
def huge():
    return torch.empty(N, dtype=torch.int8)


def test_stores_beyond_two_gigabytes(huge):
    with tk.profile() as prof:
        mark[(4,)](huge, N - 4096, BLOCK_SIZE=1024)
    expected = (torch.arange(N - 4096, N) % 100).to(torch.int8)
    assert torch.equal(huge[-4096:], expected)
    assert prof.total.global_store_bytes == 4096
    assert prof.total.compulsory_write_bytes == 4096


def test_the_end_is_known_to_the_byte(huge):
    with pytest.raises(KernelFault, match=rf"element {N}\) of argument 'x_ptr'"):
        mark[(5,)](huge, N - 4096, BLOCK_SIZE=1024)
