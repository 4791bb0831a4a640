"""``fused_bias_dropout_residual(x, bias, residual, p, seed)``: y = residual + dropout(x + bias) in one kernel.

The element with flat index i is kept where ``tl.rand(seed, i) > p`` and then divided by ``1 - p``; otherwise it is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.grading import inputs
from teachkit.grading.budget import Budget, once
from teachkit.grading.compare import Expected
from teachkit.grading.kernel_problem import KernelProblem
from teachkit.grading.philox import rand
from teachkit.grading.problem import Case, RubricItem

if TYPE_CHECKING:
    import torch

RUBRIC = (
    RubricItem(
        "correct",
        1,
        "residual + dropout(x + bias), with exactly the elements kept that the specification names",
        (
            "an element that is dropped must come out as its residual, unchanged. Are the dropped ones the right ones? "
            "If they are, does each kept one get the bias of its own column?",
            "the random number belongs to the element's flat index in the whole matrix, not to its place in the block "
            "or the row; it is kept where the number is greater than p.",
            "keep = tl.rand(seed, offsets) > p; y = residual + tl.where(keep, (x + bias) / (1 - p), 0.0), and "
            "offsets count through the whole matrix.",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "any number of rows and columns, p = 0",
        (
            "try one row, one column, and a number of elements that is one more than your block.",
            "every load and the store need mask = offsets < n_elements. Which column is element number i in?",
            "bias belongs to the column: bias_ptr + offsets % n_cols.",
        ),
    ),
    RubricItem(
        "budget",
        2,
        "one launch of your own kernel that reads x, bias and residual once and writes y",
        (
            "is anything computed with torch before or after the kernel, or written and read again?",
            "the mask of kept elements never needs to exist in memory: each program can make its own part of it.",
            "one kernel: three loads, tl.rand, one store. Do not expand the bias to the matrix's shape.",
        ),
    ),
)
ARGUMENTS = ("x", "bias", "residual", "p", "seed")


def make_cases(seed: int) -> list[Case]:
    """Fresh matrices with fresh seeds and p, heavy tails, then awkward numbers of rows and columns."""
    source = inputs.generator(seed)
    # Whole blocks: forgetting the mask costs the edge cases, not this item.
    shape = (64 * inputs.fresh_size(source, 1, 3), 64 * inputs.fresh_size(source, 1, 5))
    cases = [_case("correct", "normal numbers", shape, p, source) for p in (0.5, 0.125, 0.75)]
    n_rows, n_cols = shape
    wide = (inputs.heavy_tails(shape, source), inputs.normal((n_cols,), source), inputs.heavy_tails(shape, source))
    cases.append(Case("correct", "magnitudes from 1e-6 to 1e6", (*wide, 0.25, _seed(source))))
    edges = [(1, 1), (1, 1023), (1024, 1), (1, 1025), (7, 97), (16, 128), (31, 33), (3, 683), (103, 1)]
    cases += [_case("edge cases", f"{rows} x {cols}", (rows, cols), 0.5, source) for rows, cols in edges]
    return [*cases, _case("edge cases", "p = 0", (13, n_rows), 0.0, source)]


def expect(x: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor, p: float, seed: int) -> Expected:
    """The specification in float64, with the same random numbers."""
    import numpy as np
    import torch

    keep = torch.from_numpy(rand(seed, np.arange(x.numel())) > np.float32(p)).reshape(x.shape)
    wide_x, wide_bias, wide_residual = x.double().cpu(), bias.double().cpu(), residual.double().cpu()
    exact = wide_residual + keep * (wide_x + wide_bias) / (1 - p)
    library = residual + torch.where(keep.to(x.device), (x + bias) / (1 - p), 0.0)
    scale = wide_residual.abs() + (wide_x.abs() + wide_bias.abs()) / (1 - p)
    why = "since 1 / (1 - p) may be rounded first, and a GPU's division is off by 2 units in the last place"
    return Expected(exact, library, scale, k=4, why_k=why)


def budget(x: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor, p: float, seed: int) -> Budget:
    """x, residual and y once, the bias once for all rows; a kernel may leave out loads of what is dropped."""
    n = x.numel()
    limits = once(load_bytes=12 * n, store_bytes=4 * n)
    return Budget(1, 4 * (3 * n + bias.numel()), least_bytes=8 * n, n_tensors=4, n_elements=n, limits=limits)


def _case(item: str, label: str, shape: tuple[int, int], p: float, source: torch.Generator) -> Case:
    x, bias, residual = (inputs.normal(size, source) for size in (shape, shape[1:], shape))
    return Case(item, label, (x, bias, residual, p, _seed(source)))


def _seed(source: torch.Generator) -> int:
    return inputs.fresh_size(source, 2, 2**31)


PROBLEM = KernelProblem(
    "fused_bias_dropout_residual", "40_fusion_by_hand", RUBRIC, ARGUMENTS, make_cases, expect, budget
)
