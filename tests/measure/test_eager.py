"""Launches, bytes and FLOPs of eager operators against lists worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from teachkit.measure import profile
from teachkit.measure.by_shape import CountByShape
from teachkit.measure.traffic import distinct_bytes

pytestmark = pytest.mark.usefixtures("emulator")

N = 1000  # deliberately not a multiple of 32: nothing is rounded to sectors
ROWS, COLS = 10, 100


def gelu_by_hand(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_with_products(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def counted(function: Callable[..., Any], *args: Any) -> tuple[int, int, int, int]:
    """Launches, bytes read, bytes written, FLOPs."""
    with profile() as prof:
        function(*args)
    return prof.n_launches, prof.dram_read_bytes, prof.dram_write_bytes, prof.flop


def x32(n: int = N) -> torch.Tensor:
    return torch.linspace(-2, 2, n)


def matrix() -> torch.Tensor:
    return x32().view(ROWS, COLS)


def test_gelu_by_hand_is_8_launches_and_18_n_elements() -> None:
    x = x32()
    with profile() as prof:
        gelu_by_hand(x)
    assert [kernel.name for kernel in prof.kernels] == [
        "aten.mul",
        "aten.pow",
        "aten.mul",
        "aten.add",
        "aten.mul",
        "aten.tanh",
        "aten.add",
        "aten.mul",
    ]
    assert prof.n_launches == 8
    assert prof.dram_bytes == 18 * N * 4
    assert (prof.dram_read_bytes, prof.dram_write_bytes) == (10 * N * 4, 8 * N * 4)


def test_gelu_with_products_is_9_launches() -> None:
    # The first product is with a number; the two others read two arrays: a square reads its operand once.
    assert counted(gelu_with_products, x32())[0] == 9


# name, function of x [N] float32, launches, elements read, elements written, FLOPs
BY_HAND: list[tuple[str, Callable[[torch.Tensor], Any], int, int, int, int]] = [
    ("gelu", lambda x: F.gelu(x, approximate="tanh"), 1, N, N, N),
    ("add a number", lambda x: x + 1, 1, N, N, N),
    ("add itself: one read", lambda x: x + x, 1, N, N, N),
    ("add a view of itself", lambda x: x + x.view(ROWS, COLS).view(N), 1, N, N, N),
    ("add a slice of itself", lambda x: x + x.view(ROWS, COLS)[:, :].reshape(N), 1, N, N, N),
    ("add two halves that overlap", lambda x: x[1:] + x[:-1], 1, N, N - 1, N - 1),
    ("in place", lambda x: x.add_(1), 1, N, N, N),
    ("in place with itself", lambda x: x.mul_(x), 1, N, N, N),
    ("into out", lambda x: torch.add(x, 1, out=torch.empty(N)), 1, N, N, N),
    ("a row is broadcast", lambda x: x.view(ROWS, COLS) + x[:COLS], 1, N, N, N),
    ("an expanded number", lambda x: x[:1].expand(N) * 2, 1, 1, N, N),
    ("two expanded rows", lambda x: x[:COLS].expand(ROWS, COLS) * x[:COLS], 1, COLS, N, N),
    ("every second element", lambda x: x[::2] * 2, 1, N // 2, N // 2, N // 2),
    ("a column", lambda x: x.view(ROWS, COLS)[:, 3] * 2, 1, ROWS, ROWS, ROWS),
    ("windows that overlap", lambda x: x.unfold(0, 3, 1) * 2, 1, N, 3 * (N - 2), 3 * (N - 2)),
    ("clone", lambda x: x.clone(), 1, N, N, 0),
    ("contiguous already", lambda x: x.contiguous(), 0, 0, 0, 0),
    ("transpose", lambda x: x.view(ROWS, COLS).t(), 0, 0, 0, 0),
    ("transpose and copy", lambda x: x.view(ROWS, COLS).t().contiguous(), 1, N, N, 0),
    ("reshape that copies", lambda x: x.view(ROWS, COLS).t().reshape(N), 1, N, N, 0),
    ("to the type it has", lambda x: x.to(torch.float32), 0, 0, 0, 0),
    ("slices, split, unbind", lambda x: (x[3:], x.split(100), x.view(ROWS, COLS).unbind()), 0, 0, 0, 0),
    ("detach", lambda x: x.detach(), 0, 0, 0, 0),
    ("empty", lambda x: (torch.empty(N), torch.empty_like(x), x.new_empty(N)), 0, 0, 0, 0),
    ("zeros", lambda x: torch.zeros(N), 1, 0, N, 0),
    ("zeros like", lambda x: torch.zeros_like(x), 1, 0, N, 0),
    ("random like", lambda x: torch.rand_like(x), 1, 0, N, 0),
    ("zero in place", lambda x: x.zero_(), 1, 0, N, 0),
    ("fill", lambda x: x.fill_(3.0), 1, 0, N, 0),
    ("fill at random", lambda x: x.uniform_(), 1, 0, N, 0),
    ("copy into", lambda x: torch.empty(N).copy_(x), 1, N, N, 0),
    ("concatenate", lambda x: torch.cat([x, x]), 1, N, 2 * N, 0),
    ("sum", lambda x: x.sum(), 1, N, 1, N),
    ("mean of rows", lambda x: x.view(ROWS, COLS).mean(1), 1, N, ROWS, N),
    ("running sum", lambda x: x.cumsum(0), 1, N, N, N),
    ("softmax", lambda x: torch.softmax(x.view(ROWS, COLS), 1), 1, N, N, 5 * N),
    ("layer norm", lambda x: F.layer_norm(x.view(ROWS, COLS), (COLS,)), 1, N, N + 2 * ROWS, 8 * N),
    ("shape only", lambda x: (x.size(), x.is_contiguous(), x.dim()), 0, 0, 0, 0),
    ("rows of a table", lambda x: F.embedding(torch.tensor([1, 1, 5]), x.view(ROWS, COLS)), 1, 306, 300, 0),
]


@pytest.mark.parametrize(
    ("function", "launches", "read", "written", "flop"), [row[1:] for row in BY_HAND], ids=[row[0] for row in BY_HAND]
)
def test_by_hand(function: Callable[[torch.Tensor], Any], launches: int, read: int, written: int, flop: int) -> None:
    assert counted(function, x32()) == (launches, 4 * read, 4 * written, flop)


def test_a_mask_has_one_byte_an_element() -> None:
    x = x32()
    with profile() as prof:
        torch.where(x > 0, x, x * 2)
    assert [k.counters.dram_bytes for k in prof.kernels] == [5 * N, 8 * N, N + 8 * N + 4 * N]
    assert prof.flop == 2 * N  # comparing and multiplying; choosing is free


def test_matrix_products() -> None:
    a, b, bias = torch.ones(32, 64), torch.ones(64, 48), torch.ones(48)
    n_bytes = 4 * (32 * 64 + 64 * 48)
    assert counted(torch.matmul, a, b) == (1, n_bytes, 4 * 32 * 48, 2 * 32 * 48 * 64)
    assert counted(F.linear, a, b.t().contiguous(), bias)[0] == 1
    assert counted(torch.mv, a, torch.ones(64)) == (1, 4 * (32 * 64 + 64), 4 * 32, 2 * 32 * 64)
    with profile() as prof:
        torch.matmul(a.half(), b.half())
    assert prof.total.flop_tensor == 2 * 32 * 48 * 64
    assert prof.total.flop_fp32 == 0
    assert [kernel.name for kernel in prof.kernels] == ["aten._to_copy", "aten._to_copy", "aten.mm"]


def test_attention_is_one_launch() -> None:
    q = torch.ones(2, 4, 16, 8)
    with profile() as prof:
        F.scaled_dot_product_attention(q, q.clone(), q.clone())
    assert [kernel.name for kernel in prof.kernels][2:] == ["aten._scaled_dot_product_flash_attention_for_cpu"]
    assert prof.flop == 2 * 2 * (2 * 4 * 16 * 16 * 8)  # two products of 16 x 16 x 8 for each of 8 heads


def test_precision_decides_the_counter() -> None:
    x = x32()
    with profile() as prof:
        x.double() + 1
        x.half() + 1
        torch.arange(N) + 1
    total = prof.total
    assert (total.flop_fp64, total.flop_fp32, total.int_ops, total.flop_fp16) == (N, N, N, 0)


def test_backward_is_counted() -> None:
    x = x32().requires_grad_()
    with profile() as prof:
        (x * 2).sum().backward()
    # mul, sum, a one for the loss, and mul again; expanding the gradient is free
    assert [k.name for k in prof.kernels] == ["aten.mul", "aten.sum", "aten.ones_like", "aten.mul"]
    assert prof.kernels[-1].counters.dram_read_bytes == 4  # the expanded gradient is one number


def test_host_synchronisations() -> None:
    x = x32()
    with profile() as prof:
        x.sum().item()
        float(x[0])
        torch.nonzero(x)
        x[x > 0]
        x[torch.tensor([1, 2])]
    assert prof.n_syncs == 4
    assert [k.name for k in prof.kernels] == ["aten.sum", "aten.nonzero", "aten.gt", "aten.index", "aten.index"]


def test_optimiser_step_with_foreach() -> None:
    parameters = [torch.ones(10) for _ in range(20)]
    with profile() as prof:
        torch._foreach_mul_(parameters, 0.9)
    assert (prof.n_launches, prof.dram_bytes, prof.flop) == (1, 20 * 2 * 40, 200)


def test_compiled_functions_are_compiled_as_without_a_profile() -> None:
    import torch._dynamo.testing

    seen = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(gelu_by_hand, backend=seen)
    x = x32()
    with profile() as prof:
        compiled(x)
    assert seen.frame_count == 1
    assert prof.n_launches == 8  # this backend runs the graph eagerly


def test_sparse_tensors_count_their_parts() -> None:
    dense = torch.eye(10)
    assert distinct_bytes([dense.to_sparse()]) == 2 * 10 * 8 + 10 * 4


@given(st.data())
def test_distinct_bytes_equals_a_set_of_addresses(data: st.DataObject) -> None:
    """Against the plain definition, for the views that the docstring calls exact."""
    base = torch.zeros(data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6)))
    views = [base]
    for _ in range(data.draw(st.integers(0, 3))):
        kind = data.draw(st.sampled_from(["t", "rows", "expand", "flat"]))
        start = data.draw(st.integers(0, base.shape[0] - 1))
        wide = base.unsqueeze(0).expand(3, -1, -1)
        made = {"t": base.t(), "rows": base[start:], "expand": wide, "flat": base.view(-1)}
        views.append(made[kind])
    views = views[data.draw(st.integers(0, len(views) - 1)) :]
    addresses = {
        base.element_size() * (view.storage_offset() + sum(i * s for i, s in zip(index, view.stride(), strict=True)))
        for view in views
        for index in torch.cartesian_prod(*(torch.arange(n) for n in view.shape)).view(-1, view.dim()).tolist()
    }
    assert distinct_bytes(views) == 4 * len(addresses)


def attentions(device: str, dtype: torch.dtype) -> dict[str, tuple[int, int, int, int]]:
    """The one for CPUs, and those for GPUs, on tensors of one shape."""
    aten = torch.ops.aten
    q, k, v = (torch.empty(2, 3, 40, 16, device=device, dtype=dtype) for _ in range(3))
    calls: dict[str, Callable[[], Any]] = {
        "cpu": lambda: aten._scaled_dot_product_flash_attention_for_cpu(q, k, v),
        "flash": lambda: aten._scaled_dot_product_flash_attention(q, k, v),
        "efficient": lambda: aten._scaled_dot_product_efficient_attention(q, k, v, None, False),
        "efficient, to be differentiated": lambda: aten._scaled_dot_product_efficient_attention(q, k, v, None, True),
        "cudnn": lambda: aten._scaled_dot_product_cudnn_attention(q, k, v, None, False),
    }
    found = {}
    for name, call in calls.items():
        with CountByShape() as counted:
            call()
        total = counted.total
        found[name] = (total.n_launches, total.dram_read_bytes, total.dram_write_bytes, total.flop)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_counts_the_same_whichever_library_computes_it(dtype: torch.dtype) -> None:
    n = 2 * 3 * 40 * 16
    expected = (1, 3 * n * dtype.itemsize, n * dtype.itemsize + 4 * n // 16, 2 * 40 * n * 2)
    assert attentions("meta", dtype) == dict.fromkeys(attentions("meta", dtype), expected)


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", DEVICES)
def test_attention_in_a_profile(device: str) -> None:
    q, k, v = (torch.randn(1, 4, 128, 64, device=device) for _ in range(3))
    n = 4 * 128 * 64
    assert counted(F.scaled_dot_product_attention, q, k, v) == (1, 12 * n, 4 * n + 4 * 4 * 128, 4 * 128 * n)


LESSON = {
    "by hand": lambda x: gelu_by_hand(x),
    "built in": lambda x: F.gelu(x, approximate="tanh"),
    "attention by hand": lambda x: torch.softmax(x @ x.t() / 8, dim=-1) @ x,
    "layer norm": lambda x: F.layer_norm(x, x.shape[-1:]),
    "in place": lambda x: (x**3).mul_(0.5).add_(x).tanh_(),
    "reshaped": lambda x: x.t().reshape(-1),
    "filled": lambda x: torch.zeros(100, device=x.device),
    "bytes": lambda x: torch.stack([77 * x.int() >> 8, x.int()]).to(torch.uint8),
    "picked": lambda x: x[x > 1],
    "masked": lambda x: x.masked_fill(x > 1, 1),
    "asked": lambda x: 1 if x[0, 0] > 1 else 0,
    "read": lambda x: x.sum().item(),
    "half": lambda x: x.bfloat16() @ x.t().bfloat16(),
    "lists": lambda x: torch._foreach_add_([x.clone(), x.clone()], [x, x], alpha=2),
    "norm": lambda x: x / x.norm().clamp(min=1),
    "shares": lambda x: x / x.sum(),
}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", LESSON)
def test_what_lessons_run_counts_the_same_on_every_device(name: str, device: str) -> None:
    x, moved = matrix(), matrix().to(device)
    with profile() as here:
        LESSON[name](x)
    with profile() as there:
        LESSON[name](moved)
    assert [(r.name, r.counters) for r in there.kernels] == [(r.name, r.counters) for r in here.kernels]
    assert there.n_syncs == here.n_syncs


class Watches:
    """Stands for ``torch.cuda``; notes what it is asked for. Two events are 2 ms apart."""

    def __init__(self) -> None:
        self.calls = calls = []

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                calls.append("record")

            def synchronize(self) -> None: ...

            def elapsed_time(self, end: Any) -> float:
                return 2.0

        self.Event = Event

    def _sleep(self, cycles: int) -> None:
        self.calls.append("wait")


class OnGpu(torch.Tensor):
    is_cuda = property(lambda self: True)


def test_operators_on_a_gpu_are_timed_once_after_a_head_start(monkeypatch: pytest.MonkeyPatch) -> None:
    watches = Watches()
    monkeypatch.setattr(torch.cuda, "Event", watches.Event)
    monkeypatch.setattr(torch.cuda, "_sleep", watches._sleep)
    x = torch.ones(4).as_subclass(OnGpu)
    with profile() as outer:
        x + 1
        with profile() as inner:
            torch.tanh(x)
    assert watches.calls == 2 * ["wait", "record", "record"]
    assert [report.seconds for report in (*outer.kernels, *inner.kernels)] == 3 * [0.002]
    assert (outer.seconds, inner.seconds) == (0.004, 0.002)
