"""What was measured on hardware, beside what the model says: streams at every occupancy, latencies, strides in L1.

The streaming kernels and the strided loads are compiled and run on the emulator; their counts go into the model.
Streams run on arrays of 512 KiB here, and the counts are scaled to the size that was measured: per thread they are the
same.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import teachkit as tk
from teachkit.emulator import observe
from teachkit.emulator.counters import MODELLED_FIELDS, Counters
from teachkit.emulator.launches import Launch
from teachkit.hardware.kernel_time import n_l1_passes
from teachkit.hardware.spec import GpuSpec, gpu
from teachkit.model.pointer_chase import chase_latency_s
from teachkit.model.subject import Launched
from teachkit.model.time_model import predict

DATA = Path(__file__).parents[1] / "data"
SHEETS = {"V100-PCIE-16GB": "V100-PCIe-16GB", "A100-40GB": "A100-SXM4-40GB"}

# Arrays that each kernel reads and writes once, which is what the measured bandwidth counts.
ARRAYS = {"init": 1, "read": 1, "scale": 2, "triad": 3, "stencil3": 2, "stencil5": 2}
N_MEASURED = (2 << 30) // 8
N_COUNTED = 1 << 16
_DRAM_RATES = [f"dram_{what}_bytes_per_s" for what in ("triad", "copy", "read", "write")]

STREAMS = r"""
#define HERE long i = threadIdx.x + (long)blockIdx.x * blockDim.x
extern "C" __global__ void init(double* a, const double* b, const double* c, long n) {
    HERE; if (i < n) a[i] = 0.25;
}
extern "C" __global__ void read(double* a, const double* b, const double* c, long n) {
    HERE; if (i < n) { double s = b[i]; if (s == 12.5) a[i] = s; }
}
extern "C" __global__ void scale(double* a, const double* b, const double* c, long n) {
    HERE; if (i < n) a[i] = 1.5 * b[i];
}
extern "C" __global__ void triad(double* a, const double* b, const double* c, long n) {
    HERE; if (i < n) a[i] = 1.5 * b[i] + c[i];
}
extern "C" __global__ void stencil3(double* a, const double* b, const double* c, long n) {
    HERE; if (0 < i && i < n - 1) a[i] = 0.5 * b[i - 1] - b[i] + 0.5 * b[i + 1];
}
extern "C" __global__ void stencil5(double* a, const double* b, const double* c, long n) {
    HERE; if (1 < i && i < n - 2) a[i] = 0.25 * (b[i - 2] + b[i - 1]) - b[i] + 0.25 * (b[i + 1] + b[i + 2]);
}
"""

STRIDES = r"""
template <typename T> __device__ T eight_loads(const T* a, int n, int none) {
    T sum = 0;
    for (int i = 0; i < n; i += 8) {
        a += none;  // so that the compiler cannot lift the loads out of the loop
        sum += a[0] * a[4] + a[8] * a[12] + a[16] * a[20] + a[24] * a[28];
    }
    return sum;
}
template <typename T> __global__ void stride(const T* a, T* out, int n, int none, int step) {
    T sum = eight_loads(a + threadIdx.x % 64 * step, n, none);
    if (sum == T(12.5)) out[threadIdx.x] = sum;
}
template <typename T> __global__ void block(const T* a, T* out, int n, int none, int pitch) {
    T sum = eight_loads(a + threadIdx.x % 64 + threadIdx.y % 32 * pitch + pitch, n, none);
    if (sum == T(12.5)) out[threadIdx.x] = sum;
}
"""


@dataclasses.dataclass(frozen=True)
class Pair:
    """One measurement and the model's word for it, in the same unit."""

    gpu: str
    what: str
    at: str
    measured: float
    modelled: float

    @property
    def error(self) -> float:
        """Modelled over measured, less one."""
        return self.modelled / self.measured - 1


def rows(file: str) -> list[dict[str, str]]:
    """The rows of a file of measurements; its first lines, which begin with #, say where they are from."""
    with (DATA / file).open() as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def launched(call: Callable[[], object]) -> Launch:
    """The one launch that ``call`` makes."""
    seen: list[Launch] = []
    with observe(seen.append):
        call()
    (launch,) = seen
    return launch


def scaled(counters: Counters, factor: float) -> Counters:
    """Counts of a launch with ``factor`` times the threads."""
    kept = {"n_launches", "atomic_max_conflict", *(MODELLED_FIELDS & {"l1_hit_rate", "l2_hit_rate"})}
    amounts = {name: value for name, value in dataclasses.asdict(counters).items() if name not in kept}
    return dataclasses.replace(counters, **{name: round(factor * value) for name, value in amounts.items()})


