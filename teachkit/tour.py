"""The tour: the first lesson's kernels, run here and now, and one table of what they did.

Counted: launches and FLOPs. Modelled: DRAM bytes of kernels (cold L2) and every time but a measured one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

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
        _stop("vector add, Triton", lambda: vector_add.vector_add(x, y), x + y),
        _stop("tanh-GELU, eager formula", lambda: tanh_gelu.eager_gelu(x), gelu),
        _stop("tanh-GELU, library operator", lambda: tanh_gelu.library_gelu(x), gelu),
        _stop("tanh-GELU, one fused Triton kernel", lambda: tanh_gelu.fused_gelu(x), gelu),
    ]


def _stop(name: str, run: Callable[[], torch.Tensor], expected: torch.Tensor) -> Stop:
    from teachkit.measure.profiler import profile

    with profile() as prof:
        out = run()
    return Stop(name, prof, float((out - expected).abs().max()))


def build_table(stops: list[Stop], n_elements: int = N_ELEMENTS) -> Table:
    """Return the table: launches, elements moved, FLOPs, error, and the time each GPU would take."""
    from teachkit.model.time_model import predict

    table = Table(title=f"float32 vectors of N = {n_elements:,} elements", title_justify="left")
    table.add_column("what ran")
    for head in ("launches\ncounted", "moved\ncounted", "FLOP / N\ncounted", "largest\nerror"):
        table.add_column(head, justify="right")
    for gpu in MODELLED_GPUS:
        table.add_column(f"{gpu.split('-')[0]}\nmodelled", justify="right")
    measured = any(stop.prof.seconds is not None for stop in stops)
    if measured:
        table.add_column("this GPU\nmeasured", justify="right")
    for stop in stops:
        times = [f"{predict(stop.prof, gpu=gpu).seconds * 1e6:.1f} us" for gpu in MODELLED_GPUS]
        if measured:
            times.append("" if stop.prof.seconds is None else f"{stop.prof.seconds * 1e6:.1f} us")
        table.add_row(
            stop.name,
            str(stop.prof.n_launches),
            f"{stop.prof.dram_bytes / 4 / n_elements:.2f} N",
            f"{stop.prof.flop / n_elements:.1f}",
            f"{stop.largest_error:.0e}",
            *times,
        )
    return table


def main(console: Console | None = None) -> None:
    """Run the tour and print it."""
    console = console or Console()
    started = time.perf_counter()
    console.print("Compiling four Triton and PyTorch programs and running them ...", style="dim")
    stops = run_stops()
    console.print(build_table(stops))
    eager, fused = stops[1].prof, stops[3].prof
    console.print(
        f"The fused kernel moves {eager.dram_bytes / fused.dram_bytes:.0f} times fewer bytes than the eager formula, "
        f"with 1 launch instead of {eager.n_launches}. Why that is what counts: make lab"
    )
    console.print(f"Run on this machine in {time.perf_counter() - started:.1f} s (measured).", style="dim")
