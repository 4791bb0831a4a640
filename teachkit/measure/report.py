"""What a profile holds: one report for each launch, in order, and their sum.

Provenance: launches, FLOPs and operators' bytes are counted; kernels' DRAM bytes come from the cache model of the
modelled GPU; seconds are measured on hardware, and absent everywhere else.
"""

from __future__ import annotations

import dataclasses
import html
import threading
from typing import TYPE_CHECKING, Any, Literal

from teachkit.emulator.counters import Counters
from teachkit.errors import ProfileError

if TYPE_CHECKING:
    from contextlib import ExitStack

    import pandas as pd

    from teachkit.emulator.launches import Resources

PROVENANCE = {
    "n_launches": "counted",
    "flop": "counted",
    "dram_bytes of operators": "counted: every distinct input byte once, every output byte once",
    "dram_bytes of kernels": "modelled: L2 cache of the modelled GPU, cold at each launch",
    "seconds": "measured",
}


@dataclasses.dataclass(frozen=True)
class KernelReport:
    """What one launch did.

    Attributes
    ----------
    name
        The kernel's name, or the operator's, such as ``aten.add``.
    grid, block
        Blocks and threads a block in three dimensions; ``None`` for an operator, whose kernel PyTorch chooses.
    counters
        What it did; see :class:`~teachkit.emulator.counters.Counters`.
    resources
        Registers, shared memory and occupancy of a kernel; ``None`` for an operator.
    seconds
        Time measured on hardware; ``None`` where there is none.
    kind
        ``"kernel"`` for a launch of a compiled kernel, ``"operator"`` for an eager PyTorch operator.
    """

    name: str
    grid: tuple[int, int, int] | None
    block: tuple[int, int, int] | None
    counters: Counters
    resources: Resources | None = None
    seconds: float | None = None
    kind: Literal["kernel", "operator"] = "kernel"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values that JSON can hold."""
        resources = dataclasses.asdict(self.resources) if self.resources is not None else None
        return {
            "name": self.name,
            "kind": self.kind,
            "grid": list(self.grid) if self.grid is not None else None,
            "block": list(self.block) if self.block is not None else None,
            "seconds": self.seconds,
            "resources": resources,
            "counters": self.counters.to_dict(),
        }


class Profile:
    """Everything that was launched inside a ``with`` block, in order. Made by :func:`teachkit.measure.profile`.

    A profile may be entered again after it was left; it then goes on where it stopped.
    """

    def __init__(self, *, operators: bool = True, counters: bool = True, gpu: str | None = None) -> None:
        self._operators, self._counters, self._gpu = operators, counters, gpu
        self._kernels: list[KernelReport] = []
        self._n_syncs = 0
        self._lock = threading.Lock()
        self._stack: ExitStack | None = None

    def __enter__(self) -> Profile:
        from teachkit.measure.profiler import start

        if self._stack is not None:
            raise ProfileError(
                "Expected a profile that is not running, got one that is already open.",
                hint="open a second one: `with tk.profile() as inner:`; profiles may be nested.",
            )
        self._stack = start(self, operators=self._operators, counters=self._counters, gpu=self._gpu)
        return self

    def __exit__(self, *exception: object) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    def _add(self, report: KernelReport) -> int:
        with self._lock:
            self._kernels.append(report)
            return len(self._kernels) - 1

    def _add_sync(self, n_syncs: int) -> None:
        with self._lock:
            self._n_syncs += n_syncs

    def _set_seconds(self, index: int, seconds: float | None) -> None:
        with self._lock:
            self._kernels[index] = dataclasses.replace(self._kernels[index], seconds=seconds)

    @property
    def kernels(self) -> list[KernelReport]:
        """One report for each launch, in order."""
        with self._lock:
            return list(self._kernels)

    @property
    def total(self) -> Counters:
        """The counters of all launches, summed."""
        return sum((kernel.counters for kernel in self.kernels), Counters())

    @property
    def n_launches(self) -> int:
        """Launches of kernels and operators."""
        return self.total.n_launches

    @property
    def n_syncs(self) -> int:
        """How often the host had to wait for a value, for example in ``x.item()``."""
        return self._n_syncs

    @property
    def dram_read_bytes(self) -> int:
        """Bytes read from DRAM."""
        return self.total.dram_read_bytes

    @property
    def dram_write_bytes(self) -> int:
        """Bytes written to DRAM."""
        return self.total.dram_write_bytes

    @property
    def dram_bytes(self) -> int:
        """Bytes moved from and to DRAM."""
        return self.total.dram_bytes

    @property
    def flop(self) -> int:
        """Floating-point operations of every precision."""
        return self.total.flop

    @property
    def seconds(self) -> float | None:
        """Sum of the measured times; ``None`` unless every launch was measured."""
        times = [kernel.seconds for kernel in self.kernels]
        return sum(time for time in times if time is not None) if times and None not in times else None

    def to_dict(self) -> dict[str, Any]:
        """Return kernels, totals and where each number comes from, as plain values that JSON can hold."""
        return {
            "n_launches": self.n_launches,
            "n_syncs": self.n_syncs,
            "dram_bytes": self.dram_bytes,
            "flop": self.flop,
            "seconds": self.seconds,
            "kernels": [kernel.to_dict() for kernel in self.kernels],
            "total": self.total.to_dict(),
            "provenance": dict(PROVENANCE),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row for each launch and one column for each counter and resource."""
        import pandas as pd

        rows = []
        for kernel in self.kernels:
            row = kernel.to_dict()
            counters, resources = row.pop("counters"), row.pop("resources")
            rows.append(row | counters | (resources or {}))
        return pd.DataFrame(rows)

    def table(self) -> str:
        """Return the launches and their sum as text, the same on every machine (but for measured seconds)."""
        header, rows = self._cells()
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        n_text = 3  # the columns before the numbers

        def line(cells: list[str]) -> str:
            text = [cell.ljust(width) for cell, width in zip(cells[:n_text], widths[:n_text], strict=True)]
            numbers = [cell.rjust(width) for cell, width in zip(cells[n_text:], widths[n_text:], strict=True)]
            return "  ".join(text + numbers).rstrip()

        rule = "  ".join("-" * width for width in widths)
        lines = [line(header), rule, *(line(row) for row in rows[:-1]), rule, line(rows[-1])]
        return "\n".join([*lines, self._note()])

    def _note(self) -> str:
        kinds = {kernel.kind for kernel in self.kernels}
        parts = ["launches and FLOP counted"]
        if "operator" in kinds:
            parts.append("operators' bytes counted")
        if "kernel" in kinds:
            parts.append("kernels' bytes modelled (L2 cache)")
        if any(kernel.seconds is not None for kernel in self.kernels):
            parts.append("microseconds measured")
        if self.n_syncs:
            parts.append(f"{self.n_syncs} host synchronisation{'s' if self.n_syncs > 1 else ''} counted")
        return "; ".join(parts) + "."

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        kernels = self.kernels
        timed = any(kernel.seconds is not None for kernel in kernels)
        header = ["#", "name", "grid x block", "read bytes", "written bytes", "FLOP", "FLOP/byte"]
        header += ["measured us"] if timed else []
        rows = []
        for number, kernel in enumerate(kernels, start=1):
            name = kernel.name if len(kernel.name) <= 40 else kernel.name[:37] + "..."
            cells = [str(number), name, _shape(kernel), *_numbers(kernel.counters)]
            rows.append(cells + ([_microseconds(kernel.seconds)] if timed else []))
        n = self.n_launches
        total = ["", f"{n} launch{'' if n == 1 else 'es'}", "", *_numbers(self.total)]
        return header, [*rows, total + ([_microseconds(self.seconds)] if timed else [])]

    def __repr__(self) -> str:
        return (
            f"<Profile: {self.n_launches} launches, {self.dram_bytes:,} bytes of DRAM traffic, {self.flop:,} FLOP, "
            f"{self.n_syncs} host synchronisations>"
        )

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


def _shape(kernel: KernelReport) -> str:
    if kernel.grid is None or kernel.block is None:
        return "operator"
    return f"{_dims(kernel.grid)} x {_dims(kernel.block)}"


def _dims(sizes: tuple[int, int, int]) -> str:
    shown = list(sizes)
    while len(shown) > 1 and shown[-1] == 1:
        shown.pop()
    return str(shown[0]) if len(shown) == 1 else f"({', '.join(map(str, shown))})"


def _numbers(counters: Counters) -> list[str]:
    intensity = f"{counters.flop / counters.dram_bytes:.3g}" if counters.dram_bytes else "-"
    return [f"{counters.dram_read_bytes:,}", f"{counters.dram_write_bytes:,}", f"{counters.flop:,}", intensity]


def _microseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e6:,.1f}"
