"""Kernels that live on tensor cores, for the speed benchmark: a matmul and flash attention in fp16."""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl

from tests.frontends.triton_kernels import KernelCase, Shape, Tensors, normal


@triton.jit
def matmul_kernel(a_ptr, b_ptr, c_ptr, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    inner = tl.arange(0, BK)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, K, BK):
        a = tl.load(a_ptr + rows[:, None] * K + (k + inner)[None, :])
        b = tl.load(b_ptr + (k + inner)[:, None] * N + cols[None, :])
        acc = tl.dot(a, b, acc)
    tl.store(c_ptr + rows[:, None] * N + cols[None, :], acc)


def launch_matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty(m, n)
    matmul_kernel[(m // 128, n // 128)](a, b, c, m, n, k, BM=128, BN=128, BK=32, num_warps=4)
    return c


@triton.jit
def attention_kernel(q_ptr, k_ptr, v_ptr, out_ptr, n_rows, scale, BLOCK: tl.constexpr, D: tl.constexpr):
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    cols = tl.arange(0, D)
    q = tl.load(q_ptr + rows[:, None] * D + cols[None, :])
    highest = tl.full((BLOCK,), -float("inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    acc = tl.zeros((BLOCK, D), tl.float32)
    for start in range(0, n_rows, BLOCK):
        keys = start + tl.arange(0, BLOCK)
        k = tl.load(k_ptr + keys[None, :] * D + cols[:, None])
        scores = tl.dot(q, k) * scale
        now = tl.maximum(highest, tl.max(scores, 1))
        weights = tl.exp(scores - now[:, None])
        shrink = tl.exp(highest - now)
        total = total * shrink + tl.sum(weights, 1)
        v = tl.load(v_ptr + keys[:, None] * D + cols[None, :])
        acc = tl.dot(weights.to(tl.float16), v, acc * shrink[:, None])
        highest = now
    tl.store(out_ptr + rows[:, None] * D + cols[None, :], acc / total[:, None])


def launch_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    n_rows, d = q.shape
    out = torch.empty(n_rows, d)
    attention_kernel[(n_rows // 64,)](q, k, v, out, n_rows, 1 / math.sqrt(d), BLOCK=64, D=d, num_warps=4)
    return out


def _halves(n: int):
    def inputs(shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensors:
        return normal(*[shape] * n, generator=generator, dtype=torch.float16)

    return inputs


def _matmul_f32(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a.float() @ b.float()


def _attention_f32(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    q, k, v = (x.float()[None] for x in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)[0]


# Sums of 1,024 products in fp32, in another order than PyTorch's; the weights of attention pass through fp16.
DENSE_CASES = (
    KernelCase("matmul_f16", _halves(2), launch_matmul, _matmul_f32, (), (1024, 1024), ulps=1 << 14),
    KernelCase("attention_f16", _halves(3), launch_attention, _attention_f32, (), (1024, 64), ulps=1 << 14),
)
