"""Comparing tensors, budgets, poison, and the inputs of the cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from teachkit.grading import inputs, trial
from teachkit.grading.budget import Budget, Limit, why_over
from teachkit.grading.compare import Expected, mismatches, show_argument, why_no_tensor
from teachkit.grading.philox import philox_4x32, rand
from teachkit.grading.problem import LaunchUse


def expected(exact: torch.Tensor, k: float = 4) -> Expected:
    return Expected(exact, exact.float(), exact.abs(), k, "for a reason")


def test_first_three_mismatches() -> None:
    exact = torch.arange(1, 101, dtype=torch.float64).reshape(10, 10)
    value = exact.float()
    assert mismatches(value, expected(exact)) is None
    value[3, 4] = 0
    value[7:, 0] = float("nan")
    text = mismatches(value, expected(exact))
    assert text is not None
    lines = text.split("\n")
    assert lines[0] == "4 of 100 elements are wrong; the first:"
    assert lines[1] == "  index (3, 4): expected 35, got 0"
    assert lines[2] == "  index (7, 0): expected 71, got nan"
    assert len(lines) == 5
    assert lines[4] == "allowed error: 4 times the library's, for a reason"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_wrong(bad: float) -> None:
    exact = torch.ones(8, dtype=torch.float64)
    value = exact.float()
    value[5] = bad
    assert "index 5" in (mismatches(value, expected(exact)) or "")


def test_rounding_is_allowed_k_times() -> None:
    exact = torch.rand(1000, dtype=torch.float64) + 1
    eps = torch.finfo(torch.float32).eps
    assert mismatches((exact * (1 + 2 * eps)).float(), expected(exact)) is None
    assert mismatches((exact * (1 + 8 * eps)).float(), expected(exact)) is not None


def test_zero_must_be_zero_where_nothing_is_rounded() -> None:
    exact = torch.zeros(4, dtype=torch.float64)
    assert mismatches(torch.zeros(4), expected(exact)) is None
    assert mismatches(torch.full((4,), 1e-20), expected(exact)) is not None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(4, np.float32), "expected a plain torch.Tensor, got numpy.ndarray"),
        (None, "got builtins.NoneType"),
        (torch.nn.Parameter(torch.zeros(4)), "got torch.nn.parameter.Parameter"),
        (torch.zeros(4, dtype=torch.float64), "expected float32 [4] on cpu, got float64 [4] on cpu"),
        (torch.zeros(4, 1), "got float32 [4, 1] on cpu"),
        (torch.zeros(4).to_sparse(), "expected a dense tensor"),
        (torch.zeros(4, device="meta"), "on meta"),
    ],
)
def test_only_plain_tensors(value: object, message: str) -> None:
    assert message in (why_no_tensor(value, torch.zeros(4)) or "")


def test_arguments_in_one_line() -> None:
    assert show_argument("x", torch.arange(6.0)[::2]) == "x: float32 [3] on cpu, strides [2] = 0, 2, 4"
    assert show_argument("x", torch.arange(6.0)) == "x: float32 [6] on cpu = 0, 1, 2, 3, ..."
    assert show_argument("p", 0.5) == "p = 0.5"


BUDGET = Budget(n_launches=1, dram_bytes=800, least_bytes=800, n_tensors=2, n_elements=100)


@pytest.mark.parametrize(
    ("launches", "message"),
    [
        ([("k", "kernel", 800)], None),
        ([("k", "kernel", 864)], None),
        ([("k", "kernel", 800), ("aten.clone", "operator", 800)], None),
        ([("k", "kernel", 896)], "DRAM bytes moved: 896 (9.0 an element), budget 864 (8.6 an element)"),
        ([("k", "kernel", 400), ("k", "kernel", 400)], "kernels launched: 2, budget 1"),
        ([("k", "kernel", 800), ("aten.add", "operator", 0)], "PyTorch operators launched: 1 (add), budget 0"),
        ([("aten.mul", "operator", 800)] * 2, "PyTorch operators launched: 2 (mul x2), budget 0"),
        ([], "kernels launched: 0, budget 1"),
        ([("k", "kernel", 64)], "part of the work was done outside any kernel"),
    ],
)
def test_budget(launches: list[tuple[str, str, int]], message: str | None) -> None:
    problems = why_over(BUDGET, tuple(LaunchUse(*use) for use in launches), frozenset({"clone"}))
    if message is None:
        assert problems == []
    else:
        assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"branches": 3}, ""),
        ({"branches": 1}, "branches: 1, budget 2 to 4: some were left out"),
        ({"branches": 5}, "branches: 5, budget 2 to 4: twice is too often"),
        ({}, "branches: 0, budget 2 to 4: some were left out"),
    ],
)
def test_limits_on_counters(counts: dict[str, int], message: str) -> None:
    limits = (Limit("branches", 2, 4, "some were left out", "twice is too often"), Limit("n_threads", 256, 256))
    budget = Budget(1, 800, 800, 2, 100, limits)
    use = LaunchUse("k", "kernel", 800, n_blocks=4, n_block_threads=64, counts=counts)
    assert why_over(budget, (use,), frozenset()) == ([message] if message else [])
    few = LaunchUse("k", "kernel", 800, n_blocks=3, n_block_threads=64, counts={"branches": 2})
    assert why_over(budget, (few,), frozenset()) == ["n_threads: 192, budget 256"]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.empty(5),
        lambda x: torch.empty_like(x),
        lambda x: x.new_empty(3),
        lambda x: torch.empty_strided((2, 2), (2, 1)),
        lambda x: torch.empty(3, dtype=torch.float16),
    ],
)
def test_fresh_memory_is_poisoned(make) -> None:
    x = torch.ones(4)
    with trial.poisoned_allocations():
        value = make(x)
    assert value.isnan().all()
    assert not x.isnan().any()


def test_integers_are_poisoned_too() -> None:
    with trial.poisoned_allocations():
        assert (torch.empty(3, dtype=torch.int32) == torch.iinfo(torch.int32).min).all()


def test_every_seed_has_its_own_inputs() -> None:
    one, again, other = (inputs.normal((64,), inputs.generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_needle_and_tails() -> None:
    source = inputs.generator(3)
    assert int((inputs.needle(1000, source) != 0).sum()) == 1
    tails = inputs.heavy_tails((4000,), source).abs()
    assert tails.max() > 1e5
    assert tails.min() < 1e-5
    assert inputs.with_gaps(10, source).stride() == (2,)


def test_philox_against_published_answers() -> None:
    # Source: known-answer tests of Random123 1.14, philox 4x32 with 10 rounds.
    zeros = philox_4x32(np.zeros((4, 1), np.uint32), 0)[:, 0]
    assert [hex(word) for word in zeros] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    counter = np.array([[0x243F6A88], [0x85A308D3], [0x13198A2E], [0x03707344]], np.uint32)
    pi = philox_4x32(counter, 0xA4093822 | (0x299F31D0 << 32))[:, 0]
    assert [hex(word) for word in pi] == ["0xd16cfe09", "0x94fdcceb", "0x5001e420", "0x24126ea1"]


def test_random_numbers_are_uniform() -> None:
    numbers = rand(12345, np.arange(100_000))
    assert numbers.dtype == np.float32
    assert 0 <= numbers.min() < numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.005  # five standard deviations of the mean
