"""Inputs that are hard on a kernel: awkward sizes, a needle in zeros, heavy tails, gaps between elements.

Every tensor comes from a seeded generator, is made on the CPU and moved to the course's device.
Not modelled: inputs with NaN or infinities, which no exercise defines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# One below, at and above the block sizes that people choose, then a prime.
AWKWARD_SIZES = (1, 2, 127, 128, 129, 255, 256, 257, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 10007)


def generator(seed: int) -> torch.Generator:
    """A CPU generator that gives the same numbers for the same seed."""
    import torch

    return torch.Generator().manual_seed(seed)


def normal(shape: tuple[int, ...], source: torch.Generator) -> torch.Tensor:
    """Float32 standard normal numbers."""
    import torch

    return _place(torch.randn(shape, generator=source))


def heavy_tails(shape: tuple[int, ...], source: torch.Generator, largest: float = 1e6) -> torch.Tensor:
    """Float32 numbers of both signs whose magnitudes spread evenly over the decades from 1e-6 to ``largest``."""
    import math

    import torch

    decades = torch.rand(shape, generator=source) * (math.log10(largest) + 6) - 6
    signs = torch.randint(0, 2, shape, generator=source) * 2 - 1
    return _place(10.0**decades * signs)


def needle(n: int, source: torch.Generator) -> torch.Tensor:
    """Float32 zeros ``[n]`` with one number other than zero, somewhere."""
    import torch

    result = torch.zeros(n)
    result[int(torch.randint(0, n, (1,), generator=source))] = 1.0 + float(torch.rand((1,), generator=source))
    return _place(result)


def with_gaps(n: int, source: torch.Generator) -> torch.Tensor:
    """Float32 ``[n]``, every second element of a tensor twice as long."""
    return normal((2 * n,), source)[::2]


def fresh_size(source: torch.Generator, low: int, high: int) -> int:
    """A size in ``low <= n < high`` that nobody could have known."""
    import torch

    return int(torch.randint(low, high, (1,), generator=source))


def _place(value: torch.Tensor) -> torch.Tensor:
    from teachkit.hardware.device import device

    return value.to(device())
