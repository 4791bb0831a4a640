"""What a launch's counts cost on a GPU's data sheet: the one place where the time model's terms are computed.

Modelled: a launch takes its overhead plus the longest of its other terms. One pair of terms does not overlap perfectly:
blocks that wait for their reads cannot all keep memory busy, so the traffic of DRAM (and that of L2) and the latency
add up as the legs of a right triangle do (between the longer, which is perfect overlap, and the sum, which is none).
That exponent of two is the only number that is not from a data sheet or a measurement of one quantity; it is the same
for every GPU and kernel. A launch finds L2 cold, as the emulator counts it, or warm: then it finds there what it left
itself when it ran before.
Not modelled: loops of dependent loads, contention between global and shared accesses, local memory, integer arithmetic
apart from its issue slots, atomics on one address, what one kernel leaves in L2 for another, and the precision of
tensor-core work (the caller names it).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from teachkit.errors import PredictionError
from teachkit.hardware.grid_shape import Shape
from teachkit.hardware.memory_rates import dram_seconds, l2_seconds, missed_share, mixed_dram_rate
from teachkit.hardware.spec import GpuSpec

# For devices on which nobody measured them: means over the distinct measurements of the data sheets; a test recomputes
# them.
ASSUMED_DRAM_LATENCY_S = 350e-9
ASSUMED_L2_LATENCY_S = 143e-9
ASSUMED_BLOCK_TURNOVER_S = 248e-9
ASSUMED_BLOCKS_PER_CYCLE = 0.85
ASSUMED_SMALL_KERNEL_S = 2.2e-6
ASSUMED_GRAPH_KERNEL_S = 1.18e-6

SFU_PER_CYCLE_PER_SM = 16
"""Source: CUDA C++ Programming Guide, table of results per clock cycle, 6.0 to 12.0: reciprocal, exp2, log2, sine."""

L1_LINES_PER_CYCLE = 4
"""Lines of 128 bytes that L1 looks up a cycle. Source: RRZE gpu-benches, gpu-strides on A100 and H200: 32 lanes in 32
lines take 8 cycles or more."""

TENSOR_TYPES = ("fp16", "bf16", "tf32", "fp64", "fp8", "fp4", "int8", "int4")

Kind = Literal["launch", "measured rate", "assumed rate", "latency", "peak", "issue"]
LaunchMode = Literal["queue", "eager", "compiled", "graph"]
CacheState = Literal["cold", "warm"]
Counts = Any
"""Counters by name; the emulator lies above this room, so its class has no name here."""

LAUNCH_MODES: tuple[LaunchMode, ...] = ("queue", "eager", "compiled", "graph")
CACHE_STATES: tuple[CacheState, ...] = ("cold", "warm")


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Modelled seconds of one term, what sort of number they rest on, and which.

    ``waits`` marks a latency that adds to traffic of DRAM and of L2 as described above.
    """

    name: str
    seconds: float
    kind: Kind
    note: str
    waits: bool = False


def n_l1_passes(counts: Counts, spec: GpuSpec) -> float:
    """Cycles of one SM's L1 for the launch's global accesses.

    A load takes the longest of its passes through the banks, of its tags, and of the way back to the registers, which
    is as wide as the sheet's measured bandwidth of L1. Tags: four lines a cycle, where conflicts between tag banks
    leave the last cycle part empty, so that n lines take (n + 3) / 4. A store takes one or more.
    """
    returned = counts.global_load_bytes / spec.l1_bytes_per_cycle_per_sm if spec.l1_bytes_per_cycle_per_sm else 0.0
    return float(max(counts.global_load_wavefronts, _n_tag_cycles(counts), returned) + counts.global_store_requests)


def _n_tag_cycles(counts: Counts) -> float:
    n = counts.global_load_requests
    return float((max(counts.l1_tag_lookups, n) + (L1_LINES_PER_CYCLE - 1) * n) / L1_LINES_PER_CYCLE)


def _l1_note(counts: Counts, spec: GpuSpec) -> str:
    note = "one pass of 128 bytes a cycle and SM"
    if n := counts.global_load_requests:
        banks, tags = counts.global_load_wavefronts / n, _n_tag_cycles(counts) / n
        back = ""
        if width := spec.l1_bytes_per_cycle_per_sm:
            back = f", {counts.global_load_bytes / n / width:.3g} on the way back"
        note = f"a load takes {banks:.3g} cycles in the banks, {tags:.3g} in the tags{back}; {note}"
    return note


