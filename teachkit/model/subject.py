"""What a time can be modelled for: anything that carries counters, from one launch to a whole profile."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from teachkit.emulator.counters import Counters
from teachkit.errors import PredictionError


@dataclasses.dataclass(frozen=True)
class Launched:
    """One launch as the time model needs it.

    Attributes
    ----------
    name
        For tables and figures.
    counters
        What it did.
    grid, block
        Blocks, and threads a block, in three dimensions; ``None`` where they are not known.
    n_registers
        Registers a thread; ``None`` where not known.
    shared_bytes
        Shared memory a block.
    """

    name: str
    counters: Counters
    grid: tuple[int, ...] | None = None
    block: tuple[int, ...] | None = None
    n_registers: int | None = None
    shared_bytes: int = 0


def launches_of(subject: Any) -> list[Launched]:
    """Return the launches in a profile, in a report of one kernel, in counters, or in a list of these.

    Raises
    ------
    PredictionError
        If there are no counters in it, or it is a profile in which nothing was launched.
    """
    if isinstance(subject, Counters):
        return [Launched("counters", subject)]
    if isinstance(kernels := getattr(subject, "kernels", None), Iterable):
        kernels = list(kernels)
        if not kernels:
            raise PredictionError(
                "Expected a profile with launches, got one without any.",
                hint="run kernels or operators in `with tk.profile() as prof:`; views and allocations launch nothing.",
            )
        return [launch for kernel in kernels for launch in launches_of(kernel)]
    if isinstance(counters := getattr(subject, "counters", None), Counters):
        resources = getattr(subject, "resources", None)
        return [
            Launched(
                name=getattr(subject, "name", "kernel"),
                counters=counters,
                grid=getattr(subject, "grid", None),
                block=getattr(subject, "block", None),
                n_registers=getattr(resources, "n_registers", None),
                shared_bytes=getattr(resources, "shared_bytes", 0),
            )
        ]
    if isinstance(subject, (list, tuple)):
        return [launch for item in subject for launch in launches_of(item)]
    raise PredictionError(
        f"Expected a profile, a kernel's report, counters or a list of these, got {type(subject).__name__}.",
        hint="run the code inside `with tk.profile() as prof:` and pass prof.",
    )
