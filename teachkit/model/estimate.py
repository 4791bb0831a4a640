"""The time model's answer: seconds, every term, what binds, and a band.

Modelled: everything in here; nothing is measured, and every form of it says so.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable
from typing import Any

from teachkit.hardware.cpu import CpuSpec
from teachkit.hardware.kernel_time import lacks, longest
from teachkit.hardware.spec import GpuSpec

LABELS = {
    "launch": "launch",
    "host": "waiting for the host",
    "dram": "DRAM bandwidth",
    "latency": "memory latency",
    "blocks": "block starts",
    "l2": "L2 bandwidth",
    "l1": "L1 accesses",
    "shared": "shared memory",
    "issue": "instruction issue",
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
    waits
        Whether it is a latency that adds to traffic of DRAM and of L2 as the legs of a right triangle do.
    """

    name: str
    seconds: float
    low: float
    high: float
    note: str
    waits: bool = False


_BEFORE = ("launch", "host")


@dataclasses.dataclass(frozen=True)
class KernelEstimate:
    """Modelled time of one launch: what comes before it plus the longest of its other terms.

    Where blocks wait for reads, traffic (of DRAM or of L2) and latency take the root of the sum of their squares.
    """

    name: str
    parts: tuple[Term, ...]

    @property
    def terms(self) -> dict[str, float]:
        """Seconds of each term. All but ``launch`` and ``host`` overlap, so the longest counts."""
        return {term.name: term.seconds for term in self.parts}

    @property
    def launch_s(self) -> float:
        """Overhead of the launch, seconds."""
        return self.terms.get("launch", 0.0)

    @property
    def host_s(self) -> float:
        """Time in which the GPU stands idle because the host has not launched yet, seconds."""
        return self.terms.get("host", 0.0)

    @property
    def body_s(self) -> float:
        """Time of the work itself, seconds."""
        return self._body(lambda _: 1.0)

    @property
    def bound(self) -> Term | None:
        """The longest term besides launch and host; ``None`` if there is none."""
        return max((t for t in self.parts if t.name not in _BEFORE), key=lambda term: term.seconds, default=None)

    @property
    def binding(self) -> str:
        """Name of the term that takes most of the time, launch and host included."""
        before = "host" if self.host_s > self.launch_s else "launch"
        bound = self.bound
        return bound.name if bound is not None and self.body_s >= max(self.launch_s, self.host_s) else before

    @property
    def seconds(self) -> float:
        """Modelled time, seconds."""
        return self._end(lambda _: 1.0)

    @property
    def low_s(self) -> float:
        """Low end of the band, seconds."""
        return self._end(lambda term: term.low)

    @property
    def high_s(self) -> float:
        """High end of the band, seconds."""
        return self._end(lambda term: term.high)

    def _end(self, factor: Callable[[Term], float]) -> float:
        before = sum(term.seconds * factor(term) for term in self.parts if term.name in _BEFORE)
        return before + self._body(factor)

    def _body(self, factor: Callable[[Term], float]) -> float:
        ends = {term.name: term.seconds * factor(term) for term in self.parts if term.name not in _BEFORE}
        return longest(ends, waits=any(term.waits for term in self.parts))


@dataclasses.dataclass(frozen=True)
class TimeEstimate:
    """Modelled time of a sequence of launches on one device.

    Attributes
    ----------
    gpu
        Data sheet of the device.
    kernels
        One estimate for each launch, in order.
    launch
        How they are launched: see :func:`teachkit.model.predict`.
    l2
        ``"cold"`` or ``"warm"``, likewise.
    """

    gpu: GpuSpec | CpuSpec
    kernels: tuple[KernelEstimate, ...]
    launch: str = "queue"
    l2: str = "cold"

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
        """Modelled time split by what it was spent on: launches, waiting for the host, and each launch's longest term.

        The values add up to ``seconds``.
        """

        def split(kernel: KernelEstimate) -> dict[str, float]:
            bound = {kernel.bound.name: kernel.body_s} if kernel.bound is not None else {}
            host = {"host": kernel.host_s} if kernel.host_s else {}
            return {"launch": kernel.launch_s} | host | bound

        return self._sum(split)

    @property
    def binding(self) -> str:
        """Name of the term that takes most of the time."""
        return max(self.bound_s, key=lambda name: self.bound_s[name], default="launch")

    @property
    def lacks(self) -> tuple[str, ...]:
        """Numbers that the data sheet does not have: assumed, or their term left out."""
        return lacks(self.gpu) if isinstance(self.gpu, GpuSpec) else ()

    def _sum(self, values_of: Callable[[KernelEstimate], dict[str, float]]) -> dict[str, float]:
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
            "launch": self.launch,
            "l2": self.l2,
            "changed": list(self.gpu.changed),
            "lacks": list(self.lacks),
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

    def __str__(self) -> str:
        return self.table()

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
        changed = f" Your numbers: {', '.join(self.gpu.changed)}." if self.gpu.changed else ""
        missing = f" Not measured on it: {', '.join(self.lacks)}." if self.lacks else ""
        label = LABELS[self.binding]
        how = f", launched by {_LAUNCHED[self.launch]}" if isinstance(self.gpu, GpuSpec) else ""
        how += ", L2 warm from a run before" if self.l2 == "warm" else ""
        waits = any(term.waits for kernel in self.kernels for term in kernel.parts)
        legs = ", memory traffic and latency added as legs of a right triangle" if waits else ""
        return (
            f"Microseconds, all modelled, on {self.gpu.name}{how}; a launch takes its overhead plus its longest other "
            f"term (*){legs}. "
            f"Band: {time_text(self.low_s)} to {time_text(self.high_s)}. "
            f"{label[0].upper() + label[1:]}: {rests.get(self.binding, 'no launches')}.{missing}{changed}"
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
        # A dozen terms side by side are wider than a notebook's page: few launches stand in columns, not in rows.
        lines = [header, *rows]
        if len(rows) <= _MOST_COLUMNS:
            lines = [list(line) for line in zip(*lines, strict=True)]
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in lines[0])
        body = ["".join(_cell(cell, index) for index, cell in enumerate(line)) for line in lines[1:]]
        note = f'<p style="max-width: 80ch">{html.escape(self._note())}</p>'
        return f"<table><thead><tr>{head}</tr></thead><tbody><tr>{'</tr><tr>'.join(body)}</tr></tbody></table>{note}"


def _cell(text: str, column: int) -> str:
    """A cell of a line; the first names the line."""
    return f"<td>{html.escape(text)}</td>" if column else f'<th scope="row">{html.escape(text)}</th>'


_MOST_COLUMNS = 5
_LAUNCHED = {
    "queue": "a host that is always ahead",
    "eager": "eager PyTorch",
    "compiled": "compiled code, whose host is always ahead",
    "graph": "a CUDA graph",
}


def time_text(seconds: float) -> str:
    """Return a time with three digits and a unit that suits it, for example ``"12.3 us"``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= size:
            value = seconds / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return "0 s"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.2f}"
