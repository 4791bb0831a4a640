from __future__ import annotations

from teachkit.measure.sweep import Curve
from teachkit.viz.plot_curves import plot_curves

SIZES = (10, 100, 1000)
CURVES = {
    "early": Curve(SIZES, (1e-6, 1e-5, 1e-4), n_measured=2),
    "late": Curve(SIZES, (2e-5, 2e-5, 3e-5)),
}


def test_measured_and_modelled_points_look_different() -> None:
    figure = plot_curves(CURVES, crossings=[("late", "early")], unit="pixels")
    (axes,) = figure.axes
    solid = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata())]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in solid] == [[10, 100]]
    assert [list(line.get_xdata()) for line in dashed] == [[100, 1000], [10, 100, 1000]]
    assert axes.get_xlabel() == "size, pixels"


def test_the_text_alternative_tells_the_crossing() -> None:
    figure = plot_curves(CURVES, crossings=[("late", "early")], unit="pixels")
    assert "late is faster than early from about" in figure.alt_text
    assert "early (measured up to 100)" in figure.alt_text
    assert "late (modelled)" in figure.alt_text
    never = plot_curves(CURVES, crossings=[("early", "late")])
    assert "does not overtake" in never.alt_text
