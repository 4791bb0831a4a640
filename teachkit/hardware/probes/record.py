"""What a probe found: readings with unit and date, on disk, and as a device that the model can be asked about.

Modelled: nothing. A reading taken in this process is "measured"; one read back from disk is "recorded", with its date.
"""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from teachkit.errors import ProbeError
from teachkit.hardware.cpu import CpuSpec

THIS_MACHINE = "this machine"
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Reading:
    """One number: what it is, in SI units, how it was found, and the spread between repetitions (0 to 1) if any."""

    value: float
    unit: str
    how: str
    spread: float | None = None


@dataclasses.dataclass(frozen=True)
class MachineProbe:
    """Readings of one machine.

    Attributes
    ----------
    machine
        Name of its processor, and of its GPU where there is one.
    date
        When they were taken, ISO 8601 with the offset from UTC.
    n_cores
        Cores that the process could use.
    readings
        By name; the units are SI.
    provenance
        ``"measured"`` in this process, ``"recorded"``, or ``"modelled"`` for a GPU that is not there.
    """

    machine: str
    date: str
    n_cores: int
    readings: Mapping[str, Reading]
    provenance: Literal["measured", "recorded", "modelled"] = "measured"

    def __getitem__(self, name: str) -> float:
        if name not in self.readings:
            raise ProbeError(
                f"Expected a reading of this machine, got {name!r}; there are {', '.join(self.readings)}.",
                hint="take the readings again: `teachkit probe --again`.",
            )
        return self.readings[name].value

    @property
    def origin(self) -> str:
        """Where the numbers are from, for a table or a source."""
        return f"{self.provenance} on {self.machine}, {self.date}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        readings = {name: dataclasses.asdict(reading) for name, reading in self.readings.items()}
        return {
            "format": _FORMAT,
            "machine": self.machine,
            "date": self.date,
            "n_cores": self.n_cores,
            "provenance": self.provenance,
            "readings": readings,
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """Return ``(what, value, how)`` for each reading."""
        return [(LABELS.get(name, name), shown(r), r.how) for name, r in self.readings.items()]

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
        lines = [f"{what:<{widths[0]}}  {value:>{widths[1]}}  {how}" for what, value, how in rows]
        return "\n".join([*lines, f"All {self.origin}."])

    def _repr_html_(self) -> str:
        body = "".join(
            f"<tr><th style='text-align:left'>{html.escape(what)}</th><td>{html.escape(value)}</td>"
            f"<td style='text-align:left'>{html.escape(how)}</td></tr>"
            for what, value, how in self.rows()
        )
        return f"<table><caption>All {html.escape(self.origin)}.</caption><tbody>{body}</tbody></table>"

    def device(self) -> CpuSpec:
        """Return this machine's processor as a device for rooflines and predictions.

        Its arithmetic roof is what a matrix product reached, not a data sheet's peak.
        """
        fields = {name: self.readings[reading].value for name, reading in _FIELDS.items() if reading in self.readings}
        whole = {"l1_bytes_per_core", "l2_bytes_per_core", "l3_bytes"}
        values: dict[str, Any] = {name: int(v) if name in whole else v for name, v in fields.items()}
        sources = {name: f"{self.origin}: {self.readings[_FIELDS[name]].how}" for name in fields}
        return CpuSpec(
            name=THIS_MACHINE,
            product=self.machine,
            aliases=(),
            architecture="",
            n_cores=self.n_cores,
            sources=MappingProxyType(sources | {"n_cores": self.origin}),
            **values,
        )


LABELS = {
    "l1_bytes": "L1 data cache, a core",
    "l2_bytes": "L2 cache, a core",
    "l3_bytes": "L3 cache",
    "triad_1_core_bytes_per_s": "memory bandwidth, one core",
    "triad_bytes_per_s": "memory bandwidth, all cores",
    "l1_latency_s": "latency of L1",
    "l2_latency_s": "latency of L2",
    "l3_latency_s": "latency of L3",
    "dram_latency_s": "latency of memory",
    "matmul_fp32_flop_per_s": "FP32 matrix product",
    "matmul_fp64_flop_per_s": "FP64 matrix product",
    "dispatch_s": "one eager operator",
    "gpu_sms": "GPU: SMs",
    "gpu_l2_bytes": "GPU: L2 cache",
    "gpu_clock_hz": "GPU: highest SM clock",
    "gpu_triad_bytes_per_s": "GPU: memory bandwidth",
    "gpu_l1_latency_s": "GPU: latency of L1",
    "gpu_l2_latency_s": "GPU: latency of L2",
    "gpu_dram_latency_s": "GPU: latency of memory",
    "gpu_matmul_fp32_flop_per_s": "GPU: FP32 matrix product",
    "gpu_matmul_fp16_flop_per_s": "GPU: FP16 matrix product",
    "gpu_small_kernel_s": "GPU: one small kernel in a queue",
    "gpu_graph_kernel_s": "GPU: one small kernel in a graph",
}
_FIELDS = {
    "l1_bytes_per_core": "l1_bytes",
    "l2_bytes_per_core": "l2_bytes",
    "l3_bytes": "l3_bytes",
    "fp64_flop_per_s": "matmul_fp64_flop_per_s",
    "fp32_flop_per_s": "matmul_fp32_flop_per_s",
    "dram_triad_bytes_per_s": "triad_bytes_per_s",
    "dram_triad_1_core_bytes_per_s": "triad_1_core_bytes_per_s",
    "dram_latency_s": "dram_latency_s",
    "l3_latency_s": "l3_latency_s",
    "l2_latency_s": "l2_latency_s",
    "l1_latency_s": "l1_latency_s",
    "dispatch_s": "dispatch_s",
}


def shown(reading: Reading) -> str:
    """A reading with three digits and a unit that suits it."""
    value, unit = reading.value, reading.unit
    if unit == "":
        return f"{value:.0f}"
    if unit == "bytes":
        return f"{value / 2**20:.4g} MiB" if value >= 2**20 else f"{value / 2**10:.4g} KiB"
    steps: tuple[tuple[str, float], ...] = (
        ("T", 1e12),
        ("G", 1e9),
        ("M", 1e6),
        ("k", 1e3),
        ("", 1.0),
        ("m", 1e-3),
        ("u", 1e-6),
        ("n", 1e-9),
    )
    prefix, size = next(((p, s) for p, s in steps if value >= s), ("n", 1e-9))
    return f"{value / size:.3g} {prefix}{unit}"


def folder() -> Path:
    """Where probes are kept: ``TEACHKIT_CACHE_DIR``, else the user's cache folder."""
    if chosen := os.environ.get("TEACHKIT_CACHE_DIR"):
        return Path(chosen) / "probes"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "teachkit" / "probes"


def _file(machine: str, n_cores: int) -> Path:
    return folder() / (re.sub(r"[^A-Za-z0-9]+", "-", f"{machine} {n_cores}").strip("-") + ".json")


def save(found: MachineProbe) -> None:
    """Keep a probe on disk; where there is no folder to write to, it is not kept."""
    file = _file(found.machine, found.n_cores)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(found.to_dict(), indent=1), encoding="utf-8")
        part.replace(file)
    except OSError:
        return


def load(machine: str, n_cores: int) -> MachineProbe | None:
    """Read this machine's probe back; ``None`` where there is none or it cannot be read."""
    try:
        data = json.loads(_file(machine, n_cores).read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            return None
        readings = {name: Reading(**entry) for name, entry in data["readings"].items()}
        return MachineProbe(data["machine"], data["date"], data["n_cores"], MappingProxyType(readings), "recorded")
    except (OSError, ValueError, KeyError, TypeError):
        return None
