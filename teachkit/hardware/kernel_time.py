"""What a launch's counts cost on a GPU's data sheet: the one place where the time model's terms are computed.

Modelled: a launch takes its overhead plus the longest of its other terms. One pair of terms does not overlap perfectly:
blocks that wait for their reads cannot all keep DRAM busy, so DRAM traffic and latency add up as the legs of a right
triangle do (between the longer, which is perfect overlap, and the sum, which is none). That exponent of two is the only
number that is not from a data sheet or a measurement of one quantity; it is the same for every GPU and kernel.
Not modelled: loops of dependent loads, contention between global and shared accesses, local memory, integer arithmetic
apart from its issue slots, atomics on one address, and the precision of tensor-core work (the caller names it).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

from teachkit.errors import PredictionError
from teachkit.hardware.occupancy import Occupancy, occupancy
from teachkit.hardware.spec import GpuSpec

# For devices on which nobody measured them: means over the distinct measurements of the data sheets; a test recomputes
# them.
ASSUMED_DRAM_FRACTION = 0.83
ASSUMED_DRAM_LATENCY_S = 370e-9
ASSUMED_BLOCK_TURNOVER_S = 260e-9
ASSUMED_SMALL_KERNEL_S = 2.6e-6
ASSUMED_GRAPH_KERNEL_S = 1.32e-6

SFU_PER_CYCLE_PER_SM = 16
"""Source: CUDA C++ Programming Guide, table of results per clock cycle, 6.0 to 12.0: reciprocal, exp2, log2, sine."""

L1_LINES_PER_CYCLE = 4
"""Lines of 128 bytes that L1 looks up a cycle. Source: RRZE gpu-benches, gpu-strides on A100 and H200: 32 lanes in 32
lines take 8 cycles or more."""

TENSOR_TYPES = ("fp16", "bf16", "tf32", "fp64", "fp8", "fp4", "int8", "int4")

Kind = Literal["launch", "measured rate", "assumed rate", "latency", "peak", "issue"]
LaunchMode = Literal["queue", "eager", "compiled", "graph"]
Counts = Any
"""Counters by name; the emulator lies above this room, so its class has no name here."""

LAUNCH_MODES: tuple[LaunchMode, ...] = ("queue", "eager", "compiled", "graph")


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Modelled seconds of one term, what sort of number they rest on, and which.

    ``waits`` marks a latency that adds to DRAM traffic as described above.
    """

    name: str
    seconds: float
    kind: Kind
    note: str
    waits: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """How a grid lies on a GPU: rounds in which it passes through, and the share of SMs that have work (0 to 1)."""

    n_waves: float
    sm_share: float
    note: str


def shape_of(
    spec: GpuSpec,
    grid: Sequence[int] | None,
    block: Sequence[int] | None,
    n_registers: int | None = None,
    shared_bytes: int = 0,
) -> Shape:
    """Lay a grid on a GPU.

    Parameters
    ----------
    spec
        The GPU.
    grid, block
        Blocks, and threads a block, in each dimension; ``None`` where they are not known: then one wave fills the GPU.
    n_registers
        Registers a thread; ``None`` where not known.
    shared_bytes
        Shared memory a block.

    Raises
    ------
    OccupancyError
        If a block does not fit.
    """
    if grid is None or block is None:
        return Shape(1.0, 1.0, "one wave: the grid is not known")
    n_blocks = math.prod(grid)
    fits: Occupancy = occupancy(spec, math.prod(block), n_registers or 0, shared_bytes)
    note = f"{fits.n_blocks_per_sm} blocks on an SM, limited by {fits.limiter}"
    if n_registers is None:
        note += "; registers not known"
    # The SM with the most blocks decides: 109 blocks on 108 SMs take as long as 216.
    share = n_blocks / (spec.n_sms * math.ceil(n_blocks / spec.n_sms)) if n_blocks else 1.0
    return Shape(max(n_blocks / (spec.n_sms * fits.n_blocks_per_sm), 1.0), share, note)


def mixed_dram_rate(spec: GpuSpec) -> tuple[float, bool, str]:
    """Bytes a second that reads and writes together reach, whether that was measured, and where it is from."""
    for field in ("dram_triad_bytes_per_s", "dram_copy_bytes_per_s"):
        if (measured := getattr(spec, field)) is not None:
            return measured, True, f"{field}: {spec.source(field)}"
    assumed = ASSUMED_DRAM_FRACTION * spec.dram_bytes_per_s
    return assumed, False, f"assumed: {ASSUMED_DRAM_FRACTION} of the data sheet, as on devices that were measured"


