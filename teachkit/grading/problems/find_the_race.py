"""``find_the_race()``: which of four kernels has a data race, and its source without one.

What is racy is found by the emulator's check, on the suspects as on the repair; no answer is written down here.
"""

from __future__ import annotations

import functools
from typing import Any

from teachkit.errors import TeachkitError
from teachkit.grading.data_problem import DataProblem
from teachkit.grading.problem import Case, Failure, RubricItem
from teachkit.kernels.race_suspects import BLOCK, SUSPECTS

RUBRIC = (
    RubricItem(
        "correct",
        1,
        "the name of the one kernel with a data race",
        (
            "which place is written by one thread and touched by another? Does anything stand between the two?",
            "reading what nobody writes is no race, and neither are two atomic additions. A barrier before a loop "
            "orders nothing inside the loop.",
            "run each suspect inside `with tk.emulator.check(raises=False) as report:` and print the report.",
        ),
    ),
    RubricItem(
        "repaired",
        2,
        "source of that kernel, under the same name and with the same arguments, right and without a race",
        (
            "a race has two lines, and the message above names them. What must happen between the two, for all threads "
            "of the block?",
            "each round of the loop reads what other threads wrote in the round before. __syncwarp() orders one "
            "warp only, and a barrier inside an `if` is not reached by all.",
            "move __syncthreads() to the beginning of the loop's body, in front of the `if`.",
        ),
    ),
    RubricItem(
        "budget",
        1,
        "the threads still share the work: hardly more instructions than before",
        (
            "is one thread doing what 256 could do together?",
            "a barrier is one instruction a warp; a loop over the whole tile in one thread is hundreds.",
            "keep the loop that halves, and add nothing but barriers.",
        ),
    ),
)
SIZES = (1, 255, 256, 257, 1000, 4096)
MAX_RATIO = 2.0  # of warp instructions; a barrier in each of 8 rounds adds a tenth


def make_cases(seed: int) -> list[Case]:
    """One question; the kernel that comes back is run on many sizes."""
    return [Case("correct", "the four kernels", ())]


@functools.cache
def racy() -> str:
    """Name of the suspect in which the check finds a race."""
    import torch

    names = []
    for name, source in SUSPECTS.items():
        out = torch.zeros(4, dtype=torch.int32) if name == "count_signs" else torch.zeros(1000)
        if _why_unsafe(name, source, _numbers(1000), out):
            names.append(name)
    (name,) = names
    return name


@functools.cache
def reference_instructions() -> int:
    """Warp instructions of the racy kernel as it stands, for the largest size."""
    return _run(racy(), SUSPECTS[racy()], SIZES[-1])[1]


def why_wrong(case: Case, answer: Any) -> list[Failure]:
    """First the name; then the repair, compiled, checked and run."""
    if not isinstance(answer, dict) or set(answer) != {"racy", "repaired"}:
        return [Failure("correct", f"expected a dict with the keys racy and repaired, got {answer!r:.300}")]
    if answer["racy"] != racy():
        return [Failure("correct", _why_not(answer["racy"]))]
    if not isinstance(answer["repaired"], str):
        return _not_repaired(f"expected CUDA C++ source as a string, got {answer['repaired']!r:.300}")
    try:
        return _judge(answer["repaired"])
    except TeachkitError as error:
        return _not_repaired(f"{type(error).__name__}: {error}")


def show(case: Case) -> str:
    """Where the suspects stand."""
    return f"the kernels of teachkit.kernels.race_suspects: {', '.join(SUSPECTS)}; blocks of {BLOCK} threads"


def _judge(source: str) -> list[Failure]:
    import torch

    for n in SIZES:
        sums = torch.full((-(-n // BLOCK),), float("nan"))
        if why := _why_unsafe(racy(), source, _numbers(n), sums):
            return _not_repaired(f"{n} elements: {why}")
        got, n_instructions = _run(racy(), source, n)
        wrong = torch.nonzero(got != _expected(n)).flatten().tolist()
        if wrong:
            first = wrong[0]
            values = f"expected {_expected(n)[first].item():g}, got {got[first].item():g}"
            return _not_repaired(f"{n} elements: sum of block {first}: {values}")
    most = int(MAX_RATIO * reference_instructions())
    if n_instructions > most:
        what = f"warp instructions for {SIZES[-1]:,} elements: {n_instructions:,}, budget {most:,}"
        return [Failure("budget", f"{what}: one thread does the work of many")]
    return []


def _not_repaired(why: str) -> list[Failure]:
    """Few instructions are easy for a kernel that is wrong."""
    return [Failure("repaired", why), Failure("budget", "not judged: the repair has to be right first")]


def _why_not(name: Any) -> str:
    if name not in SUSPECTS:
        return f"racy: expected one of {', '.join(SUSPECTS)}, got {name!r:.100}"
    return f"racy: the check finds no race in {name}"


def _why_unsafe(name: str, source: str, x: Any, out: Any) -> str:
    """What the emulator's check has against a launch; empty if nothing."""
    from teachkit.emulator import check
    from teachkit.frontends.cuda_c import compile_cuda_c

    kernel = compile_cuda_c(source)[name]
    with check(init=False, raises=False) as report:
        kernel[-(-x.numel() // BLOCK), BLOCK](x, out, x.numel())
    return str(report.findings[0]) if report.findings else ""


def _run(name: str, source: str, n: int) -> tuple[Any, int]:
    """The block sums of n numbers, and the warp instructions that it took."""
    import torch

    from teachkit.emulator import Launch, observe
    from teachkit.frontends.cuda_c import compile_cuda_c

    launches: list[Launch] = []
    sums = torch.full((-(-n // BLOCK),), float("nan"))
    kernel = compile_cuda_c(source)[name]
    with observe(launches.append):
        kernel[-(-n // BLOCK), BLOCK](_numbers(n), sums, n)
    return sums, launches[0].counters.warp_instructions


def _numbers(n: int) -> Any:
    """Whole numbers, whose sums are exact in every order."""
    import torch

    return torch.randint(-8, 9, (n,), generator=torch.Generator().manual_seed(n)).float()


def _expected(n: int) -> Any:
    import torch

    x = torch.zeros(-(-n // BLOCK) * BLOCK)
    x[:n] = _numbers(n)
    return x.reshape(-1, BLOCK).sum(1)


PROBLEM = DataProblem("find_the_race", "11_blocks_and_warps", RUBRIC, make_cases, why_wrong, show)
