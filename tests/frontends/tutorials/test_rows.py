"""Kernels of the kind that Triton's tutorials teach, written anew: vectors, softmax, dropout, layer norm with locks."""

import pytest
import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK_SIZE: tl.constexpr):
    at = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)


@pytest.mark.parametrize("n", [1, 1023, 98432])
def test_vector_addition(n):
    x, y, out = torch.rand(n), torch.rand(n), torch.empty(n)
    add_kernel[lambda meta: (triton.cdiv(n, meta["BLOCK_SIZE"]),)](x, y, out, n, BLOCK_SIZE=1024)
    assert torch.equal(out, x + y)


@triton.jit
def persistent_softmax_kernel(
    x_ptr, out_ptr, x_stride, out_stride, n_rows, n_cols, BLOCK_SIZE: tl.constexpr, num_stages: tl.constexpr
):
    cols = tl.arange(0, BLOCK_SIZE)
    for row in tl.range(tl.program_id(0), n_rows, tl.num_programs(0), num_stages=num_stages):
        x = tl.load(x_ptr + row * x_stride + cols, mask=cols < n_cols, other=-float("inf"))
        weights = tl.exp(x - tl.max(x, axis=0))
        tl.store(out_ptr + row * out_stride + cols, weights / tl.sum(weights, axis=0), mask=cols < n_cols)


@pytest.mark.parametrize("num_stages", [2, 4])
def test_fused_softmax(num_stages):
    """As many programs as the GPU has multiprocessors, each with several rows, asked of the driver."""
    device = triton.runtime.driver.active.get_current_device()
    properties = triton.runtime.driver.active.utils.get_device_properties(device)
    x = torch.randn(301, 781)
    out = torch.empty_like(x)
    args = (x, out, x.stride(0), out.stride(0), 301, 781, 1024, num_stages)
    kernel = persistent_softmax_kernel.warmup(*args, grid=(1,), num_warps=8)
    kernel._init_handles()
    assert kernel.n_regs > 0
    assert kernel.metadata.shared <= properties["max_shared_mem"]
    persistent_softmax_kernel[(properties["multiprocessor_count"], 1, 1)](*args, num_warps=8)
    torch.testing.assert_close(out, x.softmax(-1))


@triton.jit
def seeded_dropout_kernel(x_ptr, out_ptr, n, p, seed, BLOCK_SIZE: tl.constexpr):
    at = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(out_ptr + at, tl.where(tl.rand(seed, at) > p, x / (1 - p), 0.0), mask=at < n)


def test_low_memory_dropout():
    """The mask is never stored: the same seed makes it again, for the gradient."""
    x, p = torch.randn(5000), 0.3
    outs = []
    for seed in (123, 123, 512):
        out = torch.empty_like(x)
        seeded_dropout_kernel[(triton.cdiv(5000, 1024),)](x, out, 5000, p, seed, BLOCK_SIZE=1024)
        outs.append(out)
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    kept = outs[0] != 0
    torch.testing.assert_close(outs[0][kept], x[kept] / (1 - p))
    assert abs(kept.float().mean() - (1 - p)) < 5 * (p * (1 - p) / 5000) ** 0.5  # five standard errors


