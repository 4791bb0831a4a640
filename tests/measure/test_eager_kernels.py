"""Eager programs whose operators are kernels: the launches by hand, the operator rules as second witness, torch."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from teachkit.frontends import operator_kernels
from teachkit.measure import profile
from teachkit.measure.eager_kernels import eager_kernels

pytestmark = pytest.mark.filterwarnings("default")  # PyTorch's own deprecations

N = 4096


@pytest.fixture(scope="module", autouse=True)
def compile_caches(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


def gelu_by_hand(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def both(function):
    """Profiles of ``function`` with kernels and with operators, and the results of both."""
    with profile() as kernels, eager_kernels() as mode:
        got = function()
    with profile() as operators:
        expected = function()
    return kernels, operators, got, expected, mode


def test_gelu_by_hand_is_8_kernels_and_18_n_elements():
    x = torch.linspace(-3, 3, N)
    kernels, operators, got, expected, mode = both(lambda: gelu_by_hand(x))
    torch.testing.assert_close(got, expected)
    assert not mode.not_kernels
    names = [kernel.name for kernel in kernels.kernels]
    assert names == [f"triton_poi_fused_{op}_0" for op in "mul pow mul add mul tanh add mul".split()]
    assert all(kernel.kind == "kernel" and kernel.grid == (16, 1, 1) for kernel in kernels.kernels)
    assert kernels.dram_bytes == 18 * N * 4
    assert kernels.n_launches == operators.n_launches == 8
    for kernel, operator in zip(kernels.kernels, operators.kernels, strict=True):
        mine, rules = kernel.counters, operator.counters
        assert (mine.dram_read_bytes, mine.dram_write_bytes) == (rules.dram_read_bytes, rules.dram_write_bytes)


def test_order_of_the_two_blocks_does_not_matter():
    x = torch.linspace(-3, 3, N)
    with eager_kernels(), profile() as prof:
        gelu_by_hand(x)
    assert [kernel.kind for kernel in prof.kernels] == ["kernel"] * 8
    assert prof.dram_bytes == 18 * N * 4


CHAINS = {
    "in place": lambda x: x.clone().mul_(2).add_(x).clamp_(min=0),
    "out": lambda x: torch.add(x, 1, out=torch.empty_like(x)),
    "views are free": lambda x: x.view(64, 64).t()[:, 3:].reshape(-1).unsqueeze(0) * 2,
    "types": lambda x: (x.half() * 2, x.bfloat16() + 1, x > 0, x.int() + 1, torch.where(x > 0, x, -x)),
    "a scalar tensor": lambda x: x * torch.tensor(2.0),
    "fills": lambda x: (torch.zeros(N), torch.full_like(x, 3.0), torch.arange(N), x.clone().zero_()),
    "with itself": lambda x: x + x,
    "a row for all": lambda x: x.view(64, 64) + x.view(64, 64)[0],
}


@pytest.mark.parametrize("name", CHAINS)
def test_operators_and_kernels_agree(name):
    """Same launches, and the bytes that the dispatcher's rules give."""
    x = torch.linspace(-3, 3, N)
    kernels, operators, got, expected, mode = both(lambda: CHAINS[name](x))
    torch.testing.assert_close(got, expected)
    assert not mode.not_kernels
    assert kernels.n_launches == operators.n_launches
    assert all(kernel.kind == "kernel" for kernel in kernels.kernels)
    # A kernel reads whole sectors of 32 bytes, at both ends; and a tensor of one number travels as an argument.
    assert abs(kernels.dram_bytes - operators.dram_bytes) <= 64 * kernels.n_launches


def test_a_column_costs_a_sector_for_each_number():
    """Where the dispatcher's rules see 4 bytes, a kernel fetches 32."""
    x = torch.linspace(-3, 3, N).view(64, 64)
    kernels, operators, got, expected, _ = both(lambda: x[:, 0] * 2)
    torch.testing.assert_close(got, expected)
    assert operators.dram_read_bytes == 64 * 4
    assert kernels.dram_read_bytes == 64 * 32


def test_result_of_an_operator_in_place_is_its_argument():
    x = torch.ones(N)
    with eager_kernels():
        assert x.add_(1) is x
        out = torch.empty(N)
        assert torch.mul(x, 3, out=out) is out
    assert torch.equal(out, torch.full((N,), 6.0))


