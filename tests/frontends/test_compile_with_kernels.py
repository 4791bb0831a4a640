"""Programs that ``tk.compile`` meets: their own Triton kernels inside a function, gradients, vmap and branches."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl
from torch.library import triton_op, wrap_triton

import teachkit as tk
from teachkit.emulator import observe

pytestmark = pytest.mark.filterwarnings("default")  # PyTorch's own deprecations
N = 300


@pytest.fixture(autouse=True)
def fresh_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@triton.jit
def scaled_sum_kernel(x_ptr, y_ptr, out_ptr, n, scale, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.load(x_ptr + at, mask=at < n) + scale * tl.load(y_ptr + at, mask=at < n)
    tl.store(out_ptr + at, total, mask=at < n)


tuned_kernel = triton.autotune([triton.Config({"BLOCK": 64}), triton.Config({"BLOCK": 256}, num_warps=8)], key=["n"])(
    scaled_sum_kernel
)


def with_own_kernel(x, y):
    out = torch.empty_like(x)
    scaled_sum_kernel[(triton.cdiv(x.numel(), 128),)](x.sin(), y, out, x.numel(), 2.0, BLOCK=128)
    return out.cos()


def with_tuned_kernel(x, y):
    out = torch.empty_like(x)
    tuned_kernel[lambda meta: (triton.cdiv(x.numel(), meta["BLOCK"]),)](x.sin(), y, out, x.numel(), 2.0)
    return out.cos()


@pytest.mark.parametrize("function", [with_own_kernel, with_tuned_kernel])
def test_a_programs_own_kernel_runs_between_the_compilers(function):
    x, y, seen = torch.randn(N), torch.randn(N), []
    compiled = tk.compile(function, fullgraph=True)
    with observe(seen.append):
        out = compiled(x, y)
    torch.testing.assert_close(out, (x.sin() + 2 * y).cos(), rtol=1e-5, atol=1e-5)
    assert ["scaled_sum" in launch.name for launch in seen] == [False, True, False]


@triton_op("teachkit_tests::scaled_sum", mutates_args={})
def scaled_sum(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    wrap_triton(scaled_sum_kernel)[(triton.cdiv(x.numel(), 64),)](x, y, out, x.numel(), 1.5, BLOCK=64)
    return out


scaled_sum.register_autograd(
    lambda context, gradient: (gradient, 1.5 * gradient), setup_context=lambda ctx, inputs, output: None
)


def test_an_operator_made_of_a_kernel_has_a_gradient():
    x, y = (torch.randn(N, requires_grad=True) for _ in range(2))
    tk.compile(lambda x, y: scaled_sum(x.exp(), y).sum())(x, y).backward()
    torch.testing.assert_close(x.grad, x.detach().exp())
    torch.testing.assert_close(y.grad, torch.full((N,), 1.5))


def energy(w, x):
    return (x @ w).tanh().sum()


HIGHER_ORDER = {
    "gradient of each row": lambda w, x: torch.func.vmap(torch.func.grad(energy), (None, 0))(w, x),
    "jacobian": lambda w, x: torch.func.jacrev(lambda w: (w * x).sin().sum(0))(w),
    "branch": lambda w, x: torch.cond(w.sum() > 0, torch.sin, torch.cos, (x,)) + 1,
}


@pytest.mark.parametrize("name", HIGHER_ORDER)
def test_functions_of_functions(name):
    w, x = torch.randn(8), torch.randn(5, 8)
    torch.testing.assert_close(tk.compile(HIGHER_ORDER[name])(w, x), HIGHER_ORDER[name](w, x), rtol=1e-4, atol=1e-5)
