"""``vector_add(x, y, block_size)``: the smallest kernel that has everything, with every byte moved exactly once."""

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
        "x + y in every element",
        (
            "which elements does block b add? Work it out for b = 0 and b = 1 on paper.",
            "block b begins behind b blocks of block_size elements each.",
            "tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE), or one element a thread: cuda.grid(1).",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "any number of elements, also one that is no multiple of the block",
        (
            "how many elements does the last block have, for the input named above?",
            "the grid is n / block_size, rounded up; the last block must not touch what lies behind the end.",
            "give the loads and the store the mask offsets < n; with threads, put everything under `if i < n`.",
        ),
    ),
    RubricItem(
        "budget",
        2,
        "one launch of ceil(N / block_size) blocks; 8N bytes loaded and 4N bytes stored, not one of them twice",
        (
            "the message above names the counter that is off. Is something touched twice, or not by your kernel?",
            "exactly ceil(N / block_size) blocks, triton.cdiv(n, block_size), of block_size elements each.",
            "one kernel, two loads and one store for each element: 12 bytes. torch.empty_like is free.",
        ),
    ),
)
BLOCK_SIZES = (128, 256, 512, 1024)  # below, the four warps of a Triton program load the same elements
ELEMENTS_A_THREAD = 16  # with Triton's smallest number of threads for the largest block it is 8


def make_cases(seed: int) -> list[Case]:
    """Whole blocks, heavy tails, then every awkward size with a block size that nobody could know."""
    source = inputs.generator(seed)

    def pair(item: str, label: str, n: int, block_size: int) -> Case:
        return Case(item, label, (inputs.normal((n,), source), inputs.normal((n,), source), block_size))

    def fresh_block() -> int:
        return BLOCK_SIZES[inputs.fresh_size(source, 0, len(BLOCK_SIZES))]

    cases = []
    for block_size in (128, 1024, fresh_block()):
        n = block_size * inputs.fresh_size(source, 2, 9)
        cases.append(pair("correct", f"whole blocks of {block_size}", n, block_size))
    large = inputs.heavy_tails((2048,), source), inputs.heavy_tails((2048,), source), 256
    cases.append(Case("correct", "magnitudes from 1e-6 to 1e6", large))
    for n in inputs.AWKWARD_SIZES:
        block_size = fresh_block()
        cases.append(pair("edge cases", f"{n} elements, blocks of {block_size}", n, block_size))
    return cases


def expect(x: torch.Tensor, y: torch.Tensor, block_size: int) -> Expected:
    """One rounding for each element, as the library has it."""
    wide_x, wide_y = x.double().cpu(), y.double().cpu()
    return Expected(
        wide_x + wide_y, x + y, wide_x.abs() + wide_y.abs(), k=1, why_k="since one addition rounds in one way only"
    )


def budget(x: torch.Tensor, y: torch.Tensor, block_size: int) -> Budget:
    """12N bytes, ceil(N / block_size) blocks, and threads enough to share the work."""
    n = x.numel()
    n_blocks = -(-n // block_size)
    once = "an element is touched more than once"
    limits = (
        Limit("n_blocks", n_blocks, n_blocks, "fewer blocks than asked for", "more blocks than asked for"),
        Limit("n_threads", -(-n // ELEMENTS_A_THREAD), 1 << 40, "few threads do the work of many"),
        Limit("global_load_bytes", 8 * n, 8 * n, "not every input is read by a kernel", once),
        Limit("global_store_bytes", 4 * n, 4 * n, "not every result is written by a kernel", once),
    )
    return Budget(1, 12 * n, least_bytes=12 * n, n_tensors=3, n_elements=n, limits=limits)


PROBLEM = KernelProblem(
    "vector_add", "11_blocks_and_warps", RUBRIC, ("x", "y", "block_size"), make_cases, expect, budget
)