def one_way_dram_rate(spec: GpuSpec) -> float:
    """Bytes a second of reads alone or of writes alone: the bus never turns round, so the faster of both counts."""
    rates = (spec.dram_read_bytes_per_s, spec.dram_write_bytes_per_s, mixed_dram_rate(spec)[0])
    return max(rate for rate in rates if rate is not None)


def dram_seconds(spec: GpuSpec, n_read: float, n_written: float) -> float:
    """Time of DRAM traffic, bytes: up to two bytes of one direction with each of the other at the mixed rate."""
    mixed = min(n_read + n_written, 3 * min(n_read, n_written))
    return mixed / mixed_dram_rate(spec)[0] + (n_read + n_written - mixed) / one_way_dram_rate(spec)


def n_l1_passes(counts: Counts) -> float:
    """Cycles of one SM's L1 for the launch's global accesses.

    A load takes the longer of its passes through the banks and of its tags: four lines a cycle, where conflicts between
    tag banks leave the last cycle part empty, so that n lines take (n + 3) / 4. A store takes one or more.
    """
    return float(max(counts.global_load_wavefronts, _n_tag_cycles(counts)) + counts.global_store_requests)


def _n_tag_cycles(counts: Counts) -> float:
    n = counts.global_load_requests
    return float((max(counts.l1_tag_lookups, n) + (L1_LINES_PER_CYCLE - 1) * n) / L1_LINES_PER_CYCLE)


def _l1_note(counts: Counts) -> str:
    note = "one pass of 128 bytes a cycle and SM"
    if n := counts.global_load_requests:
        banks, tags = counts.global_load_wavefronts / n, _n_tag_cycles(counts) / n
        note = f"a load takes {banks:.3g} cycles in the banks and {tags:.3g} in the tags; {note}"
    return note


def kernel_costs(
    counts: Counts, spec: GpuSpec, shape: Shape, *, launch: LaunchMode = "queue", tensor: str = "fp16"
) -> tuple[Cost, ...]:
    """Every term of one launch, or of ``counts.n_launches`` like it; terms of no time are left out.

    Raises
    ------
    PredictionError
        If ``launch`` or ``tensor`` is none that is known.
    """
    if launch not in LAUNCH_MODES:
        raise PredictionError(f"Expected launch to be one of {', '.join(LAUNCH_MODES)}, got {launch!r}.")
    if tensor not in TENSOR_TYPES:
        raise PredictionError(f"Expected tensor to be one of {', '.join(TENSOR_TYPES)}, got {tensor!r}.")
    n = max(counts.n_launches, 1)
    latency = _latency(counts, spec, shape, n)
    costs = [
        _launch(spec, n, is_graph=launch == "graph"),
        _dram(counts, spec),
        latency,
        *_on_chip(counts, spec, shape.sm_share),
        *_arithmetic(counts, spec, shape.sm_share, tensor),
    ]
    return tuple(cost for cost in costs if cost.seconds > 0)


def total_seconds(costs: Sequence[Cost]) -> float:
    """Overhead plus the longest term, waiting for DRAM reckoned with."""
    by_name = {cost.name: cost for cost in costs}
    others = [cost.seconds for cost in costs if cost.kind != "launch"]
    if (latency := by_name.get("latency")) is not None and latency.waits and "dram" in by_name:
        others.append(math.hypot(latency.seconds, by_name["dram"].seconds))
    return sum(cost.seconds for cost in costs if cost.kind == "launch") + max(others, default=0.0)


def _launch(spec: GpuSpec, n: int, *, is_graph: bool) -> Cost:
    field = "graph_kernel_s" if is_graph else "small_kernel_s"
    assumed = ASSUMED_GRAPH_KERNEL_S if is_graph else ASSUMED_SMALL_KERNEL_S
    one_wave = (spec.dram_latency_s or ASSUMED_DRAM_LATENCY_S) + (spec.block_turnover_s or ASSUMED_BLOCK_TURNOVER_S)
    small: float | None = getattr(spec, field)
    how = "replayed from a graph" if is_graph else "queued one after the other"
    source = spec.source(field) if small is not None else "assumed: mean of the devices that were measured"
    return Cost(
        "launch",
        n * max((small or assumed) - one_wave, 0.0),
        "launch",
        f"small kernels {how}, less one wave ({source})",
    )


