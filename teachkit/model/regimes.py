"""The three regimes: what a program waits for, found by asking what would make it faster.

Modelled: the time of :func:`teachkit.model.predict` on the GPU as it is, and on three what-if devices: twice the FLOPs,
twice the memory bandwidth, launches that cost nothing.
Not modelled: what ``predict`` does not model; overlap of the host with the device.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from teachkit.hardware.spec import DEFAULT_GPU_NAME, GpuSpec, gpu
from teachkit.model.time_model import predict

COMPUTE, BANDWIDTH, OVERHEAD = "compute", "bandwidth", "overhead"
_NO_TIME_S = 1e-15


@dataclasses.dataclass(frozen=True)
class Regime:
    """How much faster a program gets from each change.

    Attributes
    ----------
    seconds
        Modelled time on the GPU as it is.
    speedups
        Time over time on the changed device: ``compute`` with twice the FLOPs, ``bandwidth`` with twice the bytes a
        second, ``overhead`` with free launches.
    """

    seconds: float
    speedups: dict[str, float]

    @property
    def name(self) -> str:
        """The change that helps most: ``compute``, ``bandwidth`` or ``overhead``."""
        return max(self.speedups, key=lambda change: self.speedups[change])


def what_if_devices(on: str | GpuSpec = DEFAULT_GPU_NAME) -> dict[str, GpuSpec]:
    """Return the GPU with twice the FLOPs, with twice the DRAM bandwidth, and with launches that cost nothing."""
    spec = gpu(on)
    rates = {
        field.name: 2 * getattr(spec, field.name)
        for field in dataclasses.fields(spec)
        if field.name.endswith(("_flop_per_s", "_op_per_s")) and getattr(spec, field.name) is not None
    }
    return {
        COMPUTE: spec.replace(**rates),
        BANDWIDTH: spec.replace(dram_bytes_per_s=2 * spec.dram_bytes_per_s),
        OVERHEAD: spec.replace(small_kernel_s=_NO_TIME_S),
    }


def regime(subject: Any, on: str | GpuSpec = DEFAULT_GPU_NAME) -> Regime:
    """Return what a program waits for.

    Parameters
    ----------
    subject
        Whatever :func:`teachkit.model.predict` takes.
    on
        Name or data sheet.

    Raises
    ------
    PredictionError
        If the subject has no counters.

    Examples
    --------
    >>> from teachkit.emulator.counters import Counters
    >>> regime(Counters(n_launches=1, dram_read_bytes=10**9), "A100").name
    'bandwidth'
    """
    seconds = predict(subject, gpu=on).seconds
    changed = {name: predict(subject, gpu=spec).seconds for name, spec in what_if_devices(on).items()}
    return Regime(seconds, {name: seconds / time if time else 1.0 for name, time in changed.items()})
