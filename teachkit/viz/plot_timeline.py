"""Figures of eager programs in time: what the host and the GPU do when, and what an operator costs by its size.

Modelled: nothing here; the timeline draws what `teachkit.model.timeline` computes.
Not modelled: see there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.patches import Patch

from teachkit.model.estimate import time_text
from teachkit.viz.style import PALETTE, styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from teachkit.model.timeline import Timeline

LANES = {"host": 1.0, "GPU": 0.0}
_HEIGHT = 0.62
_HOST: dict[str, Any] = {"facecolor": "#d9d9d9", "edgecolor": "#333333", "linewidth": 0.8}
_DEVICE: dict[str, Any] = {"facecolor": "#f6c871", "edgecolor": "#333333", "linewidth": 0.8}
_WAIT: dict[str, Any] = {"facecolor": "white", "edgecolor": PALETTE["vermilion"], "hatch": "////", "linewidth": 0}
_LABEL_SIZE = 10
_CHARS_ACROSS = 115  # characters of the labels' size that fit side by side into one panel


def plot_timeline(timelines: Mapping[str, Timeline], *, labels: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """Draw programs in time, one panel each, with the operators' bytes.

    Parameters
    ----------
    timelines : title -> what `teachkit.model.timeline.timeline` made.
    labels : title -> a label a step; the operators' names where missing.

    Returns
    -------
    matplotlib.figure.Figure
        Closed. Above, the host's work for each operator; below, the GPU's, with the bytes it moves. Horizontal axis:
        microseconds (modelled), a scale of its own in each panel.
    """
    told = "; ".join(f"{title}: {_told(plan)}" for title, plan in timelines.items())
    alt_text = f"Timelines of host and GPU, modelled. {told}."
    with styled_figure(8.8, 1.95 * len(timelines) + 0.5, alt_text=alt_text, n_rows=len(timelines)) as (figure, axes):
        panels = list(axes) if len(timelines) > 1 else [axes]
        for panel, (title, plan) in zip(panels, timelines.items(), strict=True):
            draw_timeline(panel, plan, (labels or {}).get(title))
            panel.set_title(f"{title}\n{_told(plan)}", loc="left")
        panels[-1].set_xlabel(f"time, microseconds (modelled, {next(iter(timelines.values())).gpu})")
        keys = [Patch(**_HOST, label="host: Python, dispatcher, driver"), Patch(**_DEVICE, label="GPU: one kernel")]
        if any(step.waits for plan in timelines.values() for step in plan.steps):
            keys.append(Patch(**_WAIT, label="host waits for a result"))
        figure.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 2))
    return figure


def draw_timeline(axes: Axes, plan: Timeline, labels: Sequence[str] | None = None) -> None:
    """Draw one program into one panel."""
    end_us = max(plan.seconds * 1e6, 1e-3)
    for index, step in enumerate(plan.steps):
        name = labels[index] if labels else step.name.removeprefix("aten.")
        _bar(axes, "host", (step.host_start_s, step.host_end_s), _HOST, [name, str(index + 1)], end_us)
        bar = (step.device_start_s, step.device_end_s)
        bytes_ = short_bytes(step.dram_bytes)
        _bar(axes, "GPU", bar, _DEVICE, [f"{name}\n{bytes_}", bytes_, str(index + 1)], end_us)
        if step.waits:
            _bar(axes, "host", (step.host_end_s, step.device_end_s), _WAIT, [], end_us)
    axes.set_yticks(list(LANES.values()), list(LANES))
    axes.set_ylim(-0.5, 1.5)
    axes.set_xlim(0, 1.01 * end_us)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _bar(
    axes: Axes, lane: str, span_s: tuple[float, float], style: dict[str, Any], texts: Sequence[str], end_us: float
) -> None:
    """A bar with the first of the texts that fits into it; none if none does."""
    left_us, width_us = span_s[0] * 1e6, (span_s[1] - span_s[0]) * 1e6
    if not width_us:
        return
    y = LANES[lane]
    axes.barh(y, width_us, left=left_us, height=_HEIGHT, **style)
    room = _CHARS_ACROSS * width_us / end_us
    text = next((text for text in texts if max(map(len, text.split("\n"))) + 0.7 <= room), None)
    if text is not None:
        axes.text(left_us + width_us / 2, y, text, ha="center", va="center", fontsize=_LABEL_SIZE)


def _told(plan: Timeline) -> str:
    n = len(plan.steps)
    return (
        f"{n} launch{'' if n == 1 else 'es'}, {short_bytes(plan.dram_bytes)} moved, {time_text(plan.seconds)}, "
        f"GPU idle {plan.device_idle_share:.0%} of it"
    )


def short_bytes(n_bytes: int) -> str:
    """Bytes with two or three digits and a decimal prefix: ``'8.2 kB'``, ``'134 MB'``."""
    value, unit = float(n_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 99.95 or unit == "B" else f"{value:.1f} {unit}"


def plot_cost_of_size(curves: Mapping[str, Mapping[int, float]], *, how: str) -> Figure:
    """Draw time over the number of elements, both logarithmic: the floor of an operator, then its slope.

    Parameters
    ----------
    curves : title -> {number of elements: seconds}.
    how : ``"measured"`` or ``"modelled"``, and on what; shown on the axis.
    """
    ends = "; ".join(
        f"{title}: {time_text(curve[min(curve)])} for {min(curve):,}, {time_text(curve[max(curve)])} for {max(curve):,}"
        for title, curve in curves.items()
    )
    with styled_figure(7.5, 4.2, alt_text=f"Time over number of elements, {how}. {ends}.") as (figure, axes):
        for index, (title, curve) in enumerate(curves.items()):
            sizes = sorted(curve)
            style = ("o-", "s--", "^:", "D-.", "v-")[index % 5]
            axes.plot(sizes, [curve[n] * 1e6 for n in sizes], style, label=title, markersize=5)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("number of elements (float32)")
        axes.set_ylabel(f"microseconds\n({how})")
        figure.legend(loc="outside upper left", ncols=2)
    return figure
