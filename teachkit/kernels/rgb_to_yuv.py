"""A picture from RGB to YUV 4:4:4 in integers, from a row a thread to four pixels a thread.

Modelled: nothing; the kernels are CUDA C++ (``cu/rgb_to_yuv.cu``) and run on a GPU or on the emulator.
Not modelled: chroma subsampling, limited range, gamma.

Source: ITU-R BT.601-7, section 2.5 (luma 0.299 R + 0.587 G + 0.114 B). Chroma as OpenCV defines ``COLOR_RGB2YUV`` for
8 bits: U = 0.492 (B - Y) + 128, V = 0.877 (R - Y) + 128; its integer form has the coefficients times 2^14, rounded:
4899, 9617, 1868, 8061, 14369 (OpenCV 4, modules/imgproc/src/color_yuv.simd.hpp).
"""

from __future__ import annotations

import torch

from teachkit.kernels.rungs import Ladder, Rung, cuda_kernel, require, require_aligned, require_vector, seeded

THREADS = 256
SHIFT = 14
LUMA = (4899, 9617, 1868)
BLUE, RED = 8061, 14369


def inputs(height: int, width: int, seed: int = 0, device: str | torch.device = "cpu") -> tuple[torch.Tensor]:
    """Return one interleaved picture ``[height, width, 3]`` of uint8, R, G, B."""
    shape = (height, width, 3)
    picture = torch.randint(0, 256, shape, generator=seeded(seed, device), device=device, dtype=torch.uint8)
    return (picture,)


def reference(rgb: torch.Tensor) -> torch.Tensor:
    """Convert ``[H, W, 3]`` uint8 RGB to ``[3, H, W]`` uint8 Y, U, V by the definition, in int64."""
    red, green, blue = rgb.to(torch.int64).permute(2, 0, 1)
    half = 1 << (SHIFT - 1)
    y = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue + half) >> SHIFT
    u = ((blue - y) * BLUE + (128 << SHIFT) + half) >> SHIFT
    v = ((red - y) * RED + (128 << SHIFT) + half) >> SHIFT
    return torch.stack((y, u, v)).clamp(0, 255).to(torch.uint8)


def yuv_row_a_thread(rgb: torch.Tensor) -> torch.Tensor:
    """Convert ``[H, W, 3]`` uint8, one thread a row; ``[3, H, W]`` as a view of an interleaved result."""
    height, width = _checked(rgb, "yuv_row_a_thread")
    return _interleaved("yuv_row_a_thread", rgb, height, (height, width))


def yuv_pixel_a_thread(rgb: torch.Tensor) -> torch.Tensor:
    """Convert ``[H, W, 3]`` uint8, one thread a pixel; ``[3, H, W]`` as a view of an interleaved result."""
    height, width = _checked(rgb, "yuv_pixel_a_thread")
    return _interleaved("yuv_pixel_a_thread", rgb, height * width, (height * width,))


def yuv_planar(rgb: torch.Tensor) -> torch.Tensor:
    """Convert ``[H, W, 3]`` uint8 to three planes ``[3, H, W]``, one thread a pixel."""
    height, width = _checked(rgb, "yuv_planar")
    return _planar("yuv_planar", rgb, height * width)


def yuv_vectorised(rgb: torch.Tensor) -> torch.Tensor:
    """Convert ``[H, W, 3]`` uint8 to three planes ``[3, H, W]``, one thread four pixels.

    Raises
    ------
    KernelInputError
        If the number of pixels is no multiple of 4, or the picture does not start at a 4-byte address.
    """
    height, width = _checked(rgb, "yuv_vectorised")
    fits, got = height * width % 4 == 0, f"{height} x {width}"
    require(fits, "a multiple of 4 pixels", got, "yuv_vectorised", "use yuv_planar, or pad the rows.")
    require_aligned(rgb, "yuv_vectorised", 4)
    return _planar("yuv_vectorised", rgb, height * width // 4)


def _checked(rgb: torch.Tensor, where: str) -> tuple[int, int]:
    require_vector(rgb, where, torch.uint8, n_dims=3)
    require(rgb.shape[2] == 3, "3 channels in the last dimension", tuple(rgb.shape), where, "permute it to [H, W, 3].")
    return rgb.shape[0], rgb.shape[1]


def _interleaved(name: str, rgb: torch.Tensor, n_threads: int, sizes: tuple[int, ...]) -> torch.Tensor:
    yuv = torch.empty_like(rgb)
    _launch(name, n_threads, rgb, yuv, sizes)
    return yuv.permute(2, 0, 1)


def _planar(name: str, rgb: torch.Tensor, n_threads: int) -> torch.Tensor:
    height, width, _ = rgb.shape
    planes = torch.empty(3, height, width, dtype=torch.uint8, device=rgb.device)
    _launch(name, n_threads, rgb, planes, (height * width,))
    return planes


def _launch(name: str, n_threads: int, rgb: torch.Tensor, out: torch.Tensor, sizes: tuple[int, ...]) -> None:
    if rgb.numel():
        cuda_kernel("rgb_to_yuv.cu", name)[-(-n_threads // THREADS), THREADS](rgb, out, *sizes)


LADDER = Ladder(
    name="rgb_to_yuv",
    sentence="Convert a picture of 8-bit RGB to YUV.",
    rungs=(
        Rung(
            "row a thread",
            "Each thread walks along a row: lanes are a row apart, and a picture has too few rows to fill a GPU.",
            "CUDA C++",
            yuv_row_a_thread,
            kernel="yuv_row_a_thread",
            file_name="rgb_to_yuv.cu",
        ),
        Rung(
            "pixel a thread",
            "Each thread has one pixel: the lanes of a warp touch 96 neighbouring bytes, though three times.",
            "CUDA C++",
            yuv_pixel_a_thread,
            proof=("global_load_sectors", "global_store_sectors"),
            kernel="yuv_pixel_a_thread",
            file_name="rgb_to_yuv.cu",
        ),
        Rung(
            "planar",
            "The result lies in three planes: a store is 32 neighbouring bytes, one sector instead of three.",
            "CUDA C++",
            yuv_planar,
            proof=("global_store_sectors",),
            kernel="yuv_planar",
            file_name="rgb_to_yuv.cu",
        ),
        Rung(
            "vectorised",
            "A thread takes four pixels in three 32-bit words and gives each plane four bytes at once.",
            "CUDA C++",
            yuv_vectorised,
            proof=("global_load_requests", "global_store_requests", "warp_instructions"),
            kernel="yuv_vectorised",
            file_name="rgb_to_yuv.cu",
        ),
    ),
    reference=reference,
    inputs=inputs,
    sizes=((1, 1), (1, 4), (7, 13), (16, 16), (31, 33), (48, 64)),
)
