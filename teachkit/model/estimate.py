"""The time model's answer: seconds, every term, what binds, and a band."""

from __future__ import annotations

import dataclasses
import html
from typing import Any

from teachkit.hardware.spec import GpuSpec

LABELS = {
    "launch": "launch",
    "dram": "DRAM bandwidth",
    "latency": "DRAM latency",
    "l2": "L2 bandwidth",
    "shared": "shared memory",
    "fp64": "FP64 rate",
    "fp32": "FP32 rate",
    "fp16": "FP16 rate",
    "tensor": "tensor cores",
    "sfu": "special functions",
}


@dataclasses.dataclass(frozen=True)
class Term:
    """One thing that a launch cannot be faster than.

    Attributes
    ----------
    name
        A key of ``LABELS``.
    seconds
        The time it takes.
    low, high
        Factors on it for the ends of the band.
    note
        The number it rests on and its source.
    """

    name: str
    seconds: float
    low: float
    high: float
    note: str


@dataclasses.dataclass(frozen=True)
class KernelEstimate:
    """Modelled time of one launch: its overhead plus the longest of its other terms."""

    name: str
    parts: tuple[Term, ...]

    @property
    def terms(self) -> dict[str, float]:
        """Seconds of each term. All but ``launch`` overlap, so the longest counts."""
        return {term.name: term.seconds for term in self.parts}

    @property
    def launch_s(self) -> float:
        """Overhead of the launch, seconds."""
        return self.terms.get("launch", 0.0)

    @property
    def bound(self) -> Term | None:
        """The longest term besides the launch; ``None`` if there is none."""
        return max((t for t in self.parts if t.name != "launch"), key=lambda term: term.seconds, default=None)

    @property
    def binding(self) -> str:
        """Name of the term that takes most of the time, the launch included."""
        bound = self.bound
        return bound.name if bound is not None and bound.seconds >= self.launch_s else "launch"

    @property
    def seconds(self) -> float:
        """Modelled time, seconds."""
        return self.launch_s + (self.bound.seconds if self.bound is not None else 0.0)

    @property
    def low_s(self) -> float:
        """Low end of the band, seconds."""
        return self._end("low")

    @property
    def high_s(self) -> float:
        """High end of the band, seconds."""
        return self._end("high")

    def _end(self, side: str) -> float:
        ends = {term.name: term.seconds * getattr(term, side) for term in self.parts}
        launch = ends.pop("launch", 0.0)
        return float(launch + max(ends.values(), default=0.0))


@dataclasses.dataclass(frozen=True)
class TimeEstimate:
    """Modelled time of a sequence of launches on one GPU."""

    gpu: GpuSpec
    kernels: tuple[KernelEstimate, ...]

    provenance = "modelled"

    @property
    def seconds(self) -> float:
        """Modelled time, seconds."""
        return sum(kernel.seconds for kernel in self.kernels)

    @property
    def low_s(self) -> float:
        """Low end of the band, seconds."""
        return sum(kernel.low_s for kernel in self.kernels)

    @property
    def high_s(self) -> float:
        """High end of the band, seconds."""
        return sum(kernel.high_s for kernel in self.kernels)

    @property
    def terms(self) -> dict[str, float]:
        """Seconds of each term, summed over the launches. Terms overlap, so they add up to more than the time."""
        return self._sum(lambda kernel: kernel.terms)

    @property
    def bound_s(self) -> dict[str, float]:
        """Modelled time split by what it was spent on: the launches, and for each launch its longest term.

        The values add up to ``seconds``.
        """

        def split(kernel: KernelEstimate) -> dict[str, float]:
            bound = {kernel.bound.name: kernel.bound.seconds} if kernel.bound is not None else {}
            return {"launch": kernel.launch_s} | bound

        return self._sum(split)

    @property
    def binding(self) -> str:
        """Name of the term that takes most of the time."""
        return max(self.bound_s, key=lambda name: self.bound_s[name], default="launch")

    def _sum(self, values_of: Any) -> dict[str, float]:
        total: dict[str, float] = {}
        for kernel in self.kernels:
            for name, seconds in values_of(kernel).items():
                total[name] = total.get(name, 0.0) + seconds
        return {name: total[name] for name in LABELS if name in total}

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as plain values that JSON can hold."""
        return {
            "provenance": self.provenance,
            "gpu": self.gpu.name,
            "changed": list(self.gpu.changed),
            "seconds": self.seconds,
            "low_s": self.low_s,
            "high_s": self.high_s,
            "binding": self.binding,
            "terms": self.terms,
            "bound_s": self.bound_s,
            "kernels": [
                {
                    "name": kernel.name,
                    "seconds": kernel.seconds,
                    "low_s": kernel.low_s,
                    "high_s": kernel.high_s,
                    "binding": kernel.binding,
                    "terms": kernel.terms,
                    "notes": {term.name: term.note for term in kernel.parts},
                }
                for kernel in self.kernels
            ],
        }

    def __repr__(self) -> str:
        changed = f", with {', '.join(self.gpu.changed)} changed" if self.gpu.changed else ""
        return (
            f"<TimeEstimate: {time_text(self.seconds)} modelled on {self.gpu.name}{changed} "
            f"({time_text(self.low_s)} to {time_text(self.high_s)}), bound by {LABELS[self.binding]}>"
        )

    def table(self) -> str:
        """Return every term of every launch as text, in microseconds; the longest is marked with a star."""
        header, rows = self._cells()
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

        def line(cells: list[str]) -> str:
            numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
            return "  ".join([cells[0].ljust(widths[0]), *numbers]).rstrip()

        rule = "  ".join("-" * width for width in widths)
        return "\n".join([line(header), rule, *map(line, rows[:-1]), rule, line(rows[-1]), self._note()])

    def _note(self) -> str:
        rests = {term.name: term.note for kernel in self.kernels for term in kernel.parts}
        name = "launch" if self.binding == "launch" else self.binding
        changed = f" Changed by hand: {', '.join(self.gpu.changed)}." if self.gpu.changed else ""
        return (
            f"Microseconds, all modelled, on {self.gpu.name}; a launch takes its overhead plus its longest other term "
            f"(*). Band: {time_text(self.low_s)} to {time_text(self.high_s)}. "
            f"{LABELS[name][0].upper() + LABELS[name][1:]}: {rests.get(name, 'no launches')}.{changed}"
        )

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        names = list(self.terms)
        header = ["launch of", "time", "low", "high", *(LABELS[name] for name in names)]
        rows = []
        for kernel in self.kernels:
            bound = kernel.bound.name if kernel.bound is not None else ""
            times = [_us(kernel.seconds), _us(kernel.low_s), _us(kernel.high_s)]
            cells = [_us(kernel.terms[n]) + ("*" if n == bound else " ") if n in kernel.terms else "" for n in names]
            rows.append([kernel.name if len(kernel.name) <= 40 else kernel.name[:37] + "...", *times, *cells])
        total = [_us(self.seconds), _us(self.low_s), _us(self.high_s)]
        return header, [*rows, ["all", *total, *(_us(self.terms[name]) + " " for name in names)]]

    def _repr_html_(self) -> str:
        header, rows = self._cells()
        escape = html.escape
        head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[:-1])
        foot = "".join(f"<th>{escape(cell)}</th>" for cell in rows[-1])
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody><tfoot><tr>{foot}</tr></tfoot>"
            f"<caption>{escape(self._note())}</caption></table>"
        )


def time_text(seconds: float) -> str:
    """Return a time with three digits and a unit that suits it, for example ``"12.3 us"``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= size:
            value = seconds / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return "0 s"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.2f}"
