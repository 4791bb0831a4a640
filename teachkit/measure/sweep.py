"""Times over many sizes: measured as far as that is bearable, continued beyond, and never mixed up.

Modelled: sizes above the largest one measured, with that one's time an element.
Not modelled: what changes beyond it, such as a cache that is too small from some size on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from teachkit.errors import ProfileError
from teachkit.measure.timer import time_function


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """Time against size.

    Attributes
    ----------
    sizes
        Elements, ascending.
    seconds
        Time of each size.
    n_measured
        How many of them, from the first, were measured; the rest is modelled.
    """

    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    n_measured: int = 0

    def __add__(self, other: Curve) -> Curve:
        """One after the other, size by size; measured where both are."""
        if self.sizes != other.sizes:
            raise ProfileError(f"Expected two curves over the same sizes, got {self.sizes} and {other.sizes}.")
        seconds = tuple(a + b for a, b in zip(self.seconds, other.seconds, strict=True))
        return Curve(self.sizes, seconds, min(self.n_measured, other.n_measured))


def measure_curve(
    make_call: Callable[[int], Callable[[], object]], sizes: Sequence[int], *, measure_to: int, n_runs: int = 9
) -> Curve:
    """Measure a call for each size up to `measure_to`; go on in a straight line.

    Parameters
    ----------
    make_call : size -> the call to time, with its data ready.
    sizes : elements, ascending.
    measure_to : the largest size to measure.
    n_runs : timed runs a size, at least 4. The fastest counts: other programs only ever make a run slower.
    """
    seconds: list[float] = []
    measured = [n for n in sizes if n <= measure_to]
    for n in measured:
        seconds.append(min(time_function(make_call(n), n_warmup=1, n_runs=n_runs).times_s))
    per_element_s = seconds[-1] / measured[-1]
    beyond = [n * per_element_s for n in sizes[len(measured) :]]
    return Curve(tuple(sizes), (*seconds, *beyond), len(measured))


def crossing(slow_start: Curve, other: Curve) -> float | None:
    """Size from which `slow_start` stays the faster one, ``None`` if it is not faster at the largest size.

    Between two sizes both times are taken for straight lines on logarithmic axes.
    """
    ratios = [math.log(a / b) for a, b in zip(slow_start.seconds, other.seconds, strict=True)]
    if ratios[-1] >= 0:
        return None
    before = max((i for i, ratio in enumerate(ratios) if ratio >= 0), default=None)
    if before is None:
        return float(slow_start.sizes[0])
    low, high = (math.log(slow_start.sizes[i]) for i in (before, before + 1))
    share = ratios[before] / (ratios[before] - ratios[before + 1])
    return math.exp(low + share * (high - low))
