"""The launches that the exercises take for granted are those that a profile counts."""

from __future__ import annotations

import pytest
import torch

from teachkit.grading.eager_problem import EagerProblem, Seen
from teachkit.grading.eager_programs import STEPS, Program
from teachkit.grading.problem import Case, RubricItem
from teachkit.measure import profile

ITEM = RubricItem("correct", 1, "anything", ("a", "b", "c"))


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(3, 7), (8, 3), (5, 5)])
def test_a_profile_counts_the_same(step: str, shape: tuple[int, int], device: str) -> None:
    program = Program((step,), torch.randn(shape, device=device))
    with profile() as prof:
        program()
    assert prof.n_launches == program.n_launches == STEPS[step][1]
    assert program.n_runs == 1
    assert program.counted_by_course


def test_a_program_notes_that_nobody_counted() -> None:
    program = Program(("x + 1",), torch.ones(2, 2))
    program()
    assert not program.counted_by_course


def seen_of(submission, *args) -> Seen:
    problem = EagerProblem("any", "any", (ITEM,), lambda seed: [], lambda case, seen: [], lambda case: "")
    outcome = problem.run(submission, Case("correct", "", args))
    assert outcome.error is None
    assert isinstance(outcome.value, Seen)
    return outcome.value


def test_a_call_cannot_touch_the_tensors_of_the_case() -> None:
    x, many = torch.ones(3), [torch.ones(3), torch.ones(2)]
    seen = seen_of(lambda a, b: (a.zero_(), b[0].zero_()), x, many)
    assert x.sum() == 3
    assert many[0].sum() == 3
    assert seen.arguments[0].sum() == seen.arguments[1][0].sum() == 0
    assert seen.replaced == ()
    assert len(seen.launches) == 2
    assert seen.dram_bytes == 2 * 12


def test_other_tensors_in_a_list_are_noticed() -> None:
    seen = seen_of(lambda x, tensors: tensors.__setitem__(0, tensors[0] + x), torch.ones(1), [torch.ones(3)])
    assert seen.replaced == (1,)


@pytest.mark.parametrize("device", DEVICES)
def test_waits_are_counted_wherever_they_happen(device: str) -> None:
    seen = seen_of(lambda x: (x.tolist(), x.sum().item(), bool(x[0] > 0)), torch.ones(3, device=device))
    assert seen.n_waits == 3
