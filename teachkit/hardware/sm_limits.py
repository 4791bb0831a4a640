"""What one SM holds at most, by compute capability: what occupancy is reckoned from where there is no data sheet.

Modelled: nothing. Source: NVIDIA, CCCL 13.3 (package nvidia-cuda-cccl 13.3.5), ``cuda/__device/arch_traits.h``: the
limits of every architecture, and the kibibyte that the driver keeps of each block's shared memory from 8.0 on. The
tests compare with NVIDIA's own occupancy header.
Not listed: 6.2, whose blocks may use half of its registers only, and chips without a row of their own in that table.
"""

from __future__ import annotations

import dataclasses

from teachkit.errors import OccupancyError


@dataclasses.dataclass(frozen=True, slots=True)
class SmLimits:
    """Limits of one SM; bytes of shared memory, 32-bit registers, warps of 32 threads."""

    name: str
    compute_capability: tuple[int, int]
    max_warps_per_sm: int
    max_blocks_per_sm: int
    shared_bytes_per_sm: int
    shared_bytes_per_block_max: int
    shared_bytes_reserved_per_block: int
    registers_per_sm: int = 65_536


# Compute capability: warps, blocks, KiB of shared memory an SM, KiB a block.
_TABLE = {
    "6.0": (64, 32, 64, 48),
    "6.1": (64, 32, 96, 48),
    "7.0": (64, 32, 96, 96),
    "7.5": (32, 16, 64, 64),
    "8.0": (64, 32, 164, 163),
    "8.6": (48, 16, 100, 99),
    "8.7": (48, 16, 164, 163),
    "8.9": (48, 24, 100, 99),
    "9.0": (64, 32, 228, 227),
    "10.0": (64, 32, 228, 227),
    "12.0": (48, 24, 100, 99),
}


def sm_limits(compute_capability: str | tuple[int, int]) -> SmLimits:
    """Return the limits of one SM.

    Parameters
    ----------
    compute_capability
        ``"8.6"`` or ``(8, 6)``.

    Raises
    ------
    OccupancyError
        If there is no such row; the message lists what exists.

    Examples
    --------
    >>> sm_limits("8.9").max_warps_per_sm
    48
    """
    if isinstance(compute_capability, tuple):
        compute_capability = ".".join(map(str, compute_capability))
    if compute_capability not in _TABLE:
        raise OccupancyError(
            f"Expected one of the compute capabilities {', '.join(_TABLE)}, got {compute_capability!r}."
        )
    n_warps, n_blocks, per_sm, per_block = _TABLE[compute_capability]
    major, minor = map(int, compute_capability.split("."))
    reserved = 1024 if major >= 8 else 0
    name = f"an SM of compute capability {compute_capability}"
    return SmLimits(name, (major, minor), n_warps, n_blocks, per_sm * 1024, per_block * 1024, reserved)


def compute_capabilities() -> tuple[str, ...]:
    """Return the compute capabilities that have a row, oldest first."""
    return tuple(_TABLE)
