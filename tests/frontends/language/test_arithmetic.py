"""Integers of every width against Python's own, and floating-point values at the edges: NaN, infinities, subnormals."""

import operator

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

N = 256
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


@triton.jit
def integers_kernel(x_ptr, y_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x, y = tl.load(x_ptr + at), tl.load(y_ptr + at)
    tl.store(out_ptr + at, x // y)
    tl.store(out_ptr + N + at, x % y)
    tl.store(out_ptr + 2 * N + at, x * y)
    tl.store(out_ptr + 3 * N + at, x ^ ~y)
    tl.store(out_ptr + 4 * N + at, -x)
    tl.store(out_ptr + 5 * N + at, tl.abs(x))
    tl.store(out_ptr + 6 * N + at, tl.minimum(x, y))
    tl.store(out_ptr + 7 * N + at, tl.maximum(x, y))
    tl.store(out_ptr + 8 * N + at, (x < y).to(x.dtype))


def _toward_zero(x, y):
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


BY_PYTHON = [
    _toward_zero, lambda x, y: x - y * _toward_zero(x, y), operator.mul, lambda x, y: x ^ ~y,
    lambda x, y: -x, lambda x, y: abs(x), min, max, operator.lt,
]  # fmt: skip


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(dtype):
    limits, draw = np.iinfo(dtype), np.random.default_rng(0)
    x = draw.integers(limits.min, limits.max, N, dtype=dtype, endpoint=True)
    y = draw.integers(limits.min, limits.max, N, dtype=dtype, endpoint=True) >> np.array(limits.bits // 2, dtype)
    x[:4] = limits.min, limits.max, 0, 1
    y[y == 0] = 3
    y[:2] = 1
    out = torch.zeros(len(BY_PYTHON), N, dtype=getattr(torch, dtype))
    integers_kernel[(1,)](torch.from_numpy(x), torch.from_numpy(y), out, N)
    for got, by_python in zip(out.tolist(), BY_PYTHON, strict=True):
        expected = [int(by_python(a, b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        assert [value % 2**limits.bits for value in got] == [value % 2**limits.bits for value in expected]


@triton.jit
def shifts_kernel(x_ptr, by_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x, by = tl.load(x_ptr + at), tl.load(by_ptr + at)
    tl.store(out_ptr + at, x << by)
    tl.store(out_ptr + N + at, x >> by)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts(dtype):
    limits, draw = np.iinfo(dtype), np.random.default_rng(0)
    x = draw.integers(limits.min, limits.max, N, dtype=dtype, endpoint=True)
    by = draw.integers(0, limits.bits, N).astype(dtype)
    out = torch.zeros(2, N, dtype=getattr(torch, dtype))
    shifts_kernel[(1,)](torch.from_numpy(x), torch.from_numpy(by), out, N)
    assert np.array_equal(out.numpy(), [x << by, x >> by])


@triton.jit
def extremes_kernel(x_ptr, y_ptr, out_ptr, NAN: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, N)
    x, y = tl.load(x_ptr + at), tl.load(y_ptr + at)
    tl.store(out_ptr + at, tl.maximum(x, y, propagate_nan=NAN))
    tl.store(out_ptr + N + at, tl.minimum(x, y, propagate_nan=NAN))
    tl.store(out_ptr + 2 * N + at, tl.clamp(x, -1.0, 1.0, propagate_nan=NAN))


@pytest.mark.parametrize("spreads", [True, False], ids=["nan-spreads", "nan-is-missing"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_not_a_number_in_extremes(dtype, spreads):
    values = torch.tensor([float("nan"), 1, -1, float("inf"), -float("inf"), 0, 2.5, -7], dtype=dtype)
    x, y = values.repeat_interleave(8), values.repeat(8)
    out = torch.empty(3, 64, dtype=dtype)
    extremes_kernel[(1,)](x, y, out, tl.PropagateNan.ALL if spreads else tl.PropagateNan.NONE, 64)
    one = torch.ones((), dtype=dtype)
    if spreads:
        expected = [torch.maximum(x, y), torch.minimum(x, y), x.clamp(-1, 1)]
    else:
        expected = [torch.fmax(x, y), torch.fmin(x, y), torch.fmin(torch.fmax(x, -one), one)]
    torch.testing.assert_close(out, torch.stack(expected), rtol=0, atol=0, equal_nan=True)


@triton.jit
def subnormal_kernel(x_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x = tl.load(x_ptr + at)
    tl.store(out_ptr + at, x * 0.5)
    tl.store(out_ptr + N + at, x + x)
    tl.store(out_ptr + 2 * N + at, tl.sqrt_rn(tl.abs(x)))
    tl.store(out_ptr + 3 * N + at, tl.div_rn(x, x + x))


def test_subnormal_numbers_are_not_flushed():
    x = torch.tensor([1e-40, -3e-42, 2.8e-45, 1e-38] * 8)
    out = torch.empty(4, 32)
    subnormal_kernel[(1,)](x, out, 32)
    expected = [x * 0.5, x + x, x.abs().double().sqrt().float(), x / (x + x)]
    assert torch.equal(out, torch.stack(expected))