def _dram(counts: Counts, spec: GpuSpec) -> Cost:
    _, is_measured, note = mixed_dram_rate(spec)
    seconds = dram_seconds(spec, counts.dram_read_bytes, counts.dram_write_bytes)
    return Cost("dram", seconds, "measured rate" if is_measured else "assumed rate", note)


def _latency(counts: Counts, spec: GpuSpec, shape: Shape, n: int) -> Cost:
    """Little's law: what is in flight is one wave of blocks, and a wave takes one trip to DRAM and a block's start."""
    has_reads = counts.dram_read_bytes > 0
    seconds = spec.block_turnover_s or ASSUMED_BLOCK_TURNOVER_S
    if has_reads:
        seconds += spec.dram_latency_s or ASSUMED_DRAM_LATENCY_S
    seconds *= shape.n_waves * n * bool(counts.dram_read_bytes or counts.dram_write_bytes)
    return Cost("latency", seconds, "latency", f"{shape.n_waves:.3g} waves of blocks; {shape.note}", waits=has_reads)


def _on_chip(counts: Counts, spec: GpuSpec, sm_share: float) -> list[Cost]:
    cycles_per_s = spec.n_sms * spec.clock_hz * sm_share
    n_sectors = counts.l2_lookups or counts.global_load_sectors + counts.global_store_sectors
    n_shared = counts.shared_load_wavefronts + counts.shared_store_wavefronts
    # Two schedulers on GP100's SM, four on all others; each issues one warp instruction a cycle.
    n_schedulers = 2 if spec.compute_capability == (6, 0) else 4
    costs = [
        Cost("l1", n_l1_passes(counts) / cycles_per_s, "measured rate", _l1_note(counts)),
        Cost("shared", n_shared / cycles_per_s, "measured rate", "one wavefront a cycle and SM"),
        Cost(
            "issue",
            counts.warp_instructions / (n_schedulers * cycles_per_s),
            "issue",
            f"{n_schedulers} warp instructions a cycle and SM, counted in PTX",
        ),
    ]
    if spec.l2_bytes_per_s is not None:
        seconds = spec.sector_bytes * n_sectors / (spec.l2_bytes_per_s * sm_share)
        costs.insert(0, Cost("l2", seconds, "measured rate", spec.source("l2_bytes_per_s")))
    return costs


def _arithmetic(counts: Counts, spec: GpuSpec, sm_share: float, tensor: str) -> list[Cost]:
    op = "op" if tensor.startswith("int") else "flop"
    work = (
        ("fp64", counts.flop_fp64, ("fp64_flop_per_s",)),
        ("fp32", counts.flop_fp32, ("fp32_flop_per_s",)),
        ("fp16", counts.flop_fp16, ("fp16_flop_per_s", "fp32_flop_per_s")),
        ("tensor", counts.flop_tensor, (f"tensor_{tensor}_{op}_per_s", "fp16_flop_per_s", "fp32_flop_per_s")),
    )
    costs = []
    for name, n_flop, fields in work:
        field = next((field for field in fields if getattr(spec, field) is not None), None)
        if field is not None:
            seconds = n_flop / (getattr(spec, field) * sm_share)
            costs.append(Cost(name, seconds, "peak", f"{field}: {spec.source(field)}"))
    seconds = counts.sfu_ops / (SFU_PER_CYCLE_PER_SM * spec.n_sms * spec.clock_hz * sm_share)
    costs.append(Cost("sfu", seconds, "peak", f"{SFU_PER_CYCLE_PER_SM} a cycle and SM"))
    return costs


_RESTS_ON = {
    "dram_triad_bytes_per_s": "DRAM bandwidth",
    "dram_latency_s": "DRAM latency",
    "block_turnover_s": "time from one block to the next",
    "small_kernel_s": "time of a small kernel",
    "l2_bytes_per_s": "L2 bandwidth",
    "fp64_flop_per_s": "FP64 rate",
}


def lacks(spec: GpuSpec) -> tuple[str, ...]:
    """What the model would use of a data sheet and does not find: then it assumes a mean or leaves a term out."""
    found = []
    for field, what in _RESTS_ON.items():
        copied = field == "dram_triad_bytes_per_s" and spec.dram_copy_bytes_per_s is not None
        if getattr(spec, field) is None and not copied:
            found.append(what)
    return tuple(found)
