"""The tour: kernels of the lessons, run here and now, and one table of what they did.

Counted: launches. Modelled: DRAM bytes of kernels (cold L2) and every time but a measured one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import torch

    from teachkit.measure.report import Profile

N_ELEMENTS = 2**20
MODELLED_GPUS = ("V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB")


@dataclasses.dataclass(frozen=True)
class Stop:
    """One line of the table: what ran, what it did, how far it is from PyTorch's result."""

    name: str
    prof: Profile
    largest_error: float


def run_stops(n_elements: int = N_ELEMENTS) -> list[Stop]:
    """Run every kernel of the tour under the profiler.

    Parameters
    ----------
    n_elements
        Length of each float32 vector.

    Returns
    -------
    list of Stop
        In the order of the table.
    """
    import torch

    from teachkit.hardware.device import device
    from teachkit.kernels import tanh_gelu, vector_add

    torch.manual_seed(0)
    x, y = (torch.randn(n_elements, device=device()) for _ in range(2))
    gelu = tanh_gelu.library_gelu(x)
    return [
        _stop("vector add", lambda: vector_add.vector_add(x, y), x + y),
        _stop("GELU, eager", lambda: tanh_gelu.eager_gelu(x), gelu),
        _stop("GELU, library", lambda: tanh_gelu.library_gelu(x), gelu),
        _stop("GELU, fused", lambda: tanh_gelu.fused_gelu(x), gelu),
    ]


def _stop(name: str, run: Callable[[], torch.Tensor], expected: torch.Tensor) -> Stop:
    from teachkit.measure.profiler import profile

    with profile() as prof:
        out = run()
    return Stop(name, prof, float((out - expected).abs().max()))


def build_table(stops: list[Stop], n_elements: int = N_ELEMENTS) -> Table:
    """Return the table: launches, elements moved, and the time each GPU would take."""
    from teachkit.model.time_model import predict

    table = Table(
        title=f"float32 vectors of N = {n_elements:,} elements", title_justify="left", box=box.SIMPLE, pad_edge=False
    )
    table.add_column("what ran", no_wrap=True)
    for head in ("launches", "moved"):
        table.add_column(f"{head}\ncounted", justify="right", no_wrap=True)
    for gpu in MODELLED_GPUS:
        table.add_column(f"{gpu.split('-')[0]}, us\nmodelled", justify="right", no_wrap=True)
    measured = any(stop.prof.seconds is not None for stop in stops)
    if measured:
        table.add_column("here, us\nmeasured", justify="right", no_wrap=True)
    for stop in stops:
        times = [_microseconds(predict(stop.prof, gpu=gpu).seconds) for gpu in MODELLED_GPUS]
        if measured:
            times.append(_microseconds(stop.prof.seconds))
        table.add_row(
            stop.name,
            str(stop.prof.n_launches),
            f"{stop.prof.dram_bytes / 4 / n_elements:.2f} N",
            *times,
        )
    return table


def _microseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:.1f}"


def main(console: Console | None = None) -> None:
    """Run the tour and print it."""
    console = console or Console()
    started = time.perf_counter()
    console.print("Running two Triton kernels and two PyTorch programs ...", style="dim")
    stops = run_stops()
    console.print(build_table(stops))
    eager, fused = stops[1].prof, stops[3].prof
    largest = max(stop.largest_error for stop in stops)
    console.print(
        f"Every result agrees with PyTorch's (largest difference {largest:.0e}). The fused kernel moves "
        f"{eager.dram_bytes / fused.dram_bytes:.0f} times fewer bytes than the eager formula and launches once "
        f"instead of {eager.n_launches} times. Why that is what counts: make lab",
        highlight=False,
    )
    console.print(f"This took {time.perf_counter() - started:.1f} s on this machine (measured).", style="dim")
