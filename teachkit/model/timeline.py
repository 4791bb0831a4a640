"""When each operator of an eager program is launched by the host, and when the GPU runs it.

Modelled: one host thread that spends the same time on every operator, and one stream that runs kernels in order, each
for the time of ``time_model``. The host goes on at once after a launch, unless it is made to wait for the result.
Not modelled: a queue that is full (about a thousand launches), copies, several streams, CUDA graphs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any

from teachkit.errors import PredictionError
from teachkit.hardware.spec import DEFAULT_GPU_NAME, GpuSpec
from teachkit.hardware.spec import gpu as data_sheet
from teachkit.model.subject import launches_of
from teachkit.model.time_model import predict


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One operator: when the host deals with it and when the GPU runs it.

    Attributes
    ----------
    name
        Of the operator or kernel.
    dram_bytes
        What it moves.
    host_start_s, host_end_s
        Python, the dispatcher and the driver; the launch is in the queue at the end.
    device_start_s, device_end_s
        The GPU's time for it, its own start-up included.
    waits
        Whether the host then stands still until the GPU is done.
    """

    name: str
    dram_bytes: int
    host_start_s: float
    host_end_s: float
    device_start_s: float
    device_end_s: float
    waits: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Timeline:
    """The steps of one program, in order, on one GPU."""

    gpu: str
    steps: tuple[Step, ...]

    provenance = "modelled"

    @property
    def seconds(self) -> float:
        """From the first operator's call to the end of the last kernel."""
        return max((max(step.device_end_s, step.host_end_s) for step in self.steps), default=0.0)

    @property
    def device_busy_s(self) -> float:
        """Time in which the GPU runs something."""
        return sum(step.device_end_s - step.device_start_s for step in self.steps)

    @property
    def device_idle_share(self) -> float:
        """Part of the time, 0 to 1, in which the GPU runs nothing."""
        return 1 - self.device_busy_s / self.seconds if self.steps else 0.0

    @property
    def dram_bytes(self) -> int:
        """Bytes moved by all steps."""
        return sum(step.dram_bytes for step in self.steps)


def timeline(
    subject: Any, gpu: str | GpuSpec = DEFAULT_GPU_NAME, *, host_s: float, wait_after: Collection[int] = ()
) -> Timeline:
    """Lay out an eager program in time.

    Parameters
    ----------
    subject
        What :func:`teachkit.model.predict` takes: a profile, reports, counters or a list of these.
    gpu
        Name, alias or data sheet.
    host_s
        What the host spends on each operator before its launch is in the queue, seconds.
    wait_after
        Indices of operators after which the host waits for the result, as ``.item()`` makes it do.

    Raises
    ------
    PredictionError
        If ``host_s`` is no time, or an index is not that of an operator.
    UnknownGpuError
        If the GPU has no data sheet.

    Examples
    --------
    >>> from teachkit.emulator.counters import Counters
    >>> tiny = [Counters(n_launches=1, dram_read_bytes=4096)] * 8
    >>> timeline(tiny, "A100", host_s=5e-6).device_idle_share > 0.4
    True
    """
    if not (math.isfinite(host_s) and host_s >= 0):
        raise PredictionError(f"Expected host_s, seconds for one operator, to be 0 or more, got {host_s!r}.")
    spec, launches = data_sheet(gpu), launches_of(subject)
    if strange := [index for index in wait_after if not 0 <= index < len(launches)]:
        raise PredictionError(f"Expected indices of {len(launches)} operators in wait_after, got {strange[0]!r}.")
    host, device = 0.0, 0.0
    steps = []
    for index, launch in enumerate(launches):
        host_end = host + host_s
        start = max(host_end, device)
        device = start + predict(launch, spec).seconds
        waits = index in wait_after
        steps.append(Step(launch.name, launch.counters.dram_bytes, host, host_end, start, device, waits))
        host = device if waits else host_end
    return Timeline(spec.name, tuple(steps))
