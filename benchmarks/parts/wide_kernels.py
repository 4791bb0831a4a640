"""A kernel of very many blocks: the sine of a wide tile, a branch and a loop for every element of a thread."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

WIDTH = 4096  # 32 elements of each of 128 threads


@triton.jit
def sine_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = places < n
    tl.store(out_ptr + places, tl.sin(tl.load(x_ptr + places, mask=inside)), mask=inside)


def launch_sines() -> None:
    x = torch.linspace(-1e6, 1e6, WIDTH)
    out = torch.empty_like(x)
    sine_kernel[(1,)](x, out, WIDTH, BLOCK=WIDTH, num_warps=4)
    torch.testing.assert_close(out, torch.sin(x), rtol=0, atol=1e-6)
