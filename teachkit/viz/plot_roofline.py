"""Roofline figures: how fast kernels run against what memory and arithmetic of a device allow.

Modelled: the roofs, from data sheets; points of kernels that were not measured, from the time model. A filled marker is
measured, a hollow one modelled.
Not modelled: cache rooflines, sparse tensor rates, integer work.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from teachkit.errors import PredictionError
from teachkit.hardware.cpu import CpuSpec, any_device
from teachkit.hardware.spec import DEFAULT_GPU_NAME, GpuSpec
from teachkit.model.subject import launches_of
from teachkit.model.time_model import achievable_dram_bytes_per_s, predict
from teachkit.viz.style import PALETTE, SMALL, styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vP*X<>"
_COLOURS = ("blue", "vermilion", "green", "purple", "orange", "sky", "black")
_MOST_IN_LEGEND = 14
_CEILINGS = {
    "tensor_fp16_flop_per_s": "FP16 tensor cores, dense",
    "fp16_flop_per_s": "FP16",
    "fp32_flop_per_s": "FP32",
}


@dataclasses.dataclass(frozen=True)
class RooflinePoint:
    """One dot: a kernel, or several that fall on the same place.

    Attributes
    ----------
    label
        Name, with a multiplication sign and a count where there are several.
    intensity_flop_per_byte
        FLOPs over DRAM bytes.
    flop_per_s
        FLOPs over measured or modelled time.
    is_measured
        Whether the time was measured.
    """

    label: str
    intensity_flop_per_byte: float
    flop_per_s: float
    is_measured: bool


def plot_roofline(subject: Any = (), gpu: str | Path | GpuSpec | CpuSpec = DEFAULT_GPU_NAME) -> Figure:
    """Draw the roofline of a device with one point for each kernel.

    Parameters
    ----------
    subject
        What :func:`teachkit.model.predict` takes: a profile, a kernel's report, counters or a list. Empty: roofs only.
    gpu
        Name, alias, data sheet or file of a GPU or processor; ``"this machine"`` where it was probed.

    Returns
    -------
    matplotlib.figure.Figure
        Closed. Both axes are logarithmic: arithmetic intensity in FLOP/byte and speed in FLOP/s. Kernels without FLOPs
        or DRAM traffic have no place on it and are named below the figure. ``figure.alt_text`` says what it shows.

    Source
    ------
    Williams, Waterman, Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009.
    """
    spec = any_device(gpu)
    points, left_out = roofline_points(subject, spec)
    ceilings = _ceilings(spec)
    rate, is_measured, _ = achievable_dram_bytes_per_s(spec)
    with styled_figure(9.2, 6.4, alt_text=_alt_text(spec, points, left_out, ceilings)) as (figure, axes):
        low, high = _intensity_range(points, max(ceilings.values()) / rate)
        floor = min([0.3 * low * rate, *(0.3 * point.flop_per_s for point in points)])
        axes.set_ylim(floor, 4 * max(ceilings.values()))
        roofs = _draw_roofs(axes, spec, ceilings, (rate, is_measured), (low, high))
        kernels = _draw_points(axes, points)
        if left_out:
            text = f"no place on it (no FLOP or no DRAM traffic): {_shorten(left_out)}"
            kernels.append(Line2D([], [], linestyle="none", label=textwrap.fill(text, 60)))
        _draw_legends(figure, roofs, kernels, {point.is_measured for point in points})
        axes.set(xscale="log", yscale="log", xlim=(low, high))
        axes.set_xlabel("arithmetic intensity, FLOP per byte of DRAM traffic")
        axes.set_ylabel("speed, FLOP/s")
        changed = f" (changed: {', '.join(spec.changed)})" if spec.changed else ""
        axes.set_title(f"Roofline of {spec.name}{changed}", loc="left")
    return figure


def _ceilings(spec: GpuSpec | CpuSpec) -> dict[str, float]:
    """Rates of arithmetic, fastest first; half precision without tensor cores only where there are none."""
    rates = {field: getattr(spec, field) for field in _CEILINGS if getattr(spec, field, None) is not None}
    if not rates:
        raise PredictionError(f"Expected a data sheet with an FP32 rate, got {spec.name} without one.")
    if "tensor_fp16_flop_per_s" in rates:
        rates.pop("fp16_flop_per_s", None)
    return rates


def roofline_points(subject: Any, spec: GpuSpec | CpuSpec) -> tuple[list[RooflinePoint], list[str]]:
    """Return the points of a subject's kernels, and the names of the kernels that have no place on a roofline."""
    reports = _reports(subject)
    places: dict[tuple[float, float, bool], list[str]] = {}
    left_out: list[str] = []
    for report in reports:
        (launch,) = launches_of(report)
        counters = launch.counters
        if not counters.flop or not counters.dram_bytes:
            left_out.append(launch.name)
            continue
        measured = getattr(report, "seconds", None)
        seconds = measured if measured is not None else predict(report, spec).seconds
        place = (counters.flop / counters.dram_bytes, counters.flop / seconds, measured is not None)
        places.setdefault(place, []).append(launch.name)
    points = [RooflinePoint(_counted(names), *place) for place, names in places.items()]
    return points, left_out


def _reports(subject: Any) -> list[Any]:
    if (kernels := getattr(subject, "kernels", None)) is not None:
        return list(kernels)
    return (
        [report for item in subject for report in _reports(item)] if isinstance(subject, (list, tuple)) else [subject]
    )


