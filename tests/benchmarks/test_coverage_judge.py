"""The judge of the coverage suites: a wrong result, a wrong gradient and a result without a kernel do not pass."""

import pytest
import torch
import triton
import triton.language as tl

from benchmarks.coverage.frame import Failure
from benchmarks.coverage.judge import Trial, compare, judge, randn


@triton.jit
def double_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=at < n) * 2, mask=at < n)


class Double(torch.autograd.Function):
    factor = 2.0

    @staticmethod
    def forward(ctx, x):
        out = torch.empty_like(x)
        double_kernel[(1,)](x, out, x.numel(), 256)
        return out

    @staticmethod
    def backward(ctx, gradient):
        return gradient * Double.factor


def trial(reference=lambda x: 2 * x, call=Double.apply):
    return Trial(call, reference, [randn(5, 20)])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_right_operator_passes(dtype):
    judge(trial(), dtype)


def test_a_wrong_result_fails():
    with pytest.raises(Failure, match="result 0: off by"):
        judge(trial(reference=lambda x: 2.001 * x), "float32")


def test_a_wrong_gradient_fails(monkeypatch):
    monkeypatch.setattr(Double, "factor", 3.0)
    with pytest.raises(Failure, match="gradient of input 0"):
        judge(trial(), "float32")


def test_a_result_without_a_kernel_fails():
    with pytest.raises(Failure, match="no Triton kernel"):
        judge(trial(call=lambda x: 2 * x), "float32")


def test_another_number_of_results_fails():
    with pytest.raises(Failure, match="1 results, expected 2"):
        judge(trial(reference=lambda x: (2 * x, x)), "float32")


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (torch.tensor([1, 2]), torch.tensor([1, 3])),
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, 2.0])),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, float("nan")])),
        (torch.tensor([float("inf")]), torch.tensor([-float("inf")])),
        (torch.zeros(2), torch.zeros(2, 1)),
        (None, torch.zeros(2)),
    ],
)
def test_what_differs(got, expected):
    with pytest.raises(Failure):
        compare("x", got, expected, 0.1)


def test_what_is_the_same():
    values = torch.tensor([float("inf"), float("nan"), -0.0, 1.0])
    compare("x", values, values.double(), 1e-9)
    compare("x", torch.tensor([3]), torch.tensor([3], dtype=torch.int32), 0.0)