def kernel_costs(
    counts: Counts,
    spec: GpuSpec,
    shape: Shape,
    *,
    launch: LaunchMode = "queue",
    tensor: str = "fp16",
    l2: CacheState = "cold",
    footprint_bytes: float | None = None,
) -> tuple[Cost, ...]:
    """Every term of one launch, or of ``counts.n_launches`` like it; terms of no time are left out.

    ``l2="warm"`` leaves of the counted DRAM traffic the share that misses in an L2 which the same launch filled before;
    ``footprint_bytes`` is the memory that one launch touches, by default what it reads plus what it writes.

    Raises
    ------
    PredictionError
        If ``launch``, ``tensor`` or ``l2`` is none that is known, or the footprint is no size.
    """
    if launch not in LAUNCH_MODES:
        raise PredictionError(f"Expected launch to be one of {', '.join(LAUNCH_MODES)}, got {launch!r}.")
    if tensor not in TENSOR_TYPES:
        raise PredictionError(f"Expected tensor to be one of {', '.join(TENSOR_TYPES)}, got {tensor!r}.")
    if l2 not in CACHE_STATES:
        raise PredictionError(f"Expected l2 to be one of {', '.join(CACHE_STATES)}, got {l2!r}.")
    if footprint_bytes is not None and (l2 != "warm" or not footprint_bytes >= 0):
        raise PredictionError(
            f'Expected footprint_bytes of 0 or more with l2="warm", got {footprint_bytes!r} with {l2!r}.'
        )
    n = max(counts.n_launches, 1)
    missed = 1.0
    if l2 == "warm":
        touched = (counts.compulsory_read_bytes + counts.compulsory_write_bytes) / n
        missed = missed_share(spec.l2_bytes, touched if footprint_bytes is None else footprint_bytes)
    costs = [
        _launch(spec, n, is_graph=launch == "graph"),
        _dram(counts, spec, missed, is_warm=l2 == "warm"),
        _latency(counts, spec, shape, n, missed),
        _blocks(counts, spec, shape, n, missed),
        *_on_chip(counts, spec, shape.sm_share, is_warm=l2 == "warm"),
        *_arithmetic(counts, spec, shape.sm_share, tensor),
    ]
    return tuple(cost for cost in costs if cost.seconds > 0)


def total_seconds(costs: Sequence[Cost]) -> float:
    """Overhead plus the longest term, waiting for memory reckoned with."""
    others = {cost.name: cost.seconds for cost in costs if cost.kind != "launch"}
    waits = any(cost.waits for cost in costs)
    return sum(cost.seconds for cost in costs if cost.kind == "launch") + longest(others, waits=waits)


def longest(seconds: Mapping[str, float], *, waits: bool) -> float:
    """The longest of terms that overlap; where blocks wait, traffic and latency are the legs of a right triangle."""
    legs = [math.hypot(seconds["latency"], seconds[name]) for name in ("dram", "l2") if waits and name in seconds]
    return max(*seconds.values(), *legs, 0.0, 0.0)


def l2_latency_s(spec: GpuSpec) -> float:
    """Time of one load that hits in L2, measured or assumed."""
    return spec.l2_latency_cycles / spec.clock_hz if spec.l2_latency_cycles else ASSUMED_L2_LATENCY_S


def _launch(spec: GpuSpec, n: int, *, is_graph: bool) -> Cost:
    """What is left of a small kernel without its one wave of blocks, whose few bytes were measured in L2."""
    field = "graph_kernel_s" if is_graph else "small_kernel_s"
    assumed = ASSUMED_GRAPH_KERNEL_S if is_graph else ASSUMED_SMALL_KERNEL_S
    one_wave = l2_latency_s(spec) + (spec.block_turnover_s or ASSUMED_BLOCK_TURNOVER_S)
    small: float | None = getattr(spec, field)
    how = "replayed from a graph" if is_graph else "queued one after the other"
    source = spec.source(field) if small is not None else "assumed: mean of the devices that were measured"
    return Cost(
        "launch",
        n * max((small or assumed) - one_wave, 0.0),
        "launch",
        f"small kernels {how}, less one wave ({source})",
    )