def _counted(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(name if names.count(name) == 1 else f"{name} ×{names.count(name)}" for name in unique)


def _shorten(names: Sequence[str]) -> str:
    text = _counted(names)
    return text if len(text) <= 110 else text[:107] + "..."


def _intensity_range(points: Sequence[RooflinePoint], last_ridge: float) -> tuple[float, float]:
    intensities = [point.intensity_flop_per_byte for point in points]
    return min([0.05, *(0.5 * value for value in intensities)]), max([6 * last_ridge, *(2 * v for v in intensities)])


def _draw_roofs(
    axes: Axes,
    spec: GpuSpec | CpuSpec,
    ceilings: dict[str, float],
    achievable: tuple[float, bool],
    intensities: tuple[float, float],
) -> list[Line2D]:
    """Draw slopes, ceilings and ridges; what the legend says of the slopes."""
    low, high = intensities
    top = max(ceilings.values())
    rate, is_measured = achievable
    floor = axes.get_ylim()[0]
    for bandwidth, style in ((spec.dram_bytes_per_s, ":"), (rate, "-")):
        if bandwidth is None:  # a machine that was measured has no data sheet
            continue
        axes.plot([low, top / bandwidth], [low * bandwidth, top], style, color=PALETTE["black"], linewidth=1.4)
    for field, ceiling in ceilings.items():
        ridge = ceiling / rate
        axes.plot([ridge, high], [ceiling, ceiling], color=PALETTE["black"], linewidth=1.4)
        axes.plot([ridge, ridge], [floor, ceiling], "--", color="#888888", linewidth=0.8)
        where: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL}
        label = f"{_CEILINGS[field]}: {_si(ceiling)}FLOP/s"
        # Seven points above the line: clear of a marker that lies on it.
        axes.annotate(label, (high, ceiling), (-4, 7), ha="right", **where)
        axes.annotate(f"ridge {ridge:.3g} FLOP/byte", (ridge, floor), (3, 5), rotation=90, **where)
    kind = _provenance(spec, is_measured)
    handles = [Line2D([], [], color=PALETTE["black"], label=f"achievable ({kind}), {_si(rate)}B/s")]
    if spec.dram_bytes_per_s is not None:
        label = f"data sheet, {_si(spec.dram_bytes_per_s)}B/s"
        handles.insert(0, Line2D([], [], color=PALETTE["black"], linestyle=":", label=label))
    return handles


def _draw_points(axes: Axes, points: Sequence[RooflinePoint]) -> list[Line2D]:
    handles = []
    for index, point in enumerate(points):
        colour = PALETTE[_COLOURS[index % len(_COLOURS)]]
        style: dict[str, Any] = {
            "marker": _MARKERS[index % len(_MARKERS)],
            "color": colour,
            "markerfacecolor": colour if point.is_measured else "white",
            "markeredgewidth": 1.8,
            "markersize": 8,
            "linestyle": "none",
        }
        axes.plot([point.intensity_flop_per_byte], [point.flop_per_s], zorder=3, **style)
        label = textwrap.fill(point.label, 32, max_lines=3, placeholder=" ...")
        handles.append(Line2D([], [], label=label, **style))
    if len(handles) > _MOST_IN_LEGEND:
        more = len(handles) - _MOST_IN_LEGEND + 1
        handles = [*handles[: _MOST_IN_LEGEND - 1], Line2D([], [], linestyle="none", label=f"and {more} more")]
    return handles


def _draw_legends(figure: Figure, roofs: list[Line2D], kernels: list[Line2D], kinds: set[bool]) -> None:
    """Both stand below the axes, where no line and no label can run into them and the axes keep the whole width."""
    style: dict[str, Any] = {"fontsize": SMALL, "title_fontsize": SMALL, "alignment": "left"}
    figure.legend(handles=roofs, title="DRAM", loc="outside lower left", **style)
    if not kernels:
        return
    title = {
        frozenset({True}): "kernels, time measured",
        frozenset({False}): "kernels, time modelled",
    }.get(frozenset(kinds), "kernels (filled: time measured, hollow: modelled)")
    n_columns = 2 if len(kernels) > 2 and max(len(str(line.get_label())) for line in kernels) <= 16 else 1
    figure.legend(handles=kernels, title=title, loc="outside lower right", ncols=n_columns, **style)


def _provenance(spec: GpuSpec | CpuSpec, is_measured: bool) -> str:
    """The word for the achievable bandwidth: who has a data sheet was measured by somebody else, who has none here."""
    if not is_measured:
        return "assumed"
    return "measured" if spec.dram_bytes_per_s is None else "cited"


def _alt_text(
    spec: GpuSpec | CpuSpec, points: Sequence[RooflinePoint], left_out: Sequence[str], ceilings: dict[str, float]
) -> str:
    rate, is_measured, _ = achievable_dram_bytes_per_s(spec)
    kind = _provenance(spec, is_measured)
    promised = f"{_si(spec.dram_bytes_per_s)}B/s by the data sheet, " if spec.dram_bytes_per_s is not None else ""
    text = f"Roofline of {spec.name}: DRAM {promised}{_si(rate)}B/s {kind}"
    for field, ceiling in ceilings.items():
        text += f"; {_CEILINGS[field]} {_si(ceiling)}FLOP/s, ridge at {ceiling / rate:.3g} FLOP/byte"
    text += "."
    for point in points:
        how = "measured" if point.is_measured else "modelled"
        text += f" {point.label}: {point.intensity_flop_per_byte:.3g} FLOP/byte, {_si(point.flop_per_s)}FLOP/s {how}."
    return text + (f" Without FLOP or DRAM traffic: {_counted(left_out)}." if left_out else "")


def _si(value: float) -> str:
    """Three digits and the SI prefix, ready for its unit."""
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g} "
