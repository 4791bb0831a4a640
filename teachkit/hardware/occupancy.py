"""How many blocks of a kernel fit on one SM at once, by NVIDIA's allocation rules.

Modelled: the limits of warps, blocks, registers and shared memory, with the granularity in which each is handed out.
Not modelled: named barriers, block clusters, a shared-memory carve-out below the maximum.

Source: the rules and granularities are those of ``cuda_occupancy.h`` (CUDA toolkit 13, which ships with Triton); the
tests compare with it.
"""

from __future__ import annotations

import dataclasses

from teachkit.errors import OccupancyError
from teachkit.hardware.sm_limits import SmLimits
from teachkit.hardware.spec import GpuSpec

_WARP_THREADS = 32
_MAX_THREADS_PER_BLOCK = 1024
_MAX_REGISTERS_PER_THREAD = 255
_REGISTER_UNIT = 256  # registers are handed to a warp in units of this many
_UNLIMITED = 1 << 30


@dataclasses.dataclass(frozen=True)
class Occupancy:
    """How full one SM can be with blocks of one kernel.

    Attributes
    ----------
    fraction
        Resident warps over the most the SM can hold, 0 to 1.
    n_blocks_per_sm
        Resident blocks on one SM.
    n_warps_per_sm
        Resident warps on one SM.
    limiter
        What runs out first: ``"warps"``, ``"blocks"``, ``"registers"`` or ``"shared"``. Where several do at once, the
        first in that order.
    limits
        Blocks that each resource alone would allow.
    """

    fraction: float
    n_blocks_per_sm: int
    n_warps_per_sm: int
    limiter: str
    limits: dict[str, int]


def occupancy(spec: GpuSpec | SmLimits, n_threads: int, n_registers: int = 0, shared_bytes: int = 0) -> Occupancy:
    """Return how many blocks of a kernel one SM holds.

    Parameters
    ----------
    spec
        The GPU, or the limits of a compute capability (:func:`teachkit.hardware.sm_limits.sm_limits`).
    n_threads
        Threads in a block, 1 to 1,024.
    n_registers
        32-bit registers a thread, 0 (unknown: no limit) to 255.
    shared_bytes
        Shared memory a block, static and dynamic, without what the driver reserves.

    Raises
    ------
    OccupancyError
        If no SM of the GPU can run such a block at all.

    Source
    ------
    ``cuda_occupancy.h``, function ``cudaOccMaxActiveBlocksPerMultiprocessor``.
    """
    _check(spec, n_threads, n_registers, shared_bytes)
    n_warps = _ceil_div(n_threads, _WARP_THREADS)
    limits = {
        "warps": spec.max_warps_per_sm // n_warps,
        "blocks": spec.max_blocks_per_sm,
        "registers": _register_limit(spec, n_warps, n_registers),
        "shared": _shared_limit(spec, shared_bytes),
    }
    limiter = min(limits, key=lambda name: limits[name])
    n_blocks = limits[limiter]
    if n_blocks == 0:
        raise OccupancyError(
            f"Expected a block that fits on an SM of {spec.name}, got {n_threads} threads of {n_registers} registers "
            f"with {shared_bytes} bytes of shared memory, which exceeds its {limiter}.",
            hint="use fewer threads a block, or a smaller tile.",
        )
    resident = n_blocks * n_warps
    return Occupancy(resident / spec.max_warps_per_sm, n_blocks, resident, limiter, limits)


def _check(spec: GpuSpec | SmLimits, n_threads: int, n_registers: int, shared_bytes: int) -> None:
    if not 1 <= n_threads <= _MAX_THREADS_PER_BLOCK:
        raise OccupancyError(f"Expected 1 to {_MAX_THREADS_PER_BLOCK} threads a block, got {n_threads}.")
    if not 0 <= n_registers <= _MAX_REGISTERS_PER_THREAD:
        raise OccupancyError(f"Expected 0 to {_MAX_REGISTERS_PER_THREAD} registers a thread, got {n_registers}.")
    if not 0 <= shared_bytes <= spec.shared_bytes_per_block_max:
        raise OccupancyError(
            f"Expected 0 to {spec.shared_bytes_per_block_max} bytes of shared memory a block on {spec.name}, "
            f"got {shared_bytes}.",
            hint="use a smaller tile, fewer pipeline stages, or a GPU with more shared memory.",
        )


def _register_limit(spec: GpuSpec | SmLimits, n_warps: int, n_registers: int) -> int:
    """Registers belong to a quarter of the SM (on Pascal's GP100, a half), and a warp to one quarter."""
    if n_registers == 0:
        return _UNLIMITED
    n_parts = 2 if spec.compute_capability == (6, 0) else 4
    per_warp = _round_up(n_registers * _WARP_THREADS, _REGISTER_UNIT)
    # Launches are checked as if every quarter held as many warps as the fullest. GP100 must also pass the check of
    # its four-part siblings, so the four is right for every chip.
    if per_warp * _round_up(n_warps, 4) > spec.registers_per_sm:
        return 0
    return spec.registers_per_sm // n_parts // per_warp * n_parts // n_warps


def _shared_limit(spec: GpuSpec | SmLimits, shared_bytes: int) -> int:
    unit = 256 if spec.compute_capability < (8, 0) else 128
    per_block = _round_up(shared_bytes + spec.shared_bytes_reserved_per_block, unit)
    return spec.shared_bytes_per_sm // per_block if per_block else _UNLIMITED


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _round_up(a: int, unit: int) -> int:
    return _ceil_div(a, unit) * unit
