"""Multiplying float32 matrices: the steps of a published ladder, from one thread an element to warp tiles.

Not modelled: anything; the kernels are CUDA C++ (``cu/matmul.cu``) and run on a GPU or on the emulator.
Source: S. Boehm, "How to Optimize a CUDA Matmul Kernel for cuBLAS-like Performance: a Worklog", 2022
(siboehm.com/articles/22/CUDA-MMM), for the steps and tile sizes. The kernels are written anew.
"""

from __future__ import annotations

import functools

import torch

from teachkit.kernels.rungs import (
    Ladder,
    Language,
    Published,
    Rung,
    cuda_kernel,
    require,
    require_aligned,
    require_vector,
    seeded,
)

# Rows and columns of C that a block computes, the step along K, its threads.
Tile = tuple[int, int, int, tuple[int, ...]]
ANY_SHAPE = ("matmul_naive", "matmul_coalesced", "matmul_shared")


def inputs(
    m: int, n: int, k: int, seed: int = 0, device: str | torch.device = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``[m, k]`` and ``[k, n]`` of float32."""
    generator = seeded(seed, device)
    a = torch.randn(m, k, generator=generator, device=device)
    return a, torch.randn(k, n, generator=generator, device=device)


def multiply_by(kernel: str, tile: Tile, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Multiply ``[M, K]`` and ``[K, N]`` float32 to ``[M, N]``.

    Parameters
    ----------
    kernel
        Its name in ``cu/matmul.cu``.
    tile
        What a block computes: rows, columns, step along K, and its threads.
    a, b
        Contiguous float32 matrices.

    Raises
    ------
    KernelInputError
        If the inner sizes differ, or the kernel works on whole tiles and these do not divide the shape.
    """
    rows, columns, step, block = tile
    require_vector(a, kernel, n_dims=2)
    require_vector(b, kernel, n_dims=2)
    (m, k), n = a.shape, b.shape[1]
    same = b.shape[0] == k
    require(same, f"b of {k} rows, as a has columns", b.shape[0], kernel, "matrices multiply as [M, K] by [K, N].")
    require(m * n < 2**31, "fewer than 2^31 elements in the result", m * n, kernel, "multiply in parts.")
    if kernel not in ANY_SHAPE:
        fits = m % rows == 0 and n % columns == 0 and k % step == 0
        expected = f"M, N and K that {rows}, {columns} and {step} divide"
        require(fits, expected, (m, n, k), kernel, "pad with zeros, or use the rung 'shared memory'.")
        require_aligned(a, kernel)
        require_aligned(b, kernel)
    c = torch.empty(m, n, device=a.device)
    if c.numel():
        cuda_kernel("matmul.cu", kernel)[(-(-n // columns), -(-m // rows)), block](a, b, c, m, n, k)
    return c


def _rung(name: str, sentence: str, kernel: str, tile: Tile, proof: tuple[str, ...] = ()) -> Rung:
    language: Language = "CUDA C++"
    run = functools.partial(multiply_by, kernel, tile)
    return Rung(name, sentence, language, run, proof, kernel, "matmul.cu")


LADDER = Ladder(
    name="matmul",
    sentence="Multiply two matrices of float32.",
    rungs=(
        _rung(
            "naive",
            "One thread an element, neighbouring lanes in neighbouring rows: a load of A touches 32 lines.",
            "matmul_naive",
            (32, 32, 1, (32, 32)),
        ),
        _rung(
            "coalesced",
            "Neighbouring lanes take neighbouring columns: a load of A is one sector, a load of B four.",
            "matmul_coalesced",
            (32, 32, 1, (32, 32)),
            ("global_load_sectors", "global_store_sectors"),
        ),
        _rung(
            "shared memory",
            "The block keeps a tile of A and of B in shared memory: global memory is asked 32 times less often.",
            "matmul_shared",
            (32, 32, 32, (32, 32)),
            ("global_load_requests", "global_load_sectors"),
        ),
        _rung(
            "column of 8 a thread",
            "A thread computes 8 elements of a column: an element of B is loaded from shared memory once for all 8.",
            "matmul_tile_1d",
            (64, 64, 8, (512,)),
            ("shared_load_wavefronts", "warp_instructions", "global_load_sectors"),
        ),
        _rung(
            "8 by 8 a thread",
            "A thread computes 8 by 8 elements: 16 loads from shared memory serve 64 multiplications.",
            "matmul_tile_2d",
            (128, 128, 8, (256,)),
            ("shared_load_wavefronts", "warp_instructions", "global_load_sectors"),
        ),
        _rung(
            "vectorised",
            "A's tile is turned on its way in, so that four elements are loaded at a time everywhere.",
            "matmul_vectorised",
            (128, 128, 8, (256,)),
            ("shared_load_wavefronts", "shared_excess_wavefronts", "global_load_requests", "warp_instructions"),
        ),
        _rung(
            "warp tile",
            "A warp owns a square of the result and a thread 128 elements: a number from shared memory serves more.",
            "matmul_warp_tile",
            (128, 128, 16, (128,)),
            ("shared_load_wavefronts", "warp_instructions", "barriers"),
        ),
    ),
    reference=torch.matmul,
    inputs=inputs,
    sizes=((1, 1, 1), (33, 17, 65), (64, 64, 8), (100, 36, 5), (128, 256, 48), (256, 128, 144)),
    rtol=1e-4,
    atol=1e-4,
    reason="sums of up to 144 products of about 1 in another order: 144 roundings of 6e-8 on numbers up to about 40",
    published=Published(
        source="S. Boehm, SGEMM_CUDA (github.com/siboehm/SGEMM_CUDA, commit 06d2cf54), README, table of GFLOP/s at "
        "4092 x 4092: kernels 1 to 6 and 10",
        device="RTX A6000",
        gpu="RTX-A6000-48GB",
        # The published figures are for 4092; this is what can be counted in a minute. Blocks do the same work each, and
        # there are as many as SMs, so that the order is that of the blocks.
        size=(1024, 1024, 256),
        unit="GFLOP/s",
        figures={
            "naive": 309.0,
            "coalesced": 1986.5,
            "shared memory": 2980.3,
            "column of 8 a thread": 8474.7,
            "8 by 8 a thread": 15971.7,
            "vectorised": 18237.3,
            "warp tile": 21779.3,
        },
        larger_is_faster=True,
        figure_of=lambda seconds, m, n, k: 2e-9 * m * n * k / seconds,
    ),
)
