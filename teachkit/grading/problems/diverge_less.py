"""``diverge_less(x, n_rounds)``: two kinds of work, dealt out so that the lanes of a warp agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.grading import inputs
from teachkit.grading.budget import Budget, Limit
from teachkit.grading.compare import Expected
from teachkit.grading.kernel_problem import KernelProblem
from teachkit.grading.problem import Case, RubricItem

if TYPE_CHECKING:
    import torch

RUBRIC = (
    RubricItem(
        "correct",
        1,
        "roots in the even elements, reciprocals in the odd ones",
        (
            "run three rounds by hand for x = 2, once as an even and once as an odd element.",
            "even: v begins at 1, then v = 0.5 * (v + x / v). Odd: v begins at 0.5, then v = v * (2 - x * v).",
            "if threads change elements, they must load and store at the *element*, not at the number of the thread.",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "any number of elements, odd ones and 1 among them, and any number of rounds from 0 on",
        (
            "for the input named above: how many even elements are there, and how many odd ones?",
            "of n elements (n + 1) // 2 have even numbers. Does every thread that has no element do nothing?",
            "with half = (n + 1) // 2: thread t below half has element 2 * t, the others have 2 * (t - half) + 1.",
        ),
    ),
    RubricItem(
        "budget",
        2,
        "one launch, at most 4 divergent branches in all, no arithmetic that is thrown away",
        (
            "which lanes of a warp disagree, and why? Whose number decides, the thread's or the element's?",
            "nobody says that thread i must have element i. Deal the elements out so that a warp gets only one kind.",
            "first all even elements, then all odd ones: thread t below half has element 2 * t. Only the warp at "
            "the border still disagrees.",
        ),
    ),
)
MAX_DIVERGENT = 4  # the warp at the border of the two kinds and the one at the end, once for each branch they meet
FLOP_PER_ROUND = 3  # either way: division, addition, product; or product, difference, product


def make_cases(seed: int) -> list[Case]:
    """Sizes large and small, rounds from 0 to many."""
    source = inputs.generator(seed)

    def case(item: str, label: str, n: int, n_rounds: int) -> Case:
        # 0.5 to 1.5: both iterations converge, so that rounding cannot grow.
        return Case(item, label, (_place(n, source), n_rounds))

    cases = [
        case("correct", f"{n_rounds} rounds", 256 * inputs.fresh_size(source, 4, 12), n_rounds)
        for n_rounds in (1, 6, 12)
    ]
    for n in (1, 2, 31, 32, 33, 63, 64, 65, 255, 257, 1023, 1025, 2049, 10007):
        cases.append(case("edge cases", f"{n} elements", n, inputs.fresh_size(source, 5, 10)))
    cases.append(case("edge cases", "no round at all", 300, 0))
    return cases


def expect(x: torch.Tensor, n_rounds: int) -> Expected:
    """The same rounds in float64, and in float32 as PyTorch rounds them."""
    exact, library = _rounds(x.double().cpu(), n_rounds), _rounds(x, n_rounds)
    why = "since a GPU may round a product and a sum together, and its division may be off by 2 units in the last place"
    return Expected(exact, library, exact.abs(), k=8, why_k=why)


def budget(x: torch.Tensor, n_rounds: int) -> Budget:
    """8N bytes; divergence that does not grow with N; arithmetic of one side for each element."""
    n = x.numel()
    too_much = "both sides were computed for each element, and one was thrown away"
    limits = (
        Limit("divergent_branches", 0, MAX_DIVERGENT, "", "lanes of one warp disagree in warp after warp"),
        Limit("flop_fp32", 0, (FLOP_PER_ROUND * n_rounds + 3) * n, "", too_much),
        Limit("n_threads", -(-n // 8), 1 << 40, "few threads do the work of many"),
        Limit("global_store_bytes", 4 * n, 4 * n, "not every result is written", "an element is written twice"),
    )
    return Budget(1, 8 * n, least_bytes=8 * n if n_rounds else 4 * n, n_tensors=2, n_elements=n, limits=limits)


def _rounds(x: torch.Tensor, n_rounds: int) -> torch.Tensor:
    import torch

    roots, reciprocals = torch.ones_like(x[::2]), torch.full_like(x[1::2], 0.5)
    for _ in range(n_rounds):
        roots = 0.5 * (roots + x[::2] / roots)
        reciprocals = reciprocals * (2 - x[1::2] * reciprocals)
    result = torch.empty_like(x)
    result[::2], result[1::2] = roots, reciprocals
    return result


def _place(n: int, source: torch.Generator) -> torch.Tensor:
    import torch

    from teachkit.hardware.device import device

    return (torch.rand(n, generator=source) + 0.5).to(device())


PROBLEM = KernelProblem("diverge_less", "11_blocks_and_warps", RUBRIC, ("x", "n_rounds"), make_cases, expect, budget)