def test_training_step_is_all_kernels():
    generator = torch.Generator().manual_seed(0)
    x, label = torch.randn(32, 64, generator=generator), torch.randint(0, 16, (32,), generator=generator)
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.LayerNorm(32), torch.nn.Linear(32, 16))

    def step():
        mine = copy.deepcopy(model)
        optimiser = torch.optim.SGD(mine.parameters(), lr=0.1, momentum=0.9)
        loss = F.cross_entropy(mine(x).relu(), label)
        loss.backward()
        optimiser.step()
        return loss.detach(), [parameter.detach() for parameter in mine.parameters()]

    kernels, operators, got, expected, mode = both(step)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)  # sums in another order
    assert not mode.not_kernels
    assert {kernel.kind for kernel in kernels.kernels} == {"kernel"}
    assert kernels.n_launches >= operators.n_launches


def test_attention_by_hand_and_a_large_sum():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 32, 16, generator=generator) for _ in range(3))
    long = torch.randn(1 << 17, generator=generator)

    def run():
        return torch.softmax(q @ k.transpose(1, 2) / 4, -1) @ v, long.sum()

    kernels, _, got, expected, mode = both(run)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert not mode.not_kernels
    assert [kernel.name.split("_")[1] for kernel in kernels.kernels] == ["tem", "poi", "per", "tem", "unk"]
    assert kernels.kernels[-1].grid[0] > 1  # blocks share the sum, in one launch
    assert kernels.kernels[-1].counters.dram_read_bytes >= 4 << 17


def test_random_numbers_follow_the_seed_and_the_rate():
    x = torch.ones(1 << 14)

    def dropped(seed):
        torch.manual_seed(seed)
        with eager_kernels() as mode:
            result = F.dropout(x, 0.25)
        assert not mode.not_kernels
        return result

    first, again, other = dropped(1), dropped(1), dropped(2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0.73 < (first != 0).float().mean() < 0.77  # 6 standard deviations
    torch.testing.assert_close(first[first != 0], torch.full_like(first[first != 0], 1 / 0.75))


def test_what_has_no_kernel_runs_natively_and_is_named():
    x = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    with profile() as prof, eager_kernels() as mode:
        values, _ = x.sort(1)
        x[x > 0]
        torch.empty(0) + 1
        torch.complex(x, x) * 2
    assert torch.equal(values, x.sort(1).values)
    assert mode.not_kernels["aten.sort"].startswith("Inductor hands it to another library")
    assert mode.not_kernels["aten.index"] == "its result's shape depends on data"
    assert "empty" in mode.not_kernels["aten.add"]
    assert "complex" in mode.not_kernels["aten.mul"]
    kinds = {kernel.name: kernel.kind for kernel in prof.kernels}
    assert kinds["aten.sort"] == kinds["aten.index"] == kinds["aten.mul"] == "operator"
    assert kinds["triton_poi_fused_gt_0"] == "kernel"


def test_what_eager_refuses_is_refused():
    x = torch.ones(N)
    with pytest.raises(RuntimeError, match="single memory location"), eager_kernels():
        x[1:].add_(x[:-1])
    with pytest.raises(RuntimeError, match="The size of tensor a"), eager_kernels():
        x + torch.ones(3)


def test_a_kernel_is_compiled_once(monkeypatch):
    x = torch.ones(N)
    with eager_kernels():
        torch.erf(x)
    monkeypatch.setattr(operator_kernels, "_compile", lambda *_: pytest.fail("compiled again"))
    with eager_kernels():
        torch.erf(x)


def test_an_exception_leaves_the_mode():
    with pytest.raises(ZeroDivisionError), eager_kernels():
        1 / 0  # noqa: B018
    with profile() as prof:
        torch.ones(N).exp()
    assert [kernel.kind for kernel in prof.kernels] == ["operator", "operator"]


def test_where_there_is_a_cuda_device_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teachkit.frontends.operator_kernels.uses_cuda", lambda: True)
    with profile() as prof, eager_kernels() as replaced:
        y = torch.ones(64) + 1
    assert y.eq(2).all()
    assert [report.kind for report in prof.kernels] == ["operator", "operator"]
    assert set(replaced.not_kernels) == {"aten.ones", "aten.add"}
    assert "there is a CUDA device" in replaced.not_kernels["aten.add"]
