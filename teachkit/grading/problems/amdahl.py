"""``amdahl(serial_us, parallel_us, n_workers)``: what more workers can and cannot do for a program."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

from teachkit.grading.data_problem import DataProblem
from teachkit.grading.problem import Case, Failure, RubricItem

KEYS = ("speedup", "limit", "workers_for_90_percent")
RELATIVE_ERROR = 1e-9  # double precision has 16 digits; a formula of three operations loses one or two of them

RUBRIC = (
    RubricItem(
        "correct",
        2,
        "speed-up with n workers, and the limit that no number of workers passes",
        (
            "write down the time with one worker, then with n: which of the two parts becomes shorter?",
            "the time with n workers is serial_us + parallel_us / n; speed-up is the old time over the new one.",
            "the limit is what is left when parallel_us / n goes to 0: (serial_us + parallel_us) / serial_us.",
        ),
    ),
    RubricItem(
        "workers",
        1,
        "the fewest workers that reach 90 percent of the limit",
        (
            "90 percent of the limit is a time: how long may the parallel part still take then?",
            "limit / 0.9 as a time: serial_us / 0.9. Solve serial_us + parallel_us / n <= serial_us / 0.9 for n.",
            "n >= 9 * parallel_us / serial_us. Round up in whole numbers, -(-a // b): a float may land just above one.",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "nothing serial: limit math.inf, of which nobody reaches 90 percent (None); nothing parallel",
        (
            "which of your divisions has a divisor that may be 0?",
            "without a serial part the speed-up is n itself and the limit is math.inf.",
            "without a parallel part everything is 1: speed-up, limit and workers.",
        ),
    ),
)


def make_cases(seed: int) -> list[Case]:
    """Fresh times; workers from 1 to more than a GPU has lanes; both limits."""
    source = random.Random(seed)
    cases = [Case("correct", "a frame of video", (1000, 9000, 8))]
    for n_workers in (1, 2, 7, 108, 6912, 10**6):
        args = source.randrange(1, 10**5), source.randrange(1, 10**7), n_workers
        cases.append(Case("correct", f"{n_workers} workers", args))
    for ratio in (1, 11, 97, 1001):
        serial = source.randrange(3, 10**4)
        cases.append(Case("workers", "a whole number of workers is just enough", (serial, ratio * serial, 16)))
    for _ in range(3):
        cases.append(Case("workers", "fresh times", (source.randrange(1, 999), source.randrange(1, 10**6), 4)))
    cases.append(Case("edge cases", "nothing serial", (0, source.randrange(1, 10**6), source.randrange(2, 5000))))
    cases.append(Case("edge cases", "nothing parallel", (source.randrange(1, 10**6), 0, source.randrange(2, 5000))))
    return cases


def expected(serial_us: int, parallel_us: int, n_workers: int) -> dict[str, Fraction | float | int | None]:
    """The exact answer, in fractions."""
    total = Fraction(serial_us + parallel_us)
    speedup = total / (serial_us + Fraction(parallel_us, n_workers))
    if serial_us == 0:
        return {"speedup": speedup, "limit": math.inf, "workers_for_90_percent": None}
    workers = max(1, math.ceil(Fraction(9 * parallel_us, serial_us)))
    return {"speedup": speedup, "limit": total / serial_us, "workers_for_90_percent": workers}


def why_wrong(case: Case, answer: Any) -> list[Failure]:
    """Each of the three numbers is judged alone."""
    if not isinstance(answer, dict) or set(answer) != set(KEYS):
        return [Failure("correct", f"expected a dict with the keys {', '.join(KEYS)}, got {answer!r}")]
    failures = []
    for key, right in expected(*case.args).items():
        got = answer[key]
        if key == "workers_for_90_percent":
            is_right = got == right and type(got) is type(right)
            item = "edge cases" if case.item == "edge cases" else "workers"
        else:
            is_right = right is not None and type(got) in (int, float) and _is_close(got, right)
            item = "edge cases" if case.item == "edge cases" else "correct"
        if not is_right:
            shown = float(right) if isinstance(right, Fraction) else right
            failures.append(Failure(item, f"{key}: expected {shown!r}, got {got!r}"))
    return failures


def _is_close(got: float, right: Fraction | float) -> bool:
    if right == math.inf or not math.isfinite(got):
        return bool(got == right)
    return abs(Fraction(got) - Fraction(right)) <= Fraction(RELATIVE_ERROR) * Fraction(right)


def show(case: Case) -> str:
    """The call."""
    serial_us, parallel_us, n_workers = case.args
    call = f"amdahl(serial_us={serial_us}, parallel_us={parallel_us}, n_workers={n_workers})"
    return f"input: {case.label}\n  {call}"


PROBLEM = DataProblem("amdahl", "10_cpu_vs_gpu", RUBRIC, make_cases, why_wrong, show)
