"""An honest timer: warm-up, synchronisation, many runs, the median and the spread.

Modelled: nothing; this is wall-clock time on the CPU and event time on a CUDA device.
Not modelled: emulated kernels. How long the emulator takes says nothing about a GPU, so it refuses to time one.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from teachkit.errors import ProfileError
from teachkit.measure.profiler import _observe


@dataclasses.dataclass(frozen=True)
class Timing:
    """Measured times of one function on this machine.

    Attributes
    ----------
    times_s
        One time for each run, in order, seconds.
    device
        ``"cpu"`` or ``"cuda"``.
    """

    times_s: tuple[float, ...]
    device: str

    @property
    def median_s(self) -> float:
        """Half of the runs were faster."""
        return statistics.median(self.times_s)

    @property
    def spread(self) -> float:
        """Width of the middle half of the runs, over the median."""
        low, _, high = statistics.quantiles(self.times_s, n=4)
        return (high - low) / self.median_s

    def __repr__(self) -> str:
        n_runs = len(self.times_s)
        return (
            f"<Timing: median {self.median_s * 1e6:,.1f} us, middle half within {self.spread:.0%}, "
            f"{n_runs} runs, measured on {self.device}>"
        )


def time_function(function: Callable[..., Any], *args: Any, n_warmup: int = 3, n_runs: int = 20) -> Timing:
    """Measure how long a call takes.

    Parameters
    ----------
    function, *args
        What to call. If an argument or a result is a CUDA tensor, alone or in a list, tuple or dict, time is taken with
        CUDA events.
    n_warmup
        Calls that are not timed, at least 1: compilation, caches and clocks settle.
    n_runs
        Calls that are timed, at least 4.

    Raises
    ------
    ProfileError
        If the call launches a kernel on the emulator, or there are too few runs.
    """
    if n_warmup < 1 or n_runs < 4:
        raise ProfileError(f"Expected at least 1 warm-up run and 4 timed runs, got {n_warmup} and {n_runs}.")
    emulated: list[str] = []

    def note(launch: Any) -> None:
        if launch.seconds is None:
            emulated.append(launch.name)

    with _observe(note):
        for _ in range(n_warmup):
            result = function(*args)
    if emulated:
        raise ProfileError(
            f"Expected code that runs on hardware, got a launch of {emulated[0]!r} on the emulator, whose speed says "
            "nothing about a GPU.",
            hint="count it with tk.profile() and model its time with tk.predict().",
        )
    if _is_on_gpu((args, result)):
        return Timing(tuple(_cuda_time(function, args) for _ in range(n_runs)), "cuda")
    return Timing(tuple(_cpu_time(function, args) for _ in range(n_runs)), "cpu")


def _is_on_gpu(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_on_gpu, value))
    return _is_on_gpu([*value.values()]) if isinstance(value, dict) else bool(getattr(value, "is_cuda", False))


def _cpu_time(function: Callable[..., Any], args: tuple[Any, ...]) -> float:
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def _cuda_time(function: Callable[..., Any], args: tuple[Any, ...]) -> float:
    torch = sys.modules["torch"]  # there is one of its tensors
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    function(*args)
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) * 1e-3
