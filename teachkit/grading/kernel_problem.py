"""An exercise whose answer is a function that launches kernels on tensors.

Not modelled: several results; every exercise of this kind returns one tensor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from teachkit.grading.budget import Budget, why_over
from teachkit.grading.compare import Expected, mismatches, show_argument, why_no_tensor
from teachkit.grading.problem import Case, Failure, Outcome, RubricItem
from teachkit.grading.trial import call_counted

if TYPE_CHECKING:
    import torch


@dataclasses.dataclass(frozen=True, slots=True)
class KernelProblem:
    """Cases, expectation and budget of one exercise.

    Parameters
    ----------
    slug, chapter, rubric : as in :class:`teachkit.grading.problem.Problem`.
    argument_names : names of the positional arguments, for messages.
    make_cases : seed -> cases.
    expect : arguments -> what is right.
    budget : arguments -> what may be used.
    """

    slug: str
    chapter: str
    rubric: tuple[RubricItem, ...]
    argument_names: tuple[str, ...]
    make_cases: Callable[[int], Sequence[Case]]
    expect: Callable[..., Expected]
    budget: Callable[..., Budget]

    def cases(self, seed: int) -> Sequence[Case]:
        """Fresh data for every seed."""
        return self.make_cases(seed)

    def run(self, submission: Callable[..., Any], case: Case) -> Outcome:
        """One call on copies of the arguments, counted."""
        return call_counted(submission, tuple(_copy(value) for value in case.args))

    def judge(self, case: Case, outcome: Outcome, earlier: Sequence[Outcome] = ()) -> list[Failure]:
        """The value decides the case's own rubric item; launches and bytes decide the budget in every case."""
        if outcome.error is not None:
            return [self._failure(case, outcome.error)]
        if outcome.changed_inputs:
            names = ", ".join(self.argument_names[index] for index in outcome.changed_inputs)
            return [self._failure(case, f"the call changed its input {names}, which must stay as it was")]
        expected = self.expect(*case.args)
        value = outcome.value
        why = why_no_tensor(value, expected.library) or mismatches(value, expected) or _why_shared(value, earlier)
        if why is not None:
            return [self._failure(case, why)]
        over = why_over(self.budget(*case.args), outcome.launches, case.allowed_operators)
        return [Failure("budget", "\n".join([*over, self._show(case)]))] if over else []

    def _failure(self, case: Case, message: str) -> Failure:
        return Failure(case.item, f"{message}\n{self._show(case)}")

    def _show(self, case: Case) -> str:
        arguments = zip(self.argument_names, case.args, strict=True)
        return "\n".join([f"input: {case.label}", *(f"  {show_argument(name, value)}" for name, value in arguments)])


def _why_shared(value: torch.Tensor, earlier: Sequence[Outcome]) -> str | None:
    """Earlier results are still held here: memory that comes back was not a result of its own."""
    import torch

    results = [old.value for old in earlier if type(old.value) is torch.Tensor]
    if any(value.data_ptr() == result.data_ptr() for result in results):
        return "the result lies in the memory of an earlier result, which this call overwrote"
    return None


def _copy(value: Any) -> Any:
    """A tensor with its own storage and the same strides; anything else as it is."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    storage = torch.empty(0, dtype=value.dtype, device=value.device).set_(value.untyped_storage()).clone()
    return storage.as_strided(value.shape, value.stride(), value.storage_offset())
