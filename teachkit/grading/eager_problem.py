"""An exercise whose answer is a function of PyTorch operators: what it launches, and how often the host has to wait.

The counting objects are the harness's own. Not modelled: a submission that switches PyTorch's dispatch modes off; the
bytes and operators that no correct answer can do without are then missing, which the judges look at.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from teachkit.grading.problem import Case, Failure, LaunchUse, Outcome, RubricItem
from teachkit.grading.trial import call_plainly


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one call returned, made of its arguments, launched and waited for.

    Parameters
    ----------
    value : what it returned.
    arguments : the arguments after the call; tensors that it changed in place are changed here.
    replaced : positions of arguments whose tensors are not the ones that were passed.
    launches : kernels and operators, in order.
    n_waits : how often the host read a value.
    """

    value: Any
    arguments: tuple[Any, ...]
    replaced: tuple[int, ...] = ()
    launches: tuple[LaunchUse, ...] = ()
    n_waits: int = 0

    @property
    def dram_bytes(self) -> int:
        """Bytes moved by all launches."""
        return sum(use.dram_bytes for use in self.launches)


@dataclasses.dataclass(frozen=True, slots=True)
class EagerProblem:
    """Cases of one exercise and the rule for what was seen.

    Parameters
    ----------
    slug, chapter, rubric : as in :class:`teachkit.grading.problem.Problem`.
    make_cases : seed -> cases.
    why_wrong : (case, what was seen) -> reasons with the rubric item each one costs.
    show : case -> its input as text.
    is_counted : whether the call runs under the harness's counters; not where the answer itself counts.
    """

    slug: str
    chapter: str
    rubric: tuple[RubricItem, ...]
    make_cases: Callable[[int], Sequence[Case]]
    why_wrong: Callable[[Case, Seen], list[Failure]]
    show: Callable[[Case], str]
    is_counted: bool = True

    def cases(self, seed: int) -> Sequence[Case]:
        """Fresh data for every seed."""
        return self.make_cases(seed)

    def run(self, submission: Callable[..., Any], case: Case) -> Outcome:
        """One call on copies of the arguments."""
        arguments = tuple(_copy(value) for value in case.args)
        if not self.is_counted:
            outcome = call_plainly(submission, arguments)
            return outcome if outcome.error is not None else Outcome(value=Seen(outcome.value, arguments))
        from teachkit.measure import profile
        from teachkit.measure.host_reads import HostReads

        held = [_tensors(value) for value in arguments]  # held, so that no address is given to another tensor
        passed = [[*map(id, tensors)] for tensors in held]
        with HostReads() as reads, profile() as prof:
            outcome = call_plainly(submission, arguments)
        if outcome.error is not None:
            return outcome
        launches = tuple(LaunchUse(use.name, use.kind, use.counters.dram_bytes) for use in prof.kernels)
        replaced = tuple(index for index, old in enumerate(passed) if [*map(id, _tensors(arguments[index]))] != old)
        seen = Seen(outcome.value, arguments, replaced, launches, reads.n_reads + prof.n_syncs)
        return Outcome(value=seen, launches=launches)

    def judge(self, case: Case, outcome: Outcome, earlier: Sequence[Outcome] = ()) -> list[Failure]:
        """Reasons against what was seen, each with the input beside it."""
        if outcome.error is not None:
            failures = [Failure(case.item, outcome.error)]
        else:
            failures = self.why_wrong(case, outcome.value)
        shown = self.show(case)
        return [dataclasses.replace(failure, message=f"{failure.message}\n{shown}") for failure in failures]


def _tensors(value: Any) -> list[Any]:
    import torch

    if isinstance(value, list):
        return [tensor for element in value for tensor in _tensors(element)]
    return [value] if isinstance(value, torch.Tensor) else []


def _copy(value: Any) -> Any:
    """Tensors and lists of tensors with memory of their own; anything else as ``copy.copy`` gives it."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.clone(memory_format=torch.preserve_format)
    if isinstance(value, list):
        return [_copy(element) for element in value]
    return copy.copy(value)
