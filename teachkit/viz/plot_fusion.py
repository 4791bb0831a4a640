"""Printed figures of operator fusion: the bytes each operator moves, and a graph cut into kernels.

Modelled: nothing here; the waterfall draws counted bytes, the graph what `teachkit.viz.fusion_report` reports.
Not modelled: time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from teachkit.model.fusion import Graph, Partition
from teachkit.viz.fusion_report import bytes_text, launches_text, report_plan
from teachkit.viz.layout import graph_edges, graph_positions
from teachkit.viz.style import PALETTE, SMALL, styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from teachkit.measure.report import Profile

_BOX_WIDTH, _BOX_HEIGHT, _STEP_X, _STEP_Y = 1.8, 0.72, 2.1, 1.0
_BAR_STYLES: dict[str, dict[str, Any]] = {
    "read": {"color": PALETTE["blue"]},
    "written": {"color": PALETTE["orange"], "hatch": "///", "edgecolor": "white", "linewidth": 0},
}
_Row = tuple[str, int, int, int, bool]
_FILLS = ("#cfe6f5", "#ccebe0", "#f7dfec", "#fbf6c4")


def plot_traffic_waterfall(
    profiles: Mapping[str, Profile], *, labels: Mapping[str, Sequence[str]] | None = None, element_bytes: int = 0
) -> Figure:
    """Bytes moved by each kernel, one after another, one block of rows a profile.

    Parameters
    ----------
    profiles : title -> what `profile` recorded.
    labels : title -> one label a kernel; the kernels' names where missing.
    element_bytes : size of one whole tensor, bytes; where given, totals are also shown as a multiple N of it.

    Returns
    -------
    matplotlib.figure.Figure
        Closed. Rows: kernels in launch order and a total for each profile. Horizontal axis: DRAM bytes, in MB (10^6).
    """
    n_rows = sum(len(prof.kernels) + 1 for prof in profiles.values())
    totals = [f"{launches_text(prof.n_launches)}, {_bytes_of(prof, element_bytes)}" for prof in profiles.values()]
    named = "; ".join(f"{title}: {total}" for title, total in zip(profiles, totals, strict=True))
    alt_text = f"Waterfall of memory traffic. {named}."
    with styled_figure(8.0, 0.38 * n_rows + 1.0, alt_text=alt_text) as (figure, axes):
        draw_waterfall(axes, profiles, labels=labels, element_bytes=element_bytes)
    return figure


def draw_waterfall(
    axes: Axes,
    profiles: Mapping[str, Profile],
    *,
    labels: Mapping[str, Sequence[str]] | None = None,
    element_bytes: int = 0,
) -> None:
    """Draw the waterfall of :func:`plot_traffic_waterfall` into one panel of a larger figure."""
    rows = [row for title, prof in profiles.items() for row in _waterfall_rows(title, prof, (labels or {}).get(title))]
    totals = iter(profiles.values())
    for y, row in enumerate(rows):
        _draw_bar(axes, y, row)
        end_mb = (row[1] + row[2] + row[3]) / 1e6
        if row[4]:
            text = "  " + _bytes_of(next(totals), element_bytes)
            axes.text(end_mb, y, text, va="center", ha="left", weight="bold")
        elif not rows[y + 1][4]:
            axes.plot([end_mb, end_mb], [y, y + 1], color="#777777", linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if row[4] else "normal")
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.75 * max(row[1] + row[2] + row[3] for row in rows) / 1e6)
    axes.set_xlabel("bytes between memory (DRAM) and the chip, MB")
    handles = [axes.barh(0, 0, **style, label=label) for label, style in _BAR_STYLES.items()]
    axes.legend(handles=handles, loc="upper right")


def plot_fusion_graph(
    graph: Graph, partitions: Mapping[str, Partition], *, labels: Mapping[str, str] | None = None
) -> Figure:
    """Draw the graph once a partition: boxes of one colour and number are one kernel.

    Parameters
    ----------
    graph : the graph of operators.
    partitions : title -> grouping of its operators into kernels.
    labels : operator name -> what it computes, shown in its box.

    Returns
    -------
    matplotlib.figure.Figure
        Closed. A solid orange arrow is a tensor that goes through memory, a dashed blue one stays in registers.
    """
    plans = {title: report_plan(graph, partition, gpus=()) for title, partition in partitions.items()}
    costs = {
        title: f"{launches_text(plan.n_launches)}, {bytes_text(plan.n_bytes, plan.n_elements)}"
        for title, plan in plans.items()
    }
    alt_text = (
        f"Graph of {len(graph.nodes)} operators. " + "; ".join(f"{title}: {costs[title]}" for title in plans) + "."
    )
    depth = 1 + max(column for column, _ in graph_positions(graph).values())
    size = (4.0 * len(plans), 0.72 * depth + 1.2)
    with styled_figure(*size, alt_text=alt_text, n_columns=len(plans)) as (figure, axes):
        for panel, (title, plan) in zip(axes if len(plans) > 1 else [axes], plans.items(), strict=True):
            panel.set_title(f"{title}\n{costs[title]}")
            _draw_graph(panel, graph, plan.groups, labels or {})
        keys = [Line2D([], [], **_arrow_style(inside)) for inside in (False, True)]
        figure.legend(keys, ["goes through memory", "stays in registers"], loc="outside lower center", ncols=2)
    return figure


def _waterfall_rows(title: str, prof: Profile, labels: Sequence[str] | None) -> list[_Row]:
    """``(label, start_bytes, read_bytes, written_bytes, is_total)`` of each kernel, then of their sum."""
    rows, start = [], 0
    for index, kernel in enumerate(prof.kernels):
        counters = kernel.counters
        label = labels[index] if labels else kernel.name
        rows.append((label, start, counters.dram_read_bytes, counters.dram_write_bytes, False))
        start += counters.dram_bytes
    total = (f"{title}: {launches_text(prof.n_launches)}", 0, prof.total.dram_read_bytes, prof.total.dram_write_bytes)
    return [*rows, (*total, True)]


def _bytes_of(prof: Profile, element_bytes: int) -> str:
    return bytes_text(prof.dram_bytes, prof.dram_bytes / element_bytes if element_bytes else None)


def _draw_bar(axes: Axes, y: int, row: _Row) -> None:
    _, start, n_read_bytes, n_written_bytes, is_total = row
    height = 0.85 if is_total else 0.6
    axes.barh(y, n_read_bytes / 1e6, left=start / 1e6, height=height, zorder=2, **_BAR_STYLES["read"])
    left = (start + n_read_bytes) / 1e6
    axes.barh(y, n_written_bytes / 1e6, left=left, height=height, zorder=2, **_BAR_STYLES["written"])


def _draw_graph(panel: Axes, graph: Graph, groups: Sequence[Sequence[str]], labels: Mapping[str, str]) -> None:
    places = {name: (row * _STEP_X, -column * _STEP_Y) for name, (column, row) in graph_positions(graph).items()}
    home = {name: index for index, group in enumerate(groups) for name in group}
    shared = [index for index, group in enumerate(groups) if len(group) > 1]
    for tensor, reader in graph_edges(graph):
        _draw_edge(panel, places[tensor], places[reader], inside=home.get(tensor) == home[reader])
    for name in graph.outputs:
        x, y = places[name]
        _arrow(panel, (x, y - _BOX_HEIGHT / 2), (x, y - 0.9), inside=False)
    for name, (x, y) in places.items():
        fill = "#f2f2f2" if name in graph.inputs else "white"
        if name in home and home[name] in shared:
            fill = _FILLS[shared.index(home[name]) % len(_FILLS)]
        corner = (x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2)
        panel.add_patch(_box(corner, fill))
        text = f"{name} (in memory)" if name in graph.inputs else f"{name}\n{labels.get(name, graph[name].kind)}"
        panel.text(corner[0] + 0.08, y, text, va="center", ha="left", fontsize=SMALL, zorder=4)
        if name in home:
            number = f"K{home[name] + 1}"
            style: dict[str, Any] = {"va": "center", "ha": "right", "fontsize": SMALL, "zorder": 4}
            panel.text(corner[0] + _BOX_WIDTH - 0.07, y + 0.16, number, **style)
    rightmost, lowest = max(x for x, _ in places.values()), min(y for _, y in places.values())
    panel.set_xlim(-1.5, rightmost + 1.0)
    panel.set_ylim(lowest - 1.0, 0.4)
    panel.set_axis_off()


def _box(corner: tuple[float, float], fill: str) -> FancyBboxPatch:
    style = "round,pad=0,rounding_size=0.06"
    return FancyBboxPatch(
        corner, _BOX_WIDTH, _BOX_HEIGHT, boxstyle=style, facecolor=fill, edgecolor="#333333", zorder=3
    )


def _draw_edge(panel: Axes, start: tuple[float, float], end: tuple[float, float], *, inside: bool) -> None:
    (x0, y0), (x1, y1) = start, end
    if x0 == x1 and y0 - y1 <= _STEP_Y:
        _arrow(panel, (x0, y0 - _BOX_HEIGHT / 2), (x1, y1 + _BOX_HEIGHT / 2), inside=inside)
    elif x0 == x1:
        side = x0 - _BOX_WIDTH / 2
        _arrow(panel, (side, y0), (side, y1), inside=inside, style="arc3,rad=0.45")
    elif x1 > x0:
        _arrow(
            panel,
            (x0 + _BOX_WIDTH / 2, y0),
            (x1, y1 + _BOX_HEIGHT / 2),
            inside=inside,
            style="angle,angleA=0,angleB=90,rad=12",
        )
    else:
        _arrow(
            panel,
            (x0, y0 - _BOX_HEIGHT / 2),
            (x1 + _BOX_WIDTH / 2, y1),
            inside=inside,
            style="angle,angleA=90,angleB=0,rad=12",
        )


def _arrow(
    panel: Axes, start: tuple[float, float], end: tuple[float, float], *, inside: bool, style: str = "arc3"
) -> None:
    panel.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "connectionstyle": style,
            "shrinkA": 0,
            "shrinkB": 0,
            **_arrow_style(inside),
        },
    )


def _arrow_style(inside: bool) -> dict[str, Any]:
    if inside:
        return {"color": PALETTE["blue"], "linestyle": (0, (3, 2)), "linewidth": 1.4}
    return {"color": PALETTE["vermilion"], "linestyle": "solid", "linewidth": 2.0}
