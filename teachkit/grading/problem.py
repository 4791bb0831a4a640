"""What an exercise is: cases to run, and a judge that looks at what came back.

Cases and judges are kept apart from the running on purpose. The check in a notebook is practice: it runs the submission
in the learner's own process. A grader that trusts nobody can run the same cases elsewhere and hand the same judge what
it saw. Not modelled: time, which earns no points.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

N_HINTS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class RubricItem:
    """One thing that earns points.

    Parameters
    ----------
    key : ``"correct"``, ``"edge cases"`` or ``"budget"``.
    points : what it is worth.
    asks : one sentence, shown beside the points.
    hints : from a nudge to nearly the answer; one more is shown at every failed attempt.
    """

    key: str
    points: int
    asks: str
    hints: tuple[str, str, str]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One call of the submission.

    Parameters
    ----------
    item : key of the rubric item that a wrong result costs.
    label : what is special about it, in words.
    args : positional arguments.
    allowed_operators : PyTorch operators that may run besides the kernel, by the name a profile gives them.
    """

    item: str
    label: str
    args: tuple[Any, ...]
    allowed_operators: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class LaunchUse:
    """What one launch did, as a judge needs it: plain numbers, wherever they were counted."""

    name: str
    kind: str  # "kernel" or "operator"
    dram_bytes: int
    n_blocks: int = 0  # of a kernel
    n_block_threads: int = 0
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)  # the emulator's counters by name


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came back from one call.

    Parameters
    ----------
    value : what the submission returned.
    launches : kernels and operators it ran, in order.
    changed_inputs : positions of arguments that are not what they were.
    error : what it raised, as text with the learner's own line; ``None`` if it returned.
    not_attempted : it raised because the stub is untouched.
    """

    value: Any = None
    launches: tuple[LaunchUse, ...] = ()
    changed_inputs: tuple[int, ...] = ()
    error: str | None = None
    not_attempted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """One reason why points are missing: the rubric item it costs, and the explanation."""

    item: str
    message: str


class Problem(Protocol):
    """An exercise, as the registry holds it."""

    @property
    def slug(self) -> str:
        """Name of the exercise, and of the function that answers it."""

    @property
    def chapter(self) -> str:
        """Slug of the lecture that it belongs to."""

    @property
    def rubric(self) -> tuple[RubricItem, ...]:
        """What earns points."""

    def cases(self, seed: int) -> Sequence[Case]:
        """Calls to make: fresh data for every seed, the same data for the same seed."""

    def run(self, submission: Callable[..., Any], case: Case) -> Outcome:
        """One call in this process, observed."""

    def judge(self, case: Case, outcome: Outcome, earlier: Sequence[Outcome] = ()) -> list[Failure]:
        """Why this outcome is not good enough, given those of the cases before it; empty if it is."""
