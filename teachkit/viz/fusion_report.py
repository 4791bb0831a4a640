"""The numbers that every figure of a fusion plan shows, in one place, so that no two figures can disagree.

Modelled: launches and bytes from `teachkit.model.fusion`; seconds from the time model, for
launches and DRAM bytes alone.
Not modelled: what `teachkit.model.fusion` and `teachkit.model.time_model` leave out; arithmetic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from teachkit.emulator.counters import Counters
from teachkit.model.fusion import Graph, group_bytes, traffic_bytes, why_illegal
from teachkit.model.time_model import predict

DEFAULT_GPUS = ("V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB")


@dataclasses.dataclass(frozen=True)
class PlanReport:
    """What one partition of a graph costs.

    Parameters
    ----------
    groups : the partition, operators in the graph's order, kernels in the order of their first operators.
    reason : why the partition cannot run, a sentence; ``None`` if it can.
    n_launches : kernels launched.
    n_bytes : bytes read and written by all kernels.
    n_elements : the same in elements of the graph's tensors, as a multiple of their length; ``None`` where they differ.
    kernel_bytes : ``(read, written)`` bytes a kernel.
    seconds : modelled time on each GPU, in the order asked for.
    """

    groups: tuple[tuple[str, ...], ...]
    reason: str | None
    n_launches: int
    n_bytes: int
    n_elements: float | None
    kernel_bytes: tuple[tuple[int, int], ...]
    seconds: dict[str, float]


def report_plan(graph: Graph, partition: Sequence[Collection[str]], gpus: Sequence[str] = DEFAULT_GPUS) -> PlanReport:
    """Launches, bytes and modelled seconds of one partition.

    Parameters
    ----------
    graph : the graph of operators.
    partition : groups of operator names; every operator in exactly one.
    gpus : names of GPUs in the hardware registry.

    Raises
    ------
    FusionGraphError
        If the groups do not hold every operator exactly once.
    """
    n_bytes = traffic_bytes(graph, partition)
    in_order = (tuple(name for name in graph.names if name in group) for group in partition)
    groups = tuple(sorted(in_order, key=lambda group: graph.names.index(group[0])))
    kernel_bytes = tuple(group_bytes(graph, group) for group in groups)
    sizes = {graph.tensor_bytes(name) for name in (*graph.inputs, *graph.names)}
    return PlanReport(
        groups=groups,
        reason=why_illegal(graph, partition),
        n_launches=len(groups),
        n_bytes=n_bytes,
        n_elements=n_bytes / sizes.pop() if len(sizes) == 1 else None,
        kernel_bytes=kernel_bytes,
        seconds={gpu: _seconds(kernel_bytes, gpu) for gpu in gpus},
    )


def bytes_text(n_bytes: int, n_elements: float | None = None) -> str:
    """``'75.5 MB'`` or, in units of the tensors' length N too, ``'75.5 MB (18N elements)'``. MB is 10^6, GB 10^9."""
    text = f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.2f} GB"
    return text if n_elements is None else f"{text} ({n_elements:g}N elements)"


def launches_text(n_launches: int) -> str:
    """``'1 launch'`` or ``'8 launches'``."""
    return f"{n_launches} launch" + ("" if n_launches == 1 else "es")


def seconds_text(seconds: float) -> str:
    """Microseconds with three digits that count: modelled times are not better than that."""
    return f"{float(f'{seconds * 1e6:.3g}'):,g} µs"


def _seconds(kernel_bytes: Sequence[tuple[int, int]], gpu: str) -> float:
    launches = [
        Counters(n_launches=1, dram_read_bytes=n_read_bytes, dram_write_bytes=n_written_bytes)
        for n_read_bytes, n_written_bytes in kernel_bytes
    ]
    return predict(launches, gpu=gpu).seconds
