"""``cover_once(x, threads_per_block)``: one thread an element, every element exactly once, none outside."""

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
        "2 * x in every element",
        (
            "which element is thread t of block b responsible for? Work it out for b = 1, t = 0.",
            "the threads of all earlier blocks come first: there are b * (threads in a block) of them.",
            "cuda.grid(1) is cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x.",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "any number of elements, also one that is no multiple of the block, and any block size from 1 to 1024",
        (
            "how many threads start for the input named above, and how many elements are there?",
            "round the number of blocks up: -(-n // threads_per_block). Then some threads have no element.",
            "a thread without an element must do nothing: `if i < x.size:` around everything.",
        ),
    ),
    RubricItem(
        "budget",
        2,
        "one launch, the fewest blocks that do, one thread an element, each element read once and written once",
        (
            "the message above names the counter: is an element touched twice, or does one thread do the work of many?",
            "no loop: the threads are the loop. And no more blocks than n / threads_per_block, rounded up.",
            "bytes stored must be exactly 4 for each element: nobody writes an element that is somebody else's.",
        ),
    ),
)
BLOCKS = (1, 32, 96, 128, 256, 1000, 1024)
SIZES = (1, 255, 256, 257, 10007)


def make_cases(seed: int) -> list[Case]:
    """Whole blocks first; then the sizes that hurt, with block sizes that hurt."""
    source = inputs.generator(seed)
    cases = []
    for block in (64, 128, 256):
        n = block * inputs.fresh_size(source, 3, 40)
        cases.append(Case("correct", f"whole blocks of {block}", (inputs.normal((n,), source), block)))
    for n in (*SIZES, inputs.fresh_size(source, 300, 9000)):
        block = BLOCKS[inputs.fresh_size(source, 1, len(BLOCKS))]
        for threads in {128, block}:
            label = f"{n} elements, blocks of {threads}"
            cases.append(Case("edge cases", label, (inputs.normal((n,), source), threads)))
    cases.append(Case("edge cases", "33 elements, blocks of 1", (inputs.normal((33,), source), 1)))
    return cases


def expect(x: torch.Tensor, threads_per_block: int) -> Expected:
    """Doubling is exact in floats."""
    wide = x.double().cpu()
    return Expected(2 * wide, 2 * x, scale=wide.abs(), k=1, why_k="since doubling rounds nothing")


def budget(x: torch.Tensor, threads_per_block: int) -> Budget:
    """8N bytes, ceil(N / block) blocks, one thread an element at least."""
    n = x.numel()
    n_blocks = -(-n // threads_per_block)
    once = "an element is touched more than once"
    limits = (
        Limit("n_blocks", 0, n_blocks, "", "more blocks than the elements need"),
        Limit("n_threads", n, n_blocks * threads_per_block, "one thread does the work of several", "too many threads"),
        Limit("global_load_bytes", 4 * n, 4 * n, "not every element is read by a kernel", once),
        Limit("global_store_bytes", 4 * n, 4 * n, "not every element is written by a kernel", once),
    )
    return Budget(1, 8 * n, least_bytes=8 * n, n_tensors=2, n_elements=n, limits=limits)


PROBLEM = KernelProblem("cover_once", "10_cpu_vs_gpu", RUBRIC, ("x", "threads_per_block"), make_cases, expect, budget)
