"""What a launch would take on the modelled GPU: the clock of autotuning and of Triton's benchmarks without a GPU.

Modelled: the terms of :func:`teachkit.predict`, whose seconds these are (a test holds the two together): launch, DRAM,
latency by waves of blocks, L2, shared memory, arithmetic. That function shows its terms and a band; this one, which
lies below it, only has the number.
Not modelled: what :func:`teachkit.predict` does not model either.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from teachkit.emulator.counters import Counters
from teachkit.hardware.occupancy import occupancy
from teachkit.hardware.spec import GpuSpec

if TYPE_CHECKING:
    from teachkit.emulator.launches import Launch

# For GPUs on which nobody measured them.
_DRAM_FRACTION = 0.83
_DRAM_LATENCY_S = 370e-9
_BLOCK_TURNOVER_S = 260e-9
_SMALL_KERNEL_S = 2.6e-6

_SFU_PER_CYCLE_PER_SM = 16


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
    counters = launch.counters
    latency_s, turnover_s = gpu.dram_latency_s or _DRAM_LATENCY_S, gpu.block_turnover_s or _BLOCK_TURNOVER_S
    launch_s = max((gpu.small_kernel_s or _SMALL_KERNEL_S) - latency_s - turnover_s, 0.0)
    wave_s = turnover_s * bool(counters.dram_bytes) + latency_s * bool(counters.dram_read_bytes)
    return launch_s + max(
        counters.dram_bytes / _dram_rate(gpu),
        _n_waves(launch, gpu) * wave_s,
        _on_chip_seconds(counters, gpu, _share_of_sms(launch, gpu)),
    )


def _dram_rate(gpu: GpuSpec) -> float:
    return gpu.dram_triad_bytes_per_s or gpu.dram_copy_bytes_per_s or _DRAM_FRACTION * gpu.dram_bytes_per_s


def _n_waves(launch: Launch, gpu: GpuSpec) -> float:
    needs = launch.resources
    fits = occupancy(gpu, math.prod(launch.block), needs.n_registers or 0, needs.shared_bytes)
    return max(math.prod(launch.grid) / (gpu.n_sms * fits.n_blocks_per_sm), 1.0)


def _share_of_sms(launch: Launch, gpu: GpuSpec) -> float:
    # The SM with the most blocks decides: 109 blocks on 108 SMs take as long as 216.
    n_blocks = math.prod(launch.grid)
    return n_blocks / (gpu.n_sms * math.ceil(n_blocks / gpu.n_sms)) if n_blocks else 1.0


def _on_chip_seconds(counters: Counters, gpu: GpuSpec, share_of_sms: float) -> float:
    cycles_per_s = gpu.n_sms * gpu.clock_hz
    n_sectors = counters.l2_lookups or counters.global_load_sectors + counters.global_store_sectors
    fp16_rate = gpu.fp16_flop_per_s or gpu.fp32_flop_per_s
    work_and_rate = (
        (counters.flop_fp64, gpu.fp64_flop_per_s),
        (counters.flop_fp32, gpu.fp32_flop_per_s),
        (counters.flop_fp16, fp16_rate),
        (counters.flop_tensor, gpu.tensor_fp16_flop_per_s or fp16_rate),
        (counters.sfu_ops, _SFU_PER_CYCLE_PER_SM * cycles_per_s),
        (counters.shared_load_wavefronts + counters.shared_store_wavefronts, cycles_per_s),
    )
    slowest_s = max(work / (rate * share_of_sms) for work, rate in work_and_rate if rate)
    return max(slowest_s, gpu.sector_bytes * n_sectors / gpu.l2_bytes_per_s if gpu.l2_bytes_per_s else 0.0)
