"""Curves: what is measured stays apart from what is not, and crossings are where the lines cross."""

from __future__ import annotations

import pytest

from teachkit.errors import ProfileError
from teachkit.measure.sweep import Curve, crossing, measure_curve

SIZES = (10, 100, 1000, 10_000)


def line(start_s: float, per_element_s: float) -> Curve:
    return Curve(SIZES, tuple(start_s + per_element_s * n for n in SIZES))


def test_only_small_sizes_are_measured() -> None:
    asked = []

    def make_call(n):
        asked.append(n)
        return lambda: sum(range(n))

    curve = measure_curve(make_call, SIZES, measure_to=1000)
    assert asked == [10, 100, 1000]
    assert curve.n_measured == 3
    assert curve.seconds[3] == pytest.approx(10 * curve.seconds[2])


def test_a_late_start_pays_from_some_size_on() -> None:
    n = crossing(line(1000.0, 1.0), line(0.0, 2.0))
    assert n is not None
    assert 900 < n < 1100  # at 1,000 exactly; between two sizes the logarithms are joined by straight lines
    assert crossing(line(0.0, 2.0), line(1000.0, 1.0)) is None
    assert crossing(line(0.0, 1.0), line(0.0, 2.0)) == 10


def test_times_add_up() -> None:
    both = line(1.0, 2.0) + Curve(SIZES, (1.0,) * 4, n_measured=2)
    assert both.seconds == tuple(2.0 + 2.0 * n for n in SIZES)
    assert both.n_measured == 0
    with pytest.raises(ProfileError):
        line(1.0, 2.0) + Curve((1, 2), (1.0, 2.0))