def two_blocks_a_sm(spec: GpuSpec) -> int:
    """Shared memory with which exactly two blocks fit on an SM, as the measured kernels had."""
    return (spec.shared_bytes_per_sm // 2 - spec.shared_bytes_reserved_per_block) // 1024 * 1024


@functools.cache
def _stream(kernel: str, n_threads: int) -> Launch:
    """The launch of a streaming kernel on the emulator."""
    module, arrays = _compiled()
    return launched(lambda: module[kernel][-(-N_COUNTED // n_threads), n_threads](*arrays, N_COUNTED))


@functools.cache
def _compiled() -> tuple[Any, list[torch.Tensor]]:
    return tk.compile_cuda_c(STREAMS), [torch.zeros(N_COUNTED, dtype=torch.float64) for _ in range(3)]


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


def streams(
    file: str = "hw_stream_bandwidth.csv", report: Callable[[int, int], None] = _silent, *, knows_bandwidth: bool = True
) -> Iterator[Pair]:
    """Bandwidth in GB/s of six kernels at every occupancy, on the GPUs of the file.

    Without ``knows_bandwidth`` the sheets' measured DRAM bandwidths are taken away.
    """
    measured = rows(file)
    for done, row in enumerate(measured):
        report(done, len(measured))
        spec, n_threads = gpu(SHEETS.get(row["gpu"], row["gpu"])), int(row["block_size_threads"])
        if not knows_bandwidth:
            spec = spec.replace(**dict.fromkeys(_DRAM_RATES))
        for kernel, n_arrays in ARRAYS.items():
            launch = _stream(kernel, n_threads)
            work = Launched(
                kernel,
                scaled(launch.counters, N_MEASURED / N_COUNTED),
                (-(-N_MEASURED // n_threads), 1, 1),
                (n_threads, 1, 1),
                launch.resources.n_registers,
                two_blocks_a_sm(spec),
            )
            seconds = predict(_Subject(work), gpu=spec).seconds
            yield Pair(
                spec.name,
                kernel,
                str(n_threads),
                float(row[f"{kernel}_gb_per_s"]),
                8 * n_arrays * N_MEASURED / seconds / 1e9,
            )


class _Subject:
    """A launch in the form that predict() takes."""

    def __init__(self, work: Launched) -> None:
        self.name, self.counters, self.grid, self.block = work.name, work.counters, work.grid, work.block
        self.resources = work


def latencies(
    file: str = "hw_latency.csv", report: Callable[[int, int], None] = _silent, every: int = 1
) -> Iterator[Pair]:
    """Cycles of a pointer chase by the size of its buffer, every so many rows; ``what`` is where it fits in."""
    chosen = rows(file)[::every]
    for done, row in enumerate(chosen):
        report(done, len(chosen))
        spec, n_bytes = gpu(SHEETS.get(row["gpu"], row["gpu"])), int(row["buffer_kib"]) * 1024
        where = "L1" if n_bytes <= spec.l1_bytes_per_sm else "L2" if n_bytes <= spec.l2_bytes else "DRAM"
        modelled = chase_latency_s(spec, max(n_bytes, 64))
        # The file's nanoseconds are totals of a run beyond a million loads; its cycles are always those of one.
        yield Pair(spec.name, where, row["buffer_kib"], float(row["cycles"]), modelled * spec.clock_hz)


@dataclasses.dataclass(frozen=True)
class Strided:
    """One pattern of loads that hit in L1: what was measured a load, and what is counted and modelled."""

    dtype: str
    pattern: str
    width: int
    measured_wavefronts: float
    counted_wavefronts: float
    cycles: Pair


def strides(file: str = "hw_l1_strides_a100.csv") -> Iterator[Strided]:
    """Loads of one block with a stride, or of a block of columns; a load is one warp instruction."""
    names = [f"{kernel}<{dtype}>" for kernel in ("stride", "block") for dtype in ("float", "double")]
    module = tk.compile_cuda_c(STRIDES, instantiate=names)
    kinds = {"float": torch.float32, "double": torch.float64}
    inputs = {dtype: torch.zeros(33 * 4098 + 128, dtype=kind) for dtype, kind in kinds.items()}
    outputs = {dtype: torch.zeros(1024, dtype=kind) for dtype, kind in kinds.items()}
    for row in rows(file):
        spec = gpu(row.get("gpu", "A100-SXM4-40GB"))
        dtype, width = row["dtype"], int(row["width_or_stride"])
        is_stride = row["pattern"] == "stride"
        block = (1024, 1, 1) if is_stride else (width, 1024 // width, 1)
        step = width if is_stride else int(row["pitch_or_stride"])
        kernel = module[f"{row['pattern']}<{dtype}>"]
        c = launched(lambda k=kernel, t=block, d=dtype, s=step: k[1, t](inputs[d], outputs[d], 8, 0, s)).counters  # type: ignore[misc]
        n = c.global_load_requests
        cycles = Pair(
            spec.name,
            f"{dtype} {row['pattern']}",
            str(width),
            float(row["cycles_per_load"]),
            (n_l1_passes(c, spec) - c.global_store_requests) / n,
        )
        yield Strided(
            dtype,
            row["pattern"],
            width,
            float(row["data_wavefronts_per_load"]),
            c.global_load_wavefronts / n,
            cycles,
        )