def _dram(counts: Counts, spec: GpuSpec, missed: float, *, is_warm: bool) -> Cost:
    _, is_measured, note = mixed_dram_rate(spec)
    seconds = dram_seconds(spec, missed * counts.dram_read_bytes, missed * counts.dram_write_bytes)
    if is_warm:
        note = f"{100 * missed:.0f} % of its traffic misses in a warm L2; {note}"
    return Cost("dram", seconds, "measured rate" if is_measured else "assumed rate", note)


def _latency(counts: Counts, spec: GpuSpec, shape: Shape, n: int, missed: float) -> Cost:
    """Little's law: one wave of blocks is in flight, and a wave takes one trip to memory and a block's start."""
    seconds = shape.n_waves * n * _wave_seconds(counts, spec, missed)
    waits = counts.dram_read_bytes > 0
    return Cost("latency", seconds, "latency", f"{shape.n_waves:.3g} waves of blocks; {shape.note}", waits=waits)


def _wave_seconds(counts: Counts, spec: GpuSpec, missed: float) -> float:
    """From the start of a block that touches memory to the next one in its place."""
    if not (counts.dram_read_bytes or counts.dram_write_bytes):
        return 0.0
    seconds = spec.block_turnover_s or ASSUMED_BLOCK_TURNOVER_S
    if counts.dram_read_bytes:
        near = l2_latency_s(spec)
        seconds += near + missed * max((spec.dram_latency_s or ASSUMED_DRAM_LATENCY_S) - near, 0.0)
    return seconds


def _blocks(counts: Counts, spec: GpuSpec, shape: Shape, n: int, missed: float) -> Cost:
    """The GPU hands out blocks one after the other, however small they are, and the last one has to run as well."""
    if not shape.n_blocks:
        return Cost("blocks", 0.0, "measured rate", "the grid is not known")
    rate, note = spec.blocks_per_s, spec.source("blocks_per_s")
    if rate is None:
        rate = ASSUMED_BLOCKS_PER_CYCLE * spec.clock_hz
        note = f"assumed: {ASSUMED_BLOCKS_PER_CYCLE} blocks a cycle, as on devices that were measured"
    kind: Kind = "measured rate" if spec.blocks_per_s is not None else "assumed rate"
    seconds = shape.n_blocks / rate + _wave_seconds(counts, spec, missed)
    return Cost("blocks", n * seconds, kind, f"{shape.n_blocks:,} blocks; {note}")


def _on_chip(counts: Counts, spec: GpuSpec, sm_share: float, *, is_warm: bool) -> list[Cost]:
    cycles_per_s = spec.n_sms * spec.clock_hz * sm_share
    n_sectors = counts.l2_lookups or counts.global_load_sectors + counts.global_store_sectors
    n_shared = counts.shared_load_wavefronts + counts.shared_store_wavefronts
    # Two schedulers on GP100's SM, four on all others; each issues one warp instruction a cycle.
    n_schedulers = 2 if spec.compute_capability == (6, 0) else 4
    costs = [
        Cost("l1", n_l1_passes(counts, spec) / cycles_per_s, "measured rate", _l1_note(counts, spec)),
        Cost("shared", n_shared / cycles_per_s, "measured rate", "one wavefront a cycle and SM"),
        Cost(
            "issue",
            counts.warp_instructions / (n_schedulers * cycles_per_s),
            "issue",
            f"{n_schedulers} warp instructions a cycle and SM, counted in PTX",
        ),
    ]
    if spec.l2_bytes_per_s is not None:
        n_written = min(counts.global_store_sectors, n_sectors)
        read, written = spec.sector_bytes * (n_sectors - n_written), spec.sector_bytes * n_written
        if is_warm:  # of an operator bytes are known and no sectors: what no longer comes from DRAM comes from L2
            read, written = max(read, counts.dram_read_bytes), max(written, counts.dram_write_bytes)
        seconds = l2_seconds(spec, read, written)
        costs.insert(0, Cost("l2", seconds / sm_share, "measured rate", spec.source("l2_bytes_per_s")))
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
    "l2_latency_cycles": "L2 latency",
    "blocks_per_s": "rate at which blocks start",
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
