"""What a launch would take on the modelled GPU: the clock of autotuning and of Triton's benchmarks without a GPU.

Modelled: the seconds of :func:`teachkit.predict`, which shows the terms and a band; this one only has the number.
Not modelled: what :mod:`teachkit.hardware.kernel_time` does not model either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.hardware.grid_shape import shape_of
from teachkit.hardware.kernel_time import kernel_costs, total_seconds
from teachkit.hardware.spec import GpuSpec

if TYPE_CHECKING:
    from teachkit.emulator.launches import Launch


def modelled_seconds(launch: Launch, gpu: GpuSpec) -> float:
    """Price of one launch.

    Parameters
    ----------
    launch : Launch
        A launch with counters.
    gpu : GpuSpec
        The GPU it is priced for.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    OccupancyError
        If a block of the launch does not fit on the GPU.
    """
    needs = launch.resources
    shape = shape_of(gpu, launch.grid, launch.block, needs.n_registers, needs.shared_bytes)
    return total_seconds(kernel_costs(launch.counters, gpu, shape))
