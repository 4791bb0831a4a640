"""``crossover(...)``: the smallest number of pixels for which the GPU is faster, its launch and its copies included."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

from teachkit.grading.data_problem import DataProblem
from teachkit.grading.problem import Case, Failure, RubricItem

NAMES = ("cpu_pixels_per_s", "gpu_bytes_per_s", "link_bytes_per_s", "launch_s", "is_on_gpu")
BYTES_PER_PIXEL = 6  # three read, three written
SLACK = Fraction(1, 10**9)  # of N: a difference of rates loses a few of the 16 digits of a float

RUBRIC = (
    RubricItem(
        "correct",
        2,
        "the smallest N with GPU time below CPU time, with the frame copied there and back",
        (
            "write both times as a + b * N: what is a, and what is b, for each machine?",
            "the kernel moves 6 bytes a pixel at gpu_bytes_per_s; the link carries 3 bytes a pixel there and 3 back.",
            "N is the first whole number above launch_s / (1 / cpu_pixels_per_s - 6 / gpu_bytes_per_s - "
            "6 / link_bytes_per_s).",
        ),
    ),
    RubricItem(
        "resident",
        1,
        "the same where the frame is on the GPU already and stays there (is_on_gpu)",
        (
            "which of the GPU's costs falls away if the frame is there already?",
            "nothing crosses the link; the launch and the kernel's own bytes remain.",
            "add the 6 / link_bytes_per_s only if not is_on_gpu.",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "None where the GPU never wins; at least 1; strictly faster, not as fast",
        (
            "what does it mean if a pixel costs the GPU, copies included, as much as the CPU, or more?",
            "with that difference 0 or negative no N is large enough: return None.",
            "at N = a / (difference) both take equally long; the next whole number is faster. math.floor(x) + 1.",
        ),
    ),
)


def make_cases(seed: int) -> list[Case]:
    """Machines from slow to fast, fresh for every seed; links too slow to be of use; ties."""
    source = random.Random(seed)

    def machine(item: str, label: str, is_on_gpu: bool, **fixed: float) -> Case:
        rates = {
            "cpu_pixels_per_s": round(source.uniform(2e8, 2e9)),
            "gpu_bytes_per_s": round(source.uniform(4e11, 4e12)),
            "link_bytes_per_s": round(source.uniform(2e10, 9e10)),
            "launch_s": source.randrange(2, 60) * 1e-6,
        }
        rates |= fixed
        return Case(item, label, (*rates.values(), is_on_gpu))

    cases = [machine("correct", "copied over the link", False) for _ in range(6)]
    cases += [machine("resident", "on the GPU already", True) for _ in range(4)]
    cases += [machine("resident", "on the GPU already, a link too slow for copies", True, link_bytes_per_s=1e6)]
    cases += [
        machine("edge cases", "a link too slow", False, link_bytes_per_s=1e9, cpu_pixels_per_s=1e9),
        machine(
            "edge cases", "a pixel costs the same on both", True, cpu_pixels_per_s=2**37, gpu_bytes_per_s=6 * 2**37
        ),
        machine("edge cases", "no launch overhead", True, launch_s=0.0),
        # 2^-20 s of launch, 2^-30 and 2^-31 s a pixel: equally fast at 2048 pixels, exactly, also in floats.
        Case("edge cases", "equally fast at a whole number", (2.0**30, 6 * 2.0**31, 1e10, 2.0**-20, True)),
        machine("edge cases", "a very slow CPU", False, cpu_pixels_per_s=1e5),
    ]
    return cases


def exact_root(
    cpu_pixels_per_s: float, gpu_bytes_per_s: float, link_bytes_per_s: float, launch_s: float, is_on_gpu: bool
) -> Fraction | None:
    """The size at which both take equally long; ``None`` if the GPU never catches up."""
    gpu_s = BYTES_PER_PIXEL / Fraction(gpu_bytes_per_s)
    link_s = 0 if is_on_gpu else BYTES_PER_PIXEL / Fraction(link_bytes_per_s)
    gain_s = 1 / Fraction(cpu_pixels_per_s) - gpu_s - link_s
    return Fraction(launch_s) / gain_s if gain_s > 0 else None


def why_wrong(case: Case, answer: Any) -> list[Failure]:
    """Whole numbers are right if they are the first above the root, up to rounding of floats."""
    root = exact_root(*case.args)
    if root is None:
        return [] if answer is None else [Failure(case.item, f"expected None: the GPU never wins; got {answer!r}")]
    right = max(1, math.floor(root) + 1)
    if type(answer) is not int:
        return [Failure(case.item, f"expected a whole number, {right:,}, got {answer!r}")]
    # Only near a whole number can rounding of floats decide between two neighbours.
    is_close_call = not case.label.startswith("equally") and abs(root - round(root)) <= SLACK * (1 + root)
    if answer == right or (is_close_call and abs(answer - right) == 1):
        return []
    return [Failure(case.item, f"expected {right:,} pixels, got {answer:,}")]


def show(case: Case) -> str:
    """The call, an argument a line."""
    values = "\n".join(f"  {name} = {value!r}" for name, value in zip(NAMES, case.args, strict=True))
    return f"input: {case.label}\n{values}"


PROBLEM = DataProblem("crossover", "10_cpu_vs_gpu", RUBRIC, make_cases, why_wrong, show)
