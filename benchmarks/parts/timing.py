"""Median wall times of calls that are compared with each other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def median_seconds(call: Callable[[], Any], budget_s: float, at_least: int = 3) -> float:
    """Return the median wall time of ``call`` over ``at_least`` calls and then as many as ``budget_s`` allows."""
    return medians_in_turns({"": call}, budget_s, at_least)[""]


def medians_in_turns(
    calls: Mapping[str, Callable[[], Any]], budget_s: float, at_least: int = 3, at_most: int = 1000
) -> dict[str, float]:
    """Return the median wall time of each call, all made in turn, so that they see the same machine.

    Each is made once before, ``at_least`` times, and then until one has taken ``budget_s`` in all or was made
    ``at_most`` times.
    """
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    while True:
        longest, n = max(map(sum, times.values())), len(next(iter(times.values())))
        if n >= at_least and (longest >= budget_s or n >= at_most):
            return {name: statistics.median(taken) for name, taken in times.items()}
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
