"""Summing integers: the seven kernels of a well-known ladder, and an eighth by warp shuffles.

Not modelled: anything; the kernels are CUDA C++ (``cu/reduction.cu``) and run on a GPU or on the emulator.
Source: M. Harris, "Optimizing Parallel Reduction in CUDA", NVIDIA, 2007. The kernels are written anew: they take any
number of elements, and the lanes of a warp are never taken to run in step.
"""

from __future__ import annotations

import functools

import torch

from teachkit.kernels.rungs import Ladder, Language, Published, Rung, cuda_kernel, require, require_vector, seeded

THREADS = 128
MAX_BLOCKS = 1024  # of the kernels that add many elements a thread: two launches are then always enough


def inputs(n: int, seed: int = 0, device: str | torch.device = "cpu") -> tuple[torch.Tensor]:
    """Return one vector ``[n]`` of int32."""
    values = torch.randint(-1000, 1000, (n,), generator=seeded(seed, device), device=device, dtype=torch.int32)
    return (values,)


def reference(x: torch.Tensor) -> torch.Tensor:
    """Return the sum of ``[N]`` int32 as int32, which wraps around."""
    return x.sum(dtype=torch.int32)


def sum_by(kernel: str, per_thread: int, max_blocks: int | None, x: torch.Tensor) -> torch.Tensor:
    """Sum ``[N]`` int32: launch after launch, each leaves one number a block, until one is left.

    Parameters
    ----------
    kernel
        Its name in ``cu/reduction.cu``.
    per_thread
        Elements that a thread loads at least.
    max_blocks
        Where each thread adds as many elements as there are: the largest grid.
    x
        ``[N]`` int32, N at least 1.
    """
    require_vector(x, kernel, torch.int32, n_dims=1)
    require(x.numel() > 0, "at least one element", "none", kernel, "the sum of nothing is 0.")
    launch = cuda_kernel("reduction.cu", kernel)
    while True:
        n_blocks = min(-(-x.numel() // (THREADS * per_thread)), max_blocks or x.numel())
        sums = torch.empty(n_blocks, dtype=torch.int32, device=x.device)
        launch[n_blocks, THREADS](x, sums, x.numel())
        if n_blocks == 1:
            return sums[0]
        x = sums


def _rung(
    name: str,
    sentence: str,
    kernel: str,
    proof: tuple[str, ...] = (),
    per_thread: int = 1,
    max_blocks: int | None = None,
) -> Rung:
    language: Language = "CUDA C++"
    run = functools.partial(sum_by, kernel, per_thread, max_blocks)
    return Rung(name, sentence, language, run, proof, kernel, "reduction.cu")


LADDER = Ladder(
    name="reduction",
    sentence="Sum a vector of int32.",
    rungs=(
        _rung(
            "interleaved, divergent",
            "Neighbours add first, found by a remainder: in every warp some lanes work and the others wait.",
            "sum_interleaved_divergent",
        ),
        _rung(
            "interleaved, conflicts",
            "The same additions go to the first threads, so that whole warps are done early; lanes now meet in banks.",
            "sum_interleaved_conflicts",
            ("divergent_branches", "warp_instructions"),
        ),
        _rung(
            "sequential",
            "Lanes add neighbouring words of the upper half: no two of them meet in a bank.",
            "sum_sequential",
            ("shared_excess_wavefronts", "shared_load_wavefronts", "warp_instructions"),
        ),
        _rung(
            "first add on load",
            "A thread loads two elements and adds them before it waits: half the blocks for the same sum.",
            "sum_first_add",
            ("warp_instructions", "barriers", "shared_load_wavefronts"),
            per_thread=2,
        ),
        _rung(
            "last warp unrolled",
            "The last six steps need one warp, which synchronises itself: no barriers and no idle warps there.",
            "sum_unrolled_warp",
            ("barriers", "warp_instructions"),
            per_thread=2,
        ),
        _rung(
            "unrolled",
            "The block size is a constant when the kernel is compiled: no loop is left.",
            "sum_unrolled",
            ("warp_instructions", "branches"),
            per_thread=2,
        ),
        _rung(
            "many adds a thread",
            "At most 1,024 blocks walk over the vector and add in registers: shared memory sees a fraction of it.",
            "sum_many_adds",
            ("warp_instructions", "barriers", "shared_load_wavefronts", "n_launches"),
            per_thread=8,
            max_blocks=MAX_BLOCKS,
        ),
        _rung(
            "shuffled",
            "Lanes pass their sums through registers: shared memory holds one number a warp.",
            "sum_shuffled",
            ("shared_load_wavefronts", "shared_store_wavefronts", "barriers", "shared_bytes"),
            per_thread=8,
            max_blocks=MAX_BLOCKS,
        ),
    ),
    reference=reference,
    inputs=inputs,
    sizes=((1,), (127,), (128,), (129,), (1025,), (10_007,), (300_001,)),
    published=Published(
        source='M. Harris, "Optimizing Parallel Reduction in CUDA", NVIDIA, 2007, slide "Performance for 4M element '
        'reduction" (2^22 integers, blocks of 128 threads)',
        device="GeForce 8800 GTX (G80)",
        gpu="P100-PCIe-16GB",
        size=(1 << 22,),
        unit="ms",
        figures={
            "interleaved, divergent": 8.054,
            "interleaved, conflicts": 3.456,
            "sequential": 1.722,
            "first add on load": 0.965,
            "last warp unrolled": 0.536,
            "unrolled": 0.381,
            "many adds a thread": 0.268,
        },
        larger_is_faster=False,
        figure_of=lambda seconds, n: 1e3 * seconds,
    ),
)
