"""Special registers of a thread block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.tally import LANES
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.reserved import VALUES

if TYPE_CHECKING:
    from teachkit.emulator.oracle.launch_state import LaunchState

_AXES = ("x", "y", "z")
_GRID_WORKSPACE = "tk_grid_workspace"  # cooperative groups find it in two registers that the driver sets on a GPU


def special_registers(launch: LaunchState, block: tuple[int, int, int], n_threads: int) -> dict[str, Array]:
    """By name, uint32 or uint64, [n_threads] or [1].

    Multiprocessors are those of the GPU that is modelled by default, dealt to blocks in turn. Clocks are read by
    :func:`clock`.
    """
    thread = np.arange(n_threads, dtype=np.uint32)
    sizes, n_blocks = launch.block, launch.grid
    size = launch.cluster
    at = tuple(int(n) % each for n, each in zip(block, size, strict=True))
    parts = {
        "%tid": (thread % sizes[0], thread // sizes[0] % sizes[1], thread // (sizes[0] * sizes[1])),
        "%ntid": sizes,
        "%ctaid": block,
        "%nctaid": n_blocks,
        "%clusterid": tuple(n // each for n, each in zip(block, size, strict=True)),
        "%nclusterid": tuple(n // each for n, each in zip(n_blocks, size, strict=True)),
        "%cluster_ctaid": at,
        "%cluster_nctaid": size,
    }
    registers = {
        f"{name}.{axis}": np.atleast_1d(np.asarray(value, np.uint32))
        for name, values in parts.items()
        for axis, value in zip(_AXES, values, strict=True)
    }
    lane = thread % np.uint32(LANES)
    bit = np.uint32(1) << lane
    number = block[0] + n_blocks[0] * (block[1] + n_blocks[1] * block[2])
    registers |= {
        "%laneid": lane,
        "%warpid": thread // np.uint32(LANES),
        "%lanemask_eq": bit,
        "%lanemask_lt": bit - np.uint32(1),
        "%lanemask_le": bit | (bit - np.uint32(1)),
        "%lanemask_gt": ~(bit | (bit - np.uint32(1))),
        "%lanemask_ge": ~(bit - np.uint32(1)),
    }
    n_sms = _n_sms(launch.module.architecture)
    scalars = {
        "%nwarpid": 64,
        "%smid": number % n_sms,
        "%nsmid": n_sms,
        "%gridid": 0,
        "%cluster_ctarank": at[0] + size[0] * (at[1] + size[1] * at[2]),
        "%cluster_nctarank": size[0] * size[1] * size[2],
        "%is_explicit_cluster": int(size != (1, 1, 1) or "reqnctapercluster" in launch.kernel.directives),
        "%dynamic_smem_size": launch.dynamic_shared_bytes,
        "%total_smem_size": launch.layout.shared_bytes - launch.layout.reserved_bytes,
        "%aggr_smem_size": launch.layout.shared_bytes,
        **VALUES,
    }
    if _GRID_WORKSPACE in launch.module.variables:
        place = int(launch.layout.place(_GRID_WORKSPACE)[1])
        scalars |= {"%envreg1": place >> 32, "%envreg2": place & 0xFFFFFFFF}
    return registers | {name: np.array([value], np.uint32) for name, value in scalars.items()}


def clock(name: str, now: int) -> Array:
    """A clock or a timer at ``now``."""
    if name in ("%clock64", "%globaltimer"):
        return np.array([now], np.uint64)
    return np.array([now >> (32 if name.endswith("_hi") else 0) & 0xFFFFFFFF], np.uint32)


def _n_sms(architecture: int) -> int:
    from teachkit.hardware.spec import default_gpu_name, gpu

    return int(gpu(default_gpu_name(architecture)).n_sms)
