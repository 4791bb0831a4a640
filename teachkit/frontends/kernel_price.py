"""What a launch would take on the modelled GPU, from its counters alone: the clock of autotuning without a GPU.

Modelled: the slowest of DRAM, L2, L1, shared memory, issue slots and arithmetic, how many SMs and rounds of blocks the
grid fills, and the cost of a launch. The same launch has the same price on every machine, in every run.
Not modelled: how far memory latency is hidden by instruction-level parallelism, clock changes, instruction caches.
It ranks configurations of one kernel; :func:`teachkit.predict` is the model that explains itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from teachkit.hardware.spec import GpuSpec

if TYPE_CHECKING:
    from teachkit.emulator.launches import Launch

_SCHEDULERS_PER_SM = 4  # warp instructions issued in a cycle
_SPECIAL_LANES_PER_SM = 16  # special-function results in a cycle
_INTEGER_LANES_PER_SM = 64
_REACHED_FRACTION = 0.85  # of the data sheet's DRAM bandwidth, where nobody measured it
_DRAM_LATENCY_S = 500e-9
_LAUNCH_S = 2e-6


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
    """
    counters = launch.counters
    n_blocks = math.prod(launch.grid)
    n_warps_per_block = -(-math.prod(launch.block) // 32)
    occupancy = launch.resources.occupancy
    resident = max(1, round((1.0 if occupancy is None else occupancy) * gpu.max_warps_per_sm) // n_warps_per_block)
    rounds = -(-n_blocks // (resident * gpu.n_sms))
    # The SM with the most blocks decides: 109 blocks on 108 SMs take as long as 216.
    busiest_share = -(-n_blocks // gpu.n_sms) / max(n_blocks, 1)
    cycles_of_an_sm = busiest_share * max(
        _l1_cycles(launch, gpu),
        float(counters.shared_load_wavefronts + counters.shared_store_wavefronts),
        counters.warp_instructions / _SCHEDULERS_PER_SM,
        counters.sfu_ops / _SPECIAL_LANES_PER_SM,
        counters.int_ops / _INTEGER_LANES_PER_SM,
    )
    arithmetic_s = busiest_share * gpu.n_sms * _arithmetic_s(launch, gpu)
    dram_rate = gpu.dram_triad_bytes_per_s or _REACHED_FRACTION * gpu.dram_bytes_per_s
    l2_bytes = gpu.sector_bytes * (counters.global_load_sectors + counters.global_store_sectors)
    l2_s = l2_bytes / gpu.l2_bytes_per_s if gpu.l2_bytes_per_s else 0.0
    latency_s = rounds * (gpu.dram_latency_s or _DRAM_LATENCY_S)
    slowest_s = max(counters.dram_bytes / dram_rate, l2_s, cycles_of_an_sm / gpu.clock_hz, arithmetic_s)
    return (gpu.small_kernel_s or _LAUNCH_S) + latency_s + slowest_s


def _l1_cycles(launch: Launch, gpu: GpuSpec) -> float:
    sectors = launch.counters.global_load_sectors + launch.counters.global_store_sectors
    return gpu.sector_bytes * sectors / (gpu.l1_bytes_per_cycle_per_sm or 64.0)


def _arithmetic_s(launch: Launch, gpu: GpuSpec) -> float:
    counters = launch.counters
    work_and_rate = (
        (counters.flop_fp32, gpu.fp32_flop_per_s),
        (counters.flop_fp64, gpu.fp64_flop_per_s),
        (counters.flop_fp16, gpu.fp16_flop_per_s),
        (counters.flop_tensor, gpu.tensor_fp16_flop_per_s),
    )
    return max(work / rate if rate else 0.0 for work, rate in work_and_rate)
