"""Fused attention, forward and backward, written anew: tiles of keys pass by, the softmax is corrected as it grows."""

import pytest
import torch
import triton
import triton.language as tl


@triton.jit
def forward_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, log_sum_ptr, n, scale,
    IS_CAUSAL: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """``q, k, v, out [heads, n, D]``, ``log_sum [heads, n]``; exponentials to base 2."""
    head, start_m = tl.program_id(1).to(tl.int64), tl.program_id(0) * BM
    rows, dims = start_m + tl.arange(0, BM), tl.arange(0, D)
    at = head * n * D
    q = tl.load(q_ptr + at + rows[:, None] * D + dims[None, :], mask=rows[:, None] < n, other=0.0)
    largest = tl.full([BM], -float("inf"), tl.float32)
    total = tl.zeros([BM], tl.float32)
    out = tl.zeros([BM, D], tl.float32)
    end = tl.minimum(start_m + BM, n) if IS_CAUSAL else n
    for start in tl.range(0, end, BN):
        cols = start + tl.arange(0, BN)
        k = tl.load(k_ptr + at + cols[None, :] * D + dims[:, None], mask=cols[None, :] < n, other=0.0)
        scores = tl.dot(q, k) * (scale * 1.4426950408889634)
        allowed = cols[None, :] < n
        if IS_CAUSAL:
            allowed = allowed & (cols[None, :] <= rows[:, None])
        scores = tl.where(allowed, scores, -1.0e30)
        higher = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp2(scores - higher[:, None])
        correction = tl.exp2(largest - higher)
        v = tl.load(v_ptr + at + cols[:, None] * D + dims[None, :], mask=cols[:, None] < n, other=0.0)
        total = total * correction + tl.sum(weights, 1)
        out = tl.dot(weights.to(v.dtype), v, out * correction[:, None])
        largest = higher
    mask = rows[:, None] < n
    tl.store(out_ptr + at + rows[:, None] * D + dims[None, :], (out / total[:, None]).to(q.dtype), mask=mask)
    tl.store(log_sum_ptr + head * n + rows, largest + tl.log2(total), mask=rows < n)


@triton.jit
def inner_products_kernel(out_ptr, dout_ptr, delta_ptr, n_rows, BM: tl.constexpr, D: tl.constexpr):
    rows, dims = tl.program_id(0) * BM + tl.arange(0, BM), tl.arange(0, D)
    at, mask = rows[:, None] * D + dims[None, :], rows[:, None] < n_rows
    product = tl.load(out_ptr + at, mask=mask, other=0.0).to(tl.float32) * tl.load(dout_ptr + at, mask=mask, other=0.0)
    tl.store(delta_ptr + rows, tl.sum(product, 1), mask=rows < n_rows)


@triton.jit
def backward_kernel(
    q_ptr, k_ptr, v_ptr, dout_ptr, log_sum_ptr, delta_ptr, dq_ptr, dk_ptr, dv_ptr, n, scale,
    IS_CAUSAL: tl.constexpr, BLOCK: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """One tile of keys: its own gradients, and its share of those of the queries, added atomically."""
    head = tl.program_id(1).to(tl.int64)
    cols, dims = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, D)
    at = head * n * D
    inside = cols[:, None] < n
    k = tl.load(k_ptr + at + cols[:, None] * D + dims[None, :], mask=inside, other=0.0)
    v = tl.load(v_ptr + at + cols[:, None] * D + dims[None, :], mask=inside, other=0.0)
    dk = tl.zeros([BLOCK, D], tl.float32)
    dv = tl.zeros([BLOCK, D], tl.float32)
    for start in range(0, n, BLOCK):
        rows = start + tl.arange(0, BLOCK)
        mask = rows[:, None] < n
        q = tl.load(q_ptr + at + rows[:, None] * D + dims[None, :], mask=mask, other=0.0)
        dout = tl.load(dout_ptr + at + rows[:, None] * D + dims[None, :], mask=mask, other=0.0)
        log_sum = tl.load(log_sum_ptr + head * n + rows, mask=rows < n, other=0.0)
        delta = tl.load(delta_ptr + head * n + rows, mask=rows < n, other=0.0)
        scores = tl.dot(q, tl.trans(k)) * (scale * 1.4426950408889634)
        allowed = mask & (cols[None, :] < n)
        if IS_CAUSAL:
            allowed = allowed & (cols[None, :] <= rows[:, None])
        weights = tl.where(allowed, tl.exp2(scores - log_sum[:, None]), 0.0)
        dv = tl.dot(tl.trans(weights.to(dout.dtype)), dout, dv)
        dscores = weights * (tl.dot(dout, tl.trans(v)) - delta[:, None]) * scale
        dk = tl.dot(tl.trans(dscores.to(q.dtype)), q, dk)
        dq = tl.dot(dscores.to(k.dtype), k)
        tl.atomic_add(dq_ptr + at + rows[:, None] * D + dims[None, :], dq, mask=mask)
    tl.store(dk_ptr + at + cols[:, None] * D + dims[None, :], dk, mask=inside)
    tl.store(dv_ptr + at + cols[:, None] * D + dims[None, :], dv, mask=inside)


@pytest.mark.parametrize("is_causal", [False, True], ids=["all", "causal"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_fused_attention(dtype, is_causal):
    heads, n, size = 2, 75, 32
    q, k, v = (torch.randn(heads, n, size).to(dtype).requires_grad_() for _ in range(3))
    dout = torch.randn(heads, n, size).to(dtype)
    scale = size**-0.5
    attention = torch.nn.functional.scaled_dot_product_attention
    expected = attention(q.double(), k.double(), v.double(), is_causal=is_causal)
    expected.backward(dout.double())
    q_, k_, v_ = (x.detach() for x in (q, k, v))
    out, log_sum, delta = torch.empty_like(q_), torch.empty(heads, n), torch.empty(heads, n)
    dq, dk, dv = (torch.zeros(heads, n, size) for _ in range(3))
    forward_kernel[(triton.cdiv(n, 32), heads)](q_, k_, v_, out, log_sum, n, scale, is_causal, BM=32, BN=32, D=size)
    inner_products_kernel[(triton.cdiv(heads * n, 64),)](out, dout, delta, heads * n, BM=64, D=size)
    backward_kernel[(triton.cdiv(n, 32), heads)](
        q_, k_, v_, dout, log_sum, delta, dq, dk, dv, n, scale, is_causal, BLOCK=32, D=size
    )
    # Factors of every product are rounded to 11 bits (tf32 for float32), or 8.
    tolerance = 8e-2 if dtype == torch.bfloat16 else 1e-2
    for got, wanted in ((out, expected), (dq, q.grad), (dk, k.grad), (dv, v.grad)):
        torch.testing.assert_close(got.double(), wanted.double(), rtol=0, atol=tolerance)
