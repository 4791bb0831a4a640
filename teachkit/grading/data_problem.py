"""An exercise whose answer is data: a plan, a table, a classification.

What a submission returns is first turned into plain lists, dicts, strings and numbers, so that no object of its own
reaches the judge. Not modelled: counters; nothing is launched on the learner's behalf.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from teachkit.errors import NotPlainError
from teachkit.grading.problem import Case, Failure, Outcome, RubricItem
from teachkit.grading.trial import call_plainly, safe_text

_PLAIN = (bool, int, float, str)
MAX_DEPTH = 8


@dataclasses.dataclass(frozen=True, slots=True)
class DataProblem:
    """Cases of one exercise and the rule for its answers.

    Parameters
    ----------
    slug, chapter, rubric : as in :class:`teachkit.grading.problem.Problem`.
    make_cases : seed -> cases.
    why_wrong : (case, plain answer) -> reasons with the rubric item each one costs.
    show : case -> its input as text.
    """

    slug: str
    chapter: str
    rubric: tuple[RubricItem, ...]
    make_cases: Callable[[int], Sequence[Case]]
    why_wrong: Callable[[Case, Any], list[Failure]]
    show: Callable[[Case], str]

    def cases(self, seed: int) -> Sequence[Case]:
        """Fresh data for every seed."""
        return self.make_cases(seed)

    def run(self, submission: Callable[..., Any], case: Case) -> Outcome:
        """One call on copies of the arguments."""
        arguments = copy.deepcopy(case.args)
        outcome = call_plainly(submission, arguments)
        if outcome.error is not None:
            return outcome
        changed = tuple(index for index, old in enumerate(case.args) if arguments[index] != old)
        try:
            return Outcome(value=plain(outcome.value), changed_inputs=changed)
        except NotPlainError as error:
            return Outcome(error=error.message)

    def judge(self, case: Case, outcome: Outcome, earlier: Sequence[Outcome] = ()) -> list[Failure]:
        """Reasons against the answer, each with the input beside it."""
        if outcome.error is not None:
            failures = [Failure(case.item, outcome.error)]
        elif outcome.changed_inputs:
            failures = [Failure(case.item, "the call changed its input, which must stay as it was")]
        else:
            failures = self.why_wrong(case, outcome.value)
        shown = self.show(case)
        return [dataclasses.replace(failure, message=f"{failure.message}\n{shown}") for failure in failures]


def plain(value: Any, depth: int = 0) -> Any:
    """The same data in lists, dicts, strings, numbers and ``None``; sets become sorted lists.

    Raises
    ------
    NotPlainError
        For anything else, a subclass of a plain type included.
    """
    kind = type(value)
    if value is None or kind in _PLAIN:
        return value
    if depth == MAX_DEPTH:
        raise NotPlainError(f"expected an answer nested at most {MAX_DEPTH} deep")
    if kind in (list, tuple):
        return [plain(element, depth + 1) for element in value]
    if kind in (set, frozenset):
        elements = [plain(element, depth + 1) for element in value]
        return sorted(elements, key=lambda element: (type(element).__name__, repr(element)))
    if kind is dict:
        return {str(plain(key, depth + 1)): plain(element, depth + 1) for key, element in value.items()}
    found = f"{kind.__module__}.{kind.__qualname__}: {safe_text(value)}"
    raise NotPlainError(f"expected lists, sets, dicts, strings and numbers, got {found}")
