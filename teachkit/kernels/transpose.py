"""Transposing a matrix, from strided stores to swizzled tiles of 16-byte vectors.

Not modelled: anything; the kernels are CUDA C++ (``cu/transpose.cu``) and run on a GPU or on the emulator.
Source: G. Ruetsch, P. Micikevicius, "Optimizing Matrix Transpose in CUDA", NVIDIA, 2009, for the first three steps.
"""

from __future__ import annotations

import torch

from teachkit.kernels.rungs import (
    Ladder,
    Published,
    Rung,
    cuda_kernel,
    require,
    require_aligned,
    require_vector,
    seeded,
)

TILE = 32


def inputs(rows: int, cols: int, seed: int = 0, device: str | torch.device = "cpu") -> tuple[torch.Tensor]:
    """Return one matrix ``[rows, cols]`` of float32."""
    return (torch.randn(rows, cols, generator=seeded(seed, device), device=device),)


def transpose_naive(x: torch.Tensor) -> torch.Tensor:
    """Transpose ``[M, N]`` float32 to ``[N, M]``: reads along rows, writes along columns."""
    return _launch("transpose_naive", x)


def transpose_tiled(x: torch.Tensor) -> torch.Tensor:
    """Transpose ``[M, N]`` float32 through tiles in shared memory."""
    return _launch("transpose_tiled<32>", x)


def transpose_padded(x: torch.Tensor) -> torch.Tensor:
    """Transpose ``[M, N]`` float32 through tiles whose rows are 33 elements apart."""
    return _launch("transpose_tiled<33>", x)


def transpose_swizzled(x: torch.Tensor) -> torch.Tensor:
    """Transpose ``[M, N]`` float32 through tiles whose columns are permuted row by row."""
    return _launch("transpose_swizzled", x)


def transpose_vectorised(x: torch.Tensor) -> torch.Tensor:
    """Transpose ``[M, N]`` float32 in vectors of four; M and N are multiples of 4.

    Raises
    ------
    KernelInputError
        If they are not: the rows of one of the two matrices would then not start at 16-byte addresses.
    """
    require_vector(x, "transpose_vectorised", n_dims=2)
    shape = tuple(x.shape)
    fits = shape[0] % 4 == 0 and shape[1] % 4 == 0
    require(fits, "a shape of multiples of 4", shape, "transpose_vectorised", "use transpose_swizzled, or pad.")
    require_aligned(x, "transpose_vectorised")
    return _launch("transpose_vectorised", x, block=(8, TILE))


def _launch(name: str, x: torch.Tensor, block: tuple[int, int] = (TILE, 8)) -> torch.Tensor:
    require_vector(x, name, n_dims=2)
    rows, cols = x.shape
    y = torch.empty(cols, rows, device=x.device)
    if x.numel():
        grid = (-(-cols // TILE), -(-rows // TILE))
        require(grid[1] <= 65_535, "at most 2,097,120 rows", rows, name, "transpose it in parts.")
        cuda_kernel("transpose.cu", name)[grid, block](x, y, rows, cols)
    return y


LADDER = Ladder(
    name="transpose",
    sentence="Transpose a matrix of float32.",
    rungs=(
        Rung(
            "naive",
            "Reads along rows, and so writes along columns: every store of a warp touches 32 sectors.",
            "CUDA C++",
            transpose_naive,
            kernel="transpose_naive",
            file_name="transpose.cu",
        ),
        Rung(
            "tiled",
            "A tile turns in shared memory, so that loads and stores both run along rows; but its columns lie in one "
            "bank.",
            "CUDA C++",
            transpose_tiled,
            proof=("global_store_sectors",),
            kernel="transpose_tiled<32>",
            file_name="transpose.cu",
        ),
        Rung(
            "padded",
            "One unused element a row spreads a column over all 32 banks.",
            "CUDA C++",
            transpose_padded,
            proof=("shared_load_wavefronts", "shared_excess_wavefronts"),
            kernel="transpose_tiled<33>",
            file_name="transpose.cu",
        ),
        Rung(
            "swizzled",
            "Permuting each row by exclusive or does the same without the padding.",
            "CUDA C++",
            transpose_swizzled,
            proof=("shared_bytes",),
            kernel="transpose_swizzled",
            file_name="transpose.cu",
        ),
        Rung(
            "vectorised",
            "Groups of four columns are swizzled as one, so that global memory is read and written 16 bytes at a time.",
            "CUDA C++",
            transpose_vectorised,
            proof=("global_load_requests", "global_store_requests", "warp_instructions"),
            kernel="transpose_vectorised",
            file_name="transpose.cu",
        ),
    ),
    reference=lambda x: x.t(),
    inputs=inputs,
    sizes=((1, 1), (1, 100), (32, 32), (33, 70), (100, 36), (128, 96), (129, 257)),
    published=Published(
        source='"Matrix Transpose: The Canonical CUDA Optimization Problem" (fridayswithfaraday.com, CUDA Kernel '
        'Engineering 18), bandwidths in its first paragraph, rounded; the order is that of M. Harris, "An Efficient '
        'Matrix Transpose in CUDA C/C++", NVIDIA developer blog, 18 February 2013, on a Tesla K20c (55.3, 97.6, 144.3)',
        device="A100 80 GB SXM",
        gpu="A100-SXM4-80GB",
        size=(4096, 4096),
        unit="GB/s",
        figures={"naive": 150.0, "tiled": 900.0, "padded": 1600.0},
        larger_is_faster=True,
        figure_of=lambda seconds, rows, cols: 8e-9 * rows * cols / seconds,
    ),
)
