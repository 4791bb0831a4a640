"""``is_it_fused()``: for each of six ways to write tanh-GELU, the elements it moves for each element of x.

What is true is counted by running the six, on the NumPy model for NumPy and with a profile for the rest.
"""

from __future__ import annotations

import functools
from typing import Any

from teachkit.grading.data_problem import DataProblem
from teachkit.grading.problem import Case, Failure, RubricItem

FUSED_ELEMENTS = 2

RUBRIC = (
    RubricItem(
        "correct",
        2,
        "which of the six are fused: main memory sees x once and the result once, 2 elements an element",
        (
            "neither the number of lines nor the number of launches decides: follow what has to leave the chip.",
            "NumPy finishes each operator over its whole array before the next one starts. An operator in place still "
            "reads and writes its array. What fits in the cache does not go to main memory.",
            "three of them are fused. In doubt, do not argue, count: run a claim inside tk.profile() and divide "
            "prof.dram_bytes by the bytes of x; for NumPy use teachkit.measure.numpy_traffic.count_numpy.",
        ),
    ),
    RubricItem(
        "traffic",
        2,
        "how many elements each one moves for each element of x",
        (
            "write the operators of a claim below each other, each with the arrays it reads and the one it writes.",
            "an operator with a number as its other input moves 2 elements, one with two arrays moves 3. An array that "
            "is read twice by one operator counts once.",
            "a chain of k operators, each with one array in and one out, moves 2k; add 1 for every second array "
            "that an operator reads, and for every result that is kept besides y.",
        ),
    ),
)


def make_cases(seed: int) -> list[Case]:
    """One question; the answer is the same for every seed."""
    return [Case("correct", "the six claims", ())]


@functools.cache
def counted() -> dict[str, int]:
    """Elements moved for each element of x, counted by running every claim."""
    import numpy as np
    import torch

    from teachkit.hardware.device import device
    from teachkit.kernels import gelu_claims
    from teachkit.measure import profile
    from teachkit.measure.numpy_traffic import count_numpy

    truth = {}
    claim: Any
    x = torch.linspace(-4, 4, 1 << 19)
    for claim in gelu_claims.NUMPY_CLAIMS:
        # Rounded: the one chunk of scratch that goes back at the end is a sixty-fourth of an element.
        truth[claim.__name__] = round(count_numpy(claim, np.asarray(x)).dram_bytes / (4 * x.numel()))
    y = torch.linspace(-4, 4, 1 << 14, device=device())
    for claim in gelu_claims.TORCH_CLAIMS:
        with profile() as prof:
            claim(y)
        truth[claim.__name__] = round(prof.dram_bytes / (4 * y.numel()))
    return truth


def why_wrong(case: Case, answer: Any) -> list[Failure]:
    """First the verdicts, then the exact numbers.

    A verdict is yes or no: naming a wrong one would give the right one away. So of verdicts only the number is said,
    and of elements only whose they are; the hints lead on.
    """
    truth = counted()
    if not isinstance(answer, dict) or set(answer) != set(truth):
        return [Failure("correct", f"expected a dict with the keys {', '.join(truth)}, got {answer!r}")]
    if strange := [name for name, n in answer.items() if type(n) is not int]:
        return [Failure("correct", f"expected whole numbers, got {answer[strange[0]]!r} for {strange[0]}")]
    verdicts, sizes = [], []
    for name in truth:
        if (answer[name] == FUSED_ELEMENTS) != (truth[name] == FUSED_ELEMENTS):
            verdicts.append(name)
        elif answer[name] != truth[name]:
            sizes.append(name)
    if verdicts:
        n_fused = sum(n == FUSED_ELEMENTS for n in answer.values())
        right = f"{len(truth) - len(verdicts)} of {len(truth)} verdicts are right"
        return [Failure("correct", f"{right}; your answer calls {n_fused} of the six fused (2 elements an element)")]
    return [Failure("traffic", f"{name}: {answer[name]} is not what was counted") for name in sizes]


def show(case: Case) -> str:
    """Where the claims stand."""
    return "the six functions of teachkit.kernels.gelu_claims, run and counted"


PROBLEM = DataProblem("is_it_fused", "40_fusion_by_hand", RUBRIC, make_cases, why_wrong, show)
