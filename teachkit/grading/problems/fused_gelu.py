"""``fused_gelu(x)``: tanh-GELU in one kernel that reads x once and writes the result once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from teachkit.grading import inputs
from teachkit.grading.budget import Budget, once
from teachkit.grading.compare import Expected
from teachkit.grading.kernel_problem import KernelProblem
from teachkit.grading.problem import Case, RubricItem

if TYPE_CHECKING:
    import torch

RUBRIC = (
    RubricItem(
        "correct",
        1,
        "the tanh-GELU of every element, for large and small numbers",
        (
            "work the formula out for one element on paper, then for x = 100: is every intermediate finite?",
            "Triton has no tl.tanh. Write tanh(u) with an exponential that cannot overflow, or use "
            "0.5 * (1 + tanh(u)) = sigmoid(2 * u).",
            "gelu(x) = x * tl.sigmoid(2 * u) with u = sqrt(2 / pi) * (x + 0.044715 * x * x * x).",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "any number of elements, any shape, and views with gaps between elements",
        (
            "look at the input named above. If its strides are not 1, where does a flat index lead? If its size is no "
            "multiple of the block, what does the last program do?",
            "mask = offsets < n_elements belongs in the load and in the store; the grid is n_elements / block, rounded "
            "up (triton.cdiv).",
            "x[::2] has gaps: a flat index does not find its elements. x.contiguous() copies it where that is needed "
            "and nowhere else, and is allowed here.",
        ),
    ),
    RubricItem(
        "budget",
        2,
        "one launch of your own kernel, 2N elements moved (8 bytes an element)",
        (
            "which tensors go to memory and come back? Only x has to be read, and only the result written.",
            "every arithmetic line outside the @triton.jit function is a launch of its own; torch.empty_like is free.",
            "one kernel: load x, compute everything on the value you loaded, store once.",
        ),
    ),
)
GAPS_ALLOW = frozenset({"clone", "contiguous", "copy_"})


def make_cases(seed: int) -> list[Case]:
    """Five fresh inputs of one size, then sizes around every usual block, a matrix, and a view with gaps."""
    source = inputs.generator(seed)
    # Whole blocks: forgetting the mask costs the edge cases, not this item.
    n = 4096 * inputs.fresh_size(source, 2, 6)
    correct = [("normal numbers", inputs.normal((n,), source)) for _ in range(3)]
    correct.append(("magnitudes from 1e-6 to 1e6", inputs.heavy_tails((n,), source)))
    correct.append(("zeros but for one element", inputs.needle(n, source)))
    edges = [
        ("one element" if size == 1 else f"{size} elements", inputs.normal((size,), source))
        for size in inputs.AWKWARD_SIZES
    ]
    edges.append(("a matrix", inputs.normal((37, 53), source)))
    gaps = Case("edge cases", "every second element of a tensor", (inputs.with_gaps(1031, source),), GAPS_ALLOW)
    cases = [Case("correct", label, (x,)) for label, x in correct]
    return [*cases, *(Case("edge cases", label, (x,)) for label, x in edges), gaps]


def expect(x: torch.Tensor) -> Expected:
    """The formula in float64; rounding is judged against x, the largest number on the way to the result."""
    import torch

    wide = x.double().cpu()
    exact = 0.5 * wide * (1 + torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
    library = torch.nn.functional.gelu(x, approximate="tanh")
    why = "since a GPU's fast exponential and division are off by 2 units in the last place each"
    return Expected(exact, library, scale=wide.abs(), k=4, why_k=why)


def budget(x: torch.Tensor) -> Budget:
    """2N elements; a kernel that reads a view with gaps itself touches the gaps too."""
    read_bytes = 4 * x.numel() * (1 if x.is_contiguous() else 2)
    n = x.numel()
    limits = once(load_bytes=4 * n, store_bytes=4 * n)
    return Budget(1, read_bytes + 4 * n, least_bytes=8 * n, n_tensors=2, n_elements=n, limits=limits)


PROBLEM = KernelProblem("fused_gelu", "40_fusion_by_hand", RUBRIC, ("x",), make_cases, expect, budget)
