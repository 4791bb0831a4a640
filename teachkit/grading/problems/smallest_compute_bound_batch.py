"""``smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s)``: rows until arithmetic decides."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from teachkit.grading.data_problem import DataProblem
from teachkit.grading.problem import Case, Failure, RubricItem

RUBRIC = (
    RubricItem(
        "correct",
        2,
        "the smallest number of rows for which the arithmetic takes at least as long as the bytes",
        (
            "write down the FLOPs and the bytes of [B, n_in] @ [n_in, n_out] with B in them. Which parts do not "
            "depend on B?",
            "compute-bound: flop / flop_per_s >= n_bytes / bytes_per_s, where n_bytes counts the rows, the weights and "
            "the results. Solve for B, and round up.",
            "with r = flop_per_s * item_bytes / bytes_per_s (an exact Fraction): B * (2 * n_in * n_out - r * (n_in + "
            "n_out)) >= r * n_in * n_out.",
        ),
    ),
    RubricItem(
        "edge cases",
        2,
        "layers for which no batch is large enough, exact ties, one row, very large numbers",
        (
            "does the intensity grow without end when B does? What does it approach?",
            "for B towards infinity it approaches 2 * n_in * n_out / (item_bytes * (n_in + n_out)). If that is not "
            "above the ridge, the answer is None.",
            "if 2 * n_in * n_out <= r * (n_in + n_out): return None. Round up with whole numbers, -(-a // b), since "
            "a float may be off by one.",
        ),
    ),
)


def make_cases(seed: int) -> list[Case]:
    """Fresh layers and devices; then narrow layers, ties, a slow device, and layers near the border."""
    source = random.Random(seed)
    cases = []
    for _ in range(6):
        n_in, n_out = source.randrange(900, 9000), source.randrange(900, 9000)
        cases.append(_case("correct", "", n_in, n_out, source.choice((1, 2, 4)), source.randrange(20, 300), source))
    narrow = source.randrange(16, 64)
    cases.append(_case("edge cases", "a narrow layer", narrow, source.randrange(900, 9000), 2, 250, source))
    # 2 n n / (item (n + n)) = n / item is the limit of a square layer: exactly the ridge is reached by no batch.
    cases.append(Case("edge cases", "a limit that is never reached", (512, 512, 2, 256 * 10**12, 10**12)))
    # B n = r n n / (2 n n - 2 r n) without a remainder.
    cases.append(Case("edge cases", "an exact tie", (400, 400, 2, 100 * 10**12, 10**12)))
    cases.append(Case("edge cases", "a slow processor", (4096, 4096, 4, 10**9, 10**12)))
    cases.append(Case("edge cases", "just above the border", (2000, 2000, 2, 999 * 10**12, 10**12)))
    cases.append(Case("edge cases", "large numbers", (10**6 + 3, 10**6 - 17, 2, 989_400 * 10**9, 3_350_000_001)))
    return cases


def _case(item: str, label: str, n_in: int, n_out: int, item_bytes: int, ridge: int, source: random.Random) -> Case:
    bytes_per_s = source.randrange(10**11, 9 * 10**12)
    return Case(item, label, (n_in, n_out, item_bytes, ridge * bytes_per_s + source.randrange(10**11), bytes_per_s))


def is_compute_bound(batch: int, n_in: int, n_out: int, item_bytes: int, flop_per_s: int, bytes_per_s: int) -> bool:
    """The definition, in whole numbers."""
    n_flop = 2 * batch * n_in * n_out
    n_bytes = item_bytes * (batch * n_in + n_in * n_out + batch * n_out)
    return n_flop * bytes_per_s >= n_bytes * flop_per_s


def smallest(n_in: int, n_out: int, item_bytes: int, flop_per_s: int, bytes_per_s: int) -> int | None:
    """Found by looking at the definition, twice as far each time, then in between."""
    limit = Fraction(2 * n_in * n_out, item_bytes * (n_in + n_out))
    if limit <= Fraction(flop_per_s, bytes_per_s):
        return None
    args = (n_in, n_out, item_bytes, flop_per_s, bytes_per_s)
    high = 1
    while not is_compute_bound(high, *args):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_compute_bound(middle, *args) else (middle, high)
    return high


def why_wrong(case: Case, answer: Any) -> list[Failure]:
    """Exactly the right number, or None."""
    truth = smallest(*case.args)
    if answer == truth and type(answer) is type(truth):
        return []
    if answer is not None and type(answer) is not int:
        return [Failure(case.item, f"expected a whole number or None, got {answer!r}")]
    return [Failure(case.item, f"expected {_told(truth)}, got {_told(answer)}")]


def _told(batch: int | None) -> str:
    return "None (no batch is large enough)" if batch is None else f"{batch:,}"


def show(case: Case) -> str:
    """The call."""
    n_in, n_out, item_bytes, flop_per_s, bytes_per_s = case.args
    label = f" ({case.label})" if case.label else ""
    numbers = f"n_in={n_in}, n_out={n_out}, item_bytes={item_bytes}, {flop_per_s=}, {bytes_per_s=}"
    return f"{numbers}{label}: ridge at {flop_per_s / bytes_per_s:.1f} FLOP/byte"


PROBLEM = DataProblem("smallest_compute_bound_batch", "30_roofline", RUBRIC, make_cases, why_wrong, show)
