"""``check``: runs an exercise's cases on a submission and reports.

Points are kept on disk (:mod:`teachkit.grading.progress`). How often an exercise was tried in vain is kept in memory
and starts anew with the process: a learner who restarts the kernel meets the hints again from the first. Not modelled:
cheating that only a separate, trusted process can rule out.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

from teachkit.grading import progress
from teachkit.grading.problem import N_HINTS, Failure, Outcome, Problem
from teachkit.grading.registry import find
from teachkit.grading.report import ItemResult, Report
from teachkit.grading.trial import safe_text

MAX_REASONS = 2

_n_failed: Counter[str] = Counter()


def check(slug: str, submission: Any, *, seed: int | None = None) -> Report:
    """Check an answer on fresh inputs; never raises for what the answer does.

    Parameters
    ----------
    slug : the exercise, e.g. ``"fused_gelu"``.
    submission : the function that answers it.
    seed : makes the inputs the same again; fresh ones at every call when left out.

    Returns
    -------
    Report
        ``repr`` is the points; ``print`` and Jupyter show the explanation.

    Raises
    ------
    UnknownExerciseError
        If there is no such exercise; the message lists those that exist.
    """
    problem = find(slug)
    if not callable(submission):
        what = f"expected the function {slug}, got {safe_text(submission)} of type {type(submission).__name__}"
        return _kept(_report(problem, [Failure(problem.rubric[0].key, what)]))
    failures = _failures(problem, submission, secrets.randbits(32) if seed is None else seed)
    if failures is None:
        untouched = (ItemResult(item.key, item.asks, 0, item.points) for item in problem.rubric)
        return Report(slug, tuple(untouched), attempted=False)
    return _kept(_report(problem, failures))


def _kept(report: Report) -> Report:
    progress.keep(report)
    return report


def forget_attempts() -> None:
    """Start again with the first hint of every exercise."""
    _n_failed.clear()


def _failures(problem: Problem, submission: Any, seed: int) -> list[Failure] | None:
    """Everything that is wrong, or ``None`` if the stub is untouched."""
    failures: list[Failure] = []
    raised: set[str] = set()
    outcomes: list[Outcome] = []
    for index, case in enumerate(problem.cases(seed)):
        # What raised once will raise again, and one message about it is enough.
        if case.item in raised:
            continue
        outcome = problem.run(submission, case)
        if outcome.not_attempted and index == 0:
            return None
        failures += problem.judge(case, outcome, outcomes)
        outcomes.append(outcome)
        if outcome.error is not None and case.item == "correct":
            break
        if outcome.error is not None:
            raised.add(case.item)
    return failures


def _report(problem: Problem, failures: list[Failure]) -> Report:
    wrong = any(failure.item == "correct" for failure in failures)
    if failures:
        _n_failed[problem.slug] += 1
    n_hints = min(_n_failed[problem.slug], N_HINTS)
    results = []
    for item in problem.rubric:
        reasons = [failure.message for failure in failures if failure.item == item.key]
        if item.key != "correct" and wrong and not reasons:
            # Few bytes and round sizes are easy for a function that computes something else.
            reasons = ["not judged: the result has to be correct first"]
            results.append(ItemResult(item.key, item.asks, 0, item.points, tuple(reasons)))
        elif reasons:
            kept = reasons[:MAX_REASONS]
            if len(reasons) > MAX_REASONS:
                kept.append(f"... and {len(reasons) - MAX_REASONS} more of this kind")
            results.append(ItemResult(item.key, item.asks, 0, item.points, tuple(kept), item.hints[:n_hints]))
        else:
            results.append(ItemResult(item.key, item.asks, item.points, item.points))
    return Report(problem.slug, tuple(results))
