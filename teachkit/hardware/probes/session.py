"""Take all probes once, with a progress bar, and keep them; next time read them back."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from types import MappingProxyType

from teachkit.errors import ProbeError
from teachkit.hardware.allowance import usable_cores, usable_memory_bytes
from teachkit.hardware.cpu import CpuSpec
from teachkit.hardware.describe import cpu_model
from teachkit.hardware.probes import cuda, processor
from teachkit.hardware.probes.record import THIS_MACHINE, MachineProbe, Reading, load, save

Step = tuple[str, Callable[[], Reading]]


def probe(*, again: bool = False, progress: bool = True) -> MachineProbe:
    """Measure this machine, or read back what was measured before.

    Takes some seconds: cache sizes, memory bandwidth with one core and with all, the latency of each level, matrix
    products, the cost of one eager operator; on a CUDA device also what its driver says and the same with events.

    Parameters
    ----------
    again
        Measure even if there are recorded readings.
    progress
        Show a progress bar while measuring.

    Returns
    -------
    MachineProbe
        ``provenance`` says whether it was measured now or recorded before, and when. Ctrl-C ends the measurement; then
        nothing is kept.
    """
    machine, n_cores = machine_name(), usable_cores()
    if not again and (recorded := load(machine, n_cores)) is not None:
        return recorded
    readings: dict[str, Reading] = processor.cache_sizes()
    steps = [*_processor_steps(readings, n_cores), *_gpu_steps()]
    if cuda.device_name() is not None:
        readings |= cuda.from_driver()
    for name, take in _shown(steps) if progress else steps:
        readings[name] = take()
    date = dt.datetime.now().astimezone().isoformat(timespec="seconds")
    found = MachineProbe(machine, date, n_cores, MappingProxyType(readings))
    save(found)
    return found


def this_machine() -> CpuSpec:
    """Return this machine's processor as a device, from its recorded probe.

    Raises
    ------
    ProbeError
        If nothing was recorded: reading a data sheet starts no measurement.
    """
    recorded = load(machine_name(), usable_cores())
    if recorded is None:
        raise ProbeError(
            f"Expected recorded readings for {THIS_MACHINE!r}, found none.",
            hint="measure it once: `teachkit probe`, or tk.describe(probe=True).",
        )
    return recorded.device()


def machine_name() -> str:
    """Name of the processor, and of the first GPU where there is one."""
    gpu = cuda.device_name()
    return cpu_model() + (f", {gpu}" if gpu else "")


def _processor_steps(caches: dict[str, Reading], n_cores: int) -> list[Step]:
    sizes = {name: int(reading.value) for name, reading in caches.items()}
    last = max(sizes.values(), default=32 << 20)
    # Three arrays of four times the last cache, in a quarter of the memory that there is.
    array = min(max(64 << 20, 4 * last), 256 << 20, usable_memory_bytes() // 12)
    steps: list[Step] = [
        ("triad_1_core_bytes_per_s", lambda: processor.triad(1, array)),
        ("triad_bytes_per_s", lambda: processor.triad(n_cores, array)),
    ]
    # Half of each level is sure to stay in it and, from L2 on, too large for the level before.
    for level in ("l1", "l2", "l3"):
        if size := sizes.get(f"{level}_bytes"):
            steps.append((f"{level}_latency_s", lambda size=size: processor.chase(size // 2)))  # type: ignore[misc]
    steps += [
        ("dram_latency_s", lambda: processor.chase(min(4 * last, 256 << 20, usable_memory_bytes() // 4))),
        ("matmul_fp32_flop_per_s", lambda: processor.matmul("float32", n_cores)),
        ("matmul_fp64_flop_per_s", lambda: processor.matmul("float64", n_cores)),
        ("dispatch_s", processor.dispatch),
    ]
    return steps


def _gpu_steps() -> list[Step]:
    if cuda.device_name() is None:
        return []
    return [
        ("gpu_triad_bytes_per_s", cuda.triad),
        *[(f"gpu_{level}_latency_s", functools.partial(cuda.latency, level)) for level in ("l1", "l2", "dram")],
        ("gpu_matmul_fp32_flop_per_s", lambda: cuda.matmul("float32")),
        ("gpu_matmul_fp16_flop_per_s", lambda: cuda.matmul("float16")),
        ("gpu_small_kernel_s", lambda: cuda.small_kernels(in_graph=False)),
        ("gpu_graph_kernel_s", lambda: cuda.small_kernels(in_graph=True)),
    ]


def _shown(steps: list[Step]) -> list[Step]:
    """The steps, each of which moves a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    from teachkit.hardware.probes.record import LABELS

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("measuring", total=len(steps))

    def wrapped(index: int, name: str, take: Callable[[], Reading]) -> Step:
        def step() -> Reading:
            if index == 0:
                bar.start()
            bar.update(task, description=LABELS.get(name, name))
            try:
                reading = take()
            except BaseException:
                bar.stop()
                raise
            bar.advance(task)
            if index == len(steps) - 1:
                bar.stop()
            return reading

        return name, step

    return [wrapped(index, name, take) for index, (name, take) in enumerate(steps)]