@triton.jit
def layer_norm_kernel(x_ptr, y_ptr, w_ptr, b_ptr, mean_ptr, rstd_ptr, stride, n_cols, eps, BLOCK_SIZE: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros([BLOCK_SIZE], tl.float32)
    for start in range(0, n_cols, BLOCK_SIZE):
        cols = start + tl.arange(0, BLOCK_SIZE)
        total += tl.load(x_ptr + row * stride + cols, mask=cols < n_cols, other=0.0).to(tl.float32)
    mean = tl.sum(total) / n_cols
    squares = tl.zeros([BLOCK_SIZE], tl.float32)
    for start in range(0, n_cols, BLOCK_SIZE):
        cols = start + tl.arange(0, BLOCK_SIZE)
        x = tl.load(x_ptr + row * stride + cols, mask=cols < n_cols, other=0.0).to(tl.float32)
        squares += tl.where(cols < n_cols, (x - mean) * (x - mean), 0.0)
    rstd = 1 / tl.sqrt(tl.sum(squares) / n_cols + eps)
    tl.store(mean_ptr + row, mean)
    tl.store(rstd_ptr + row, rstd)
    for start in range(0, n_cols, BLOCK_SIZE):
        cols = start + tl.arange(0, BLOCK_SIZE)
        x = tl.load(x_ptr + row * stride + cols, mask=cols < n_cols).to(tl.float32)
        w, b = tl.load(w_ptr + cols, mask=cols < n_cols), tl.load(b_ptr + cols, mask=cols < n_cols)
        tl.store(y_ptr + row * stride + cols, (x - mean) * rstd * w + b, mask=cols < n_cols)


@triton.jit
def layer_norm_rows_kernel(
    dx_ptr, dy_ptr, dw_ptr, db_ptr, x_ptr, w_ptr, mean_ptr, rstd_ptr, lock_ptr, stride, n_cols,
    N_GROUPS: tl.constexpr, BLOCK_SIZE: tl.constexpr,
):  # fmt: skip
    """Gradient of the input; partial sums of the parameters' gradients, one a group of rows, under the group's lock."""
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK_SIZE)
    mask = cols < n_cols
    group = row % N_GROUPS
    lock, is_used = lock_ptr + group, lock_ptr + N_GROUPS + group
    x = tl.load(x_ptr + row * stride + cols, mask=mask, other=0.0).to(tl.float32)
    dy = tl.load(dy_ptr + row * stride + cols, mask=mask, other=0.0).to(tl.float32)
    w = tl.load(w_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    rstd = tl.load(rstd_ptr + row)
    normal = tl.where(mask, (x - tl.load(mean_ptr + row)) * rstd, 0.0)
    scaled = tl.where(mask, w * dy, 0.0)
    along = tl.sum(normal * scaled) / n_cols
    mean = tl.sum(scaled) / n_cols
    tl.store(dx_ptr + row * stride + cols, (scaled - normal * along - mean) * rstd, mask=mask)
    dw, db = dy * normal, dy
    while tl.atomic_cas(lock, 0, 1) == 1:
        pass
    if tl.load(is_used) == 0:
        tl.atomic_xchg(is_used, 1)
    else:
        dw += tl.load(dw_ptr + group * n_cols + cols, mask=mask)
        db += tl.load(db_ptr + group * n_cols + cols, mask=mask)
    tl.store(dw_ptr + group * n_cols + cols, dw, mask=mask)
    tl.store(db_ptr + group * n_cols + cols, db, mask=mask)
    tl.debug_barrier()  # all have stored before the lock is released
    tl.atomic_xchg(lock, 0)


@triton.jit
def sum_of_groups_kernel(part_ptr, out_ptr, n_groups, n_cols, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    cols = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start in range(0, n_groups, BLOCK_M):
        rows = start + tl.arange(0, BLOCK_M)
        mask = (rows[:, None] < n_groups) & (cols[None, :] < n_cols)
        total += tl.load(part_ptr + rows[:, None] * n_cols + cols[None, :], mask=mask, other=0.0)
    tl.store(out_ptr + cols, tl.sum(total, axis=0), mask=cols < n_cols)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_layer_norm_with_locks_between_blocks(dtype, n_threads):
    from teachkit.emulator import configure
    from teachkit.emulator.kernel import settings

    n_rows, n_cols, n_groups = 75, 200, 8
    x = (torch.randn(n_rows, n_cols) * 2.3 - 0.5).to(dtype).requires_grad_()
    w, b = (torch.rand(n_cols).to(dtype).requires_grad_() for _ in range(2))
    dy = torch.randn(n_rows, n_cols).to(dtype) * 0.1
    expected = torch.nn.functional.layer_norm(x.double(), (n_cols,), w.double(), b.double())
    expected.backward(dy.double())
    y, dx = torch.empty_like(x), torch.empty_like(x)
    mean, rstd = torch.empty(n_rows), torch.empty(n_rows)
    # Zeros: a warp may set "is used" before another warp of its block has looked, which then adds to what was there.
    dw, db = (torch.zeros(n_groups, n_cols) for _ in range(2))
    locks = torch.zeros(2 * n_groups, dtype=torch.int32)
    x_, w_, b_ = x.detach(), w.detach(), b.detach()
    before = settings.n_threads
    configure(n_threads=n_threads)
    try:
        layer_norm_kernel[(n_rows,)](x_, y, w_, b_, mean, rstd, n_cols, n_cols, 1e-5, BLOCK_SIZE=128)
        layer_norm_rows_kernel[(n_rows,)](
            dx, dy, dw, db, x_, w_, mean, rstd, locks, n_cols, n_cols, N_GROUPS=n_groups, BLOCK_SIZE=256
        )
    finally:
        configure(n_threads=before)
    sums = torch.empty(2, n_cols)
    for part, out in ((dw, sums[0]), (db, sums[1])):
        sum_of_groups_kernel[(triton.cdiv(n_cols, 128),)](part, out, n_groups, n_cols, BLOCK_M=32, BLOCK_N=128)
    tolerance = 1e-5 if dtype == torch.float32 else 4e-3  # results are rounded to 11 bits
    for got, wanted in ((y, expected), (dx, x.grad), (sums[0], w.grad), (sums[1], b.grad)):
        torch.testing.assert_close(got.detach().double(), wanted.detach().double(), rtol=tolerance, atol=tolerance)
    assert not locks[:n_groups].any()
