"""``tk.compile`` against eager PyTorch: what a lesson compiles, forward and backward, as kernels on the emulator."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

import teachkit as tk
from teachkit.emulator import observe
from teachkit.errors import CompileOptionError

pytestmark = pytest.mark.filterwarnings("default")  # PyTorch's own deprecations


@pytest.fixture(autouse=True)
def fresh_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


def randn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def names_of(launches):
    return [launch.name.split("_")[1] for launch in launches]


def launches_of(function, *inputs):
    seen = []
    with observe(seen.append):
        out = function(*inputs)
    return out, seen


@pytest.mark.slow
def test_training_steps_of_a_network():
    """Forward, backward and a foreach optimiser, whose step is one kernel for all parameters."""
    torch.manual_seed(0)
    eager = torch.nn.Sequential(
        torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.LayerNorm(32), torch.nn.Linear(32, 8)
    )
    model = copy.deepcopy(eager)
    x, label = randn(24, 16), torch.arange(24) % 8
    sgd = [torch.optim.SGD(m.parameters(), lr=0.1, weight_decay=0.01, foreach=True) for m in (eager, model)]
    compiled, step = tk.compile(model), tk.compile(sgd[1].step)
    losses = []
    for network, update in ((eager, sgd[0].step), (compiled, step)):
        F.cross_entropy(network(x), label).backward()
        _, seen = launches_of(update)
        losses.append([p.grad.clone() for p in network.parameters()])
    assert names_of(seen) == ["for"]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-6)  # sums in another order
    torch.testing.assert_close(list(model.parameters()), list(eager.parameters()), rtol=1e-4, atol=1e-6)


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-2, -1) * 0.25, -1) @ v


def embedding_loss(table, index, label):
    return F.cross_entropy(F.embedding(index, table) @ table.t(), label)


def test_gradients_of_attention_by_hand():
    inputs = [randn(2, 16, 16, seed=i).requires_grad_() for i in range(3)]
    out, forward = launches_of(tk.compile(attention), *inputs)
    expected = attention(*inputs)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    got, backward = launches_of(torch.autograd.grad, out.square().sum(), inputs)
    torch.testing.assert_close(got, torch.autograd.grad(expected.square().sum(), inputs), rtol=1e-3, atol=1e-4)
    assert forward
    assert backward


def test_gradients_of_an_embedding_with_cross_entropy():
    """The backward pass adds rows of the table with atomics."""
    table = randn(50, 8).requires_grad_()
    index, label = torch.arange(64) % 7, torch.arange(64) % 50
    got = torch.autograd.grad(tk.compile(embedding_loss)(table, index, label), table)
    torch.testing.assert_close(
        got, torch.autograd.grad(embedding_loss(table, index, label), table), rtol=1e-4, atol=1e-6
    )


def test_dynamic_shapes_compile_once():
    compiled = tk.compile(lambda x: torch.softmax(x, -1) * 2, dynamic=True)
    for shape in ((8, 100), (5, 37), (3, 1500)):
        x = randn(*shape)
        out, seen = launches_of(compiled, x)
        torch.testing.assert_close(out, torch.softmax(x, -1) * 2)
        assert len(seen) == 1
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_the_matrix_product_is_a_template_with_its_epilogue():
    dtype = torch.float16
    a, b, bias = randn(64, 48, dtype=dtype), randn(48, 80, seed=1, dtype=dtype), randn(80, seed=2, dtype=dtype)
    templates = {"max_autotune_gemm": True, "max_autotune_gemm_backends": "TRITON", "test_configs.max_mm_configs": 2}
    compiled = tk.compile(lambda a, b, bias: torch.relu(a @ b + bias), options=templates)
    out, seen = launches_of(compiled, a, b, bias)
    assert names_of(seen) == ["tem"]  # candidates are launched too, for nobody to see
    expected = torch.relu(a.double() @ b.double() + bias.double())
    torch.testing.assert_close(out.double(), expected, rtol=2e-2, atol=2e-2)  # half precision, rounded once or twice
    assert seen[0].counters.flop_tensor > 0


def test_dropout_follows_seed_and_rate():
    compiled = tk.compile(lambda x: F.dropout(F.gelu(x), 0.25, training=True))
    x = randn(1 << 14)

    def dropped(seed):
        torch.manual_seed(seed)
        return compiled(x)

    first = dropped(1)
    assert torch.equal(first, dropped(1))
    assert not torch.equal(first, dropped(2))
    assert 0.73 < (first != 0).float().mean() < 0.77  # 6 standard deviations


TYPES = {
    "half": lambda x: torch.tanh(x.half()) * 2 + x.half(),
    "bfloat16": lambda x: (x.bfloat16() * 3).sum(1),
    "int": lambda x: ((x * 100).int() // 7, (x * 100).long() % 5, (x * 10).to(torch.uint8) >> 1),
    "bool": lambda x: ((x > 0) & (x < 1), (x > 0).any(1), torch.where(x > 0, 1, -1)),
    "in place": lambda x: x.clone().view(-1)[5:50].mul_(2).add_(1),
    "views": lambda x: x.t()[3:, ::2].reshape(-1).flip(0) + 1,
    "fallback": lambda x: torch.sort(x * 2, dim=1).values + torch.linalg.det(x[:4, :4]),
    "scan and index": lambda x: torch.cumsum(x, 1).gather(1, x.argsort(1)) + x.argmax(1, keepdim=True),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_views_and_fallbacks(name):
    x = randn(32, 40).abs()
    got, seen = launches_of(tk.compile(TYPES[name]), x)
    # bfloat16 and half: PyTorch rounds in between, the kernel once.
    rtol = {"half": 2e-3, "bfloat16": 1e-2}.get(name, 1e-5)
    torch.testing.assert_close(got, TYPES[name](x), rtol=rtol, atol=rtol)
    assert seen


def test_arguments_are_updated_in_place():
    x, y = torch.ones(1000), torch.zeros(1000)

    def update(x, y):
        x.mul_(3)
        y[::2] += x[::2]
        return x.view(10, 100)

    out = tk.compile(update)(x, y)
    assert out.data_ptr() == x.data_ptr()
    assert torch.equal(x, torch.full((1000,), 3.0))
    assert torch.equal(y[:4], torch.tensor([3.0, 0.0, 3.0, 0.0]))


def test_decorator_mode_and_options():
    @tk.compile(fullgraph=True, mode="max-autotune-no-cudagraphs", options={"split_reductions": False})
    def total(x):
        return (x * 2).sum()

    x = torch.ones(1 << 17)
    out, seen = launches_of(total, x)
    assert out == 2 << 17
    assert len(seen) == 1  # not split, and found by modelled time


def test_another_back_end_is_refused():
    with pytest.raises(CompileOptionError, match=r"backend='eager'.*\nHint: leave out backend="):
        tk.compile(lambda x: x, backend="eager")


def test_on_a_gpu_nothing_is_changed(monkeypatch):
    """Where Triton's driver is not the emulator's, torch.compile gets the options as they are."""
    from teachkit.frontends.triton_backend.driver import EmulatorDriver

    seen = []
    monkeypatch.setattr(EmulatorDriver, "is_active", classmethod(lambda cls: False))
    monkeypatch.setattr(torch, "compile", lambda model, **options: seen.append((model, options)))
    tk.compile(len, dynamic=True)
    tk.compile(len, options={"max-autotune": True})
    assert seen == [
        (len, {"options": None, "dynamic": True}),
        (len, {"options": {"max_autotune": True}, "dynamic": None}),
    ]
