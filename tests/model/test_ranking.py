"""The time model ranks published ladders, and a step is explained by the term that moved."""

from __future__ import annotations

import dataclasses
import functools

import pytest

from teachkit.errors import KernelInputError, ModelInputError
from teachkit.hardware.spec import gpu
from teachkit.kernels import LADDERS, ladder
from teachkit.model.estimate import LABELS
from teachkit.model.ranking import TERMS_OF_COUNTER, Ranking, kendall_tau, rank

BAR = 0.8


@functools.cache
def ranked(name: str) -> Ranking:
    """The ladder at its published size and GPU."""
    return rank(ladder(name))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n_rungs"), [("matmul", 7), ("reduction", 7), ("transpose", 3)])
def test_the_order_is_the_published_one(name: str, n_rungs: int) -> None:
    found = ranked(name)
    assert len(found.published_rungs) == n_rungs
    assert found.tau >= BAR


@pytest.mark.slow
@pytest.mark.parametrize("name", ["matmul", "reduction", "transpose"])
def test_each_gain_comes_from_a_term_that_the_rungs_counters_feed(name: str) -> None:
    steps = ranked(name).steps
    assert [step.sentence for step in steps if not step.is_explained] == []
    moved = [step.term for step in steps]
    if name == "matmul":
        assert moved == ["l1", "l2", *["shared"] * 4]
    elif name == "transpose":
        assert moved[:2] == ["l2", "shared"]
    else:
        assert moved[:4] == ["issue"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["V100", "A100"])
def test_newer_gpus_tell_the_last_reductions_apart_no_longer(name: str) -> None:
    """An honest null result: with the vector in DRAM, unrolling gains nothing where memory is the limit."""
    seconds = {one.rung.name: one.seconds for one in rank(ladder("reduction"), (1 << 20,), name).rungs}
    assert seconds["last warp unrolled"] == pytest.approx(seconds["unrolled"], rel=0.01)
    assert seconds["many adds a thread"] < seconds["unrolled"] < seconds["interleaved, divergent"]


@pytest.mark.parametrize(
    ("slowest_first", "tau"),
    [
        ([4.0, 3.0, 2.0, 1.0], 1.0),
        ([1.0, 2.0, 3.0, 4.0], -1.0),
        ([4.0, 2.0, 3.0, 1.0], 4 / 6),
        ([1.0, 1.0, 1.0], 0.0),
        ([1.001, 1.0], 0.0),  # closer than any model is
        ([2.0, 1.0, 1.0], 2 / 3),
    ],
)
def test_kendalls_tau(slowest_first: list[float], tau: float) -> None:
    assert kendall_tau(slowest_first) == pytest.approx(tau)


def test_kendalls_tau_of_one_number_is_none() -> None:
    with pytest.raises(ModelInputError, match="two or more times to compare, got 1"):
        kendall_tau([1.0])


def test_a_small_ladder_is_explained_step_by_step() -> None:
    seen: list[str] = []
    found = rank(ladder("gelu"), (1 << 20,), "A100", progress=lambda rung: seen.append(rung.name))
    assert seen == ["eager", "two kernels", "fused", "vectorised"]
    assert found.gpu is gpu("A100")
    first, second, last = found.steps
    assert (first.term, second.term) == ("dram", "dram")
    assert first.is_explained
    assert first.gain == pytest.approx(found.rungs[0].seconds / found.rungs[1].seconds)
    assert "DRAM bandwidth fell from" in first.sentence
    # Fewer and larger requests for the same bytes: fewer waves of blocks wait for DRAM.
    assert last.term == "latency"
    assert all(step.is_explained for step in found.steps)
    assert found.published_rungs == ()


def test_a_gain_by_another_term_is_not_called_explained() -> None:
    found = rank(ladder("gelu"), (1 << 20,), "A100")
    step = found.steps[0]
    wrong = dataclasses.replace(step.upper, rung=dataclasses.replace(step.upper.rung, proof=("barriers",)))
    assert not dataclasses.replace(step, upper=wrong).is_explained


def test_every_counter_that_a_rung_names_feeds_terms_of_the_model() -> None:
    assert {term for terms in TERMS_OF_COUNTER.values() for term in terms} <= set(LABELS)
    names = {counter for name in LADDERS for rung in ladder(name) for counter in rung.proof}
    assert names <= set(TERMS_OF_COUNTER)


def test_a_ladder_without_published_figures_needs_size_and_gpu() -> None:
    with pytest.raises(ModelInputError, match=r"(?s)size and a GPU for the ladder 'copy'.*Hint: for example"):
        rank(ladder("copy"), (1024,))
    with pytest.raises(KernelInputError, match="divide, got"):
        rank(ladder("matmul"), (100, 100, 100), "A100")
