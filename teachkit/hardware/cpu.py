"""Data sheets of processors (CPUs), and one way to find the sheet of any device.

Modelled: nothing; these are facts. Peak rates are cores times vector units times the base clock, as each sheet says.
Not modelled: turbo clocks under vector load, several sockets, matrix units (AMX).
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from teachkit.errors import UnknownGpuError
from teachkit.hardware.sheet import Sheet, by_alias, key, shipped
from teachkit.hardware.spec import GpuSpec, gpu, gpu_names


@dataclasses.dataclass(frozen=True, kw_only=True)
class CpuSpec(Sheet):
    """Facts about one processor in SI units; ``None`` where there is no source.

    ``dram_bytes_per_s`` is what its memory channels promise; numbers under "measured" are what programs reach:
    ``dram_triad_bytes_per_s`` with all cores and ``dram_triad_1_core_bytes_per_s`` with one, ``dispatch_s`` the time of
    one eager PyTorch operator on a tiny tensor.
    """

    SECTIONS: ClassVar[tuple[str, ...]] = ("cores", "caches", "memory", "clock", "dense", "measured")
    SCALES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "dram_bytes_per_s": ("dram_triad_bytes_per_s",),
        "n_cores": ("fp64_flop_per_s", "fp32_flop_per_s"),
        "base_clock_hz": ("fp64_flop_per_s", "fp32_flop_per_s"),
    }

    # [cores]
    n_cores: int
    n_threads: int | None = None
    vector_bits: float | None = None
    # [caches]
    l1_bytes_per_core: int | None = None
    l2_bytes_per_core: int | None = None
    l3_bytes: int | None = None
    # [memory]
    n_memory_channels: int | None = None
    dram_bytes_per_s: float | None = None
    # [clock]
    base_clock_hz: float | None = None
    boost_clock_hz: float | None = None
    all_core_clock_hz: float | None = None
    # [dense]
    fp64_flop_per_s: float | None = None
    fp32_flop_per_s: float | None = None
    # [measured]
    dram_triad_bytes_per_s: float | None = None
    dram_triad_1_core_bytes_per_s: float | None = None
    dram_latency_s: float | None = None
    l3_latency_s: float | None = None
    l2_latency_s: float | None = None
    l1_latency_s: float | None = None
    dispatch_s: float | None = None


@functools.cache
def _registry() -> Mapping[str, CpuSpec]:
    return shipped(CpuSpec, "cpus")


@functools.cache
def _aliases() -> Mapping[str, CpuSpec]:
    return by_alias(_registry().values())


def cpu_names() -> tuple[str, ...]:
    """Return the names of the processors that have a data sheet, in alphabetical order."""
    return tuple(_registry())


def cpu(name: str | CpuSpec) -> CpuSpec:
    """Return the data sheet of a processor, by name or alias; a :class:`CpuSpec` is returned unchanged.

    Raises
    ------
    UnknownGpuError
        If there is no such data sheet; the message lists what exists.

    Examples
    --------
    >>> cpu("EPYC-9755").n_cores
    128
    """
    if isinstance(name, CpuSpec):
        return name
    if (found := _aliases().get(key(name))) is None:
        near = difflib.get_close_matches(key(name), list(_aliases()), n=1, cutoff=0.4)
        raise UnknownGpuError(name, cpu_names(), _aliases()[near[0]].name if near else None)
    return found


def any_device(name: str | Path | GpuSpec | CpuSpec) -> GpuSpec | CpuSpec:
    """Return the data sheet of a GPU or a processor; ``"this machine"`` is the recorded probe of it.

    Raises
    ------
    UnknownGpuError
        If there is no such data sheet; the message lists what exists.
    ProbeError
        If this machine is wanted and was never probed.
    """
    if isinstance(name, CpuSpec):
        return name
    if isinstance(name, str) and key(name) == "this-machine":
        from teachkit.hardware.probes.session import this_machine

        return this_machine()
    if isinstance(name, str) and key(name) in _aliases():
        return _aliases()[key(name)]
    try:
        return gpu(name)
    except UnknownGpuError as error:
        near = difflib.get_close_matches(key(str(name)), list(_aliases()), n=1, cutoff=0.7)
        hint = _aliases()[near[0]].name if near else error.nearest
        raise UnknownGpuError(str(name), (*gpu_names(), *cpu_names()), hint) from None
