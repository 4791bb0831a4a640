"""Time against size, several machines in one picture, with the sizes at which one overtakes another.

A filled marker and a solid line are measured, a hollow marker and a dashed line are modelled.
Not modelled: spread; each point is the fastest of several runs, or a model's number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D

from teachkit.measure.sweep import Curve, crossing
from teachkit.viz.style import PALETTE, CourseFigure, styled_figure

_STYLES = (
    ("black", "X"),
    ("purple", "P"),
    ("orange", "^"),
    ("green", "s"),
    ("sky", "v"),
    ("blue", "o"),
    ("vermilion", "D"),
)


def plot_curves(
    curves: Mapping[str, Curve], *, crossings: Sequence[tuple[str, str]] = (), unit: str = "elements"
) -> CourseFigure:
    """Draw the curves on logarithmic axes.

    Parameters
    ----------
    curves : title -> curve.
    crossings : pairs of titles ``(late, early)``: where `late` becomes the faster one, a line and the size are drawn.
    unit : what sizes count, for the axis.

    Returns
    -------
    CourseFigure
        Closed. Horizontal axis: size; vertical axis: time, seconds.
    """
    points = [(late, early, crossing(curves[late], curves[early])) for late, early in crossings]
    told = [_told(late, early, n) for late, early, n in points]
    with styled_figure(8.8, 6.0, alt_text=_alt_text(curves, told, unit)) as (figure, axes):
        handles = []
        for (title, curve), (colour, marker) in zip(curves.items(), _STYLES, strict=False):
            style: dict[str, Any] = {"color": PALETTE[colour], "marker": marker, "markersize": 7}
            hollow = {**style, "markerfacecolor": "white", "markeredgewidth": 1.6}
            n = curve.n_measured
            start = max(n - 1, 0)
            axes.plot(curve.sizes[start:], curve.seconds[start:], "--", linewidth=1.4, **hollow)
            axes.plot(curve.sizes[:n], curve.seconds[:n], "-", linewidth=1.8, **style)
            handles.append(Line2D([], [], label=title, linestyle="-" if n else "--", **(style if n else hollow)))
        axes.set(xscale="log", yscale="log", xlabel=f"size, {unit}", ylabel="time, seconds")
        for late, _, n_cross in points:
            if n_cross is not None:
                curve = curves[late]
                axes.axvline(n_cross, color="#666666", linestyle=":", linewidth=1.4)
                label = f"about {_rounded(n_cross)}"
                top = axes.get_ylim()[1]
                plain = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
                where = {"xytext": (5, -4), "textcoords": "offset points", "va": "top"}
                axes.annotate(label, (n_cross, top), rotation=90, bbox=plain, zorder=4, **where)
        kinds = [
            Line2D([], [], color="#444444", marker="o", linestyle="-", label="measured"),
            Line2D([], [], color="#444444", marker="o", markerfacecolor="white", linestyle="--", label="modelled"),
            Line2D([], [], color="#666666", linestyle=":", label="one overtakes another"),
        ]
        figure.legend(handles=handles + kinds, loc="outside lower center", ncols=2)
    return figure


def _told(late: str, early: str, n: float | None) -> str:
    if n is None:
        return f"{late} does not overtake {early} within these sizes"
    return f"{late} is faster than {early} from about {_rounded(n)} on"


def _rounded(n: float) -> str:
    """Two digits that count: the sizes on both sides are a power of ten apart."""
    return f"{float(f'{n:.2g}'):,.0f}"


def _alt_text(curves: Mapping[str, Curve], told: Sequence[str], unit: str) -> str:
    parts = []
    for title, curve in curves.items():
        how = "modelled" if not curve.n_measured else f"measured up to {curve.sizes[curve.n_measured - 1]:,}"
        parts.append(f"{title} ({how}): {curve.seconds[0]:.2g} s to {curve.seconds[-1]:.2g} s")
    sizes = next(iter(curves.values())).sizes
    ends = f"{sizes[0]:,} to {sizes[-1]:,} {unit}"
    return f"Time against size, {ends}. " + "; ".join(parts) + ". " + "; ".join(told) + ("." if told else "")
