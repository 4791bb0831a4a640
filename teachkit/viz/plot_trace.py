"""Printed figures of a trace: which block and warp has which element, and which lanes were at work at each step.

Modelled: nothing; both draw what the emulator recorded.
Not modelled: time. A step is an instruction of one warp, not a length of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from teachkit.emulator.steps import LANES, Kind, Trace
from teachkit.viz.style import PALETTE, SMALL, CourseFigure, styled_figure

BLOCK_FILLS = ("#cfe6f5", "#f7d9b5", "#ccebe0", "#f7dfec", "#fbf6c4", "#d9d9f3", "#e6e6e6", "#f3c7b1")
_IDLE = "#ffffff"
_ENDED: dict[str, Any] = {"facecolor": "#eeeeee", "edgecolor": "#bbbbbb", "hatch": "//", "linewidth": 0}


def plot_owner_map(
    traces: Mapping[str, Trace], place: str | int, n_elements: int, *, kind: Kind = "store", per_row: int = LANES
) -> CourseFigure:
    """Draw the elements of an argument, each in the colour of the block that touched it.

    Parameters
    ----------
    traces : title -> trace; one panel each.
    place : the argument: its name, or its position among those that are memory.
    n_elements : elements to draw, from the first.
    kind : which accesses count.
    per_row : elements in a row.

    Returns
    -------
    CourseFigure
        Closed. Horizontal axis: element in its row; vertical axis: first element of the row. A box drawn in thick lines
        is one warp's share, with its block (B) and warp (W) written in it; a cross is an element that nobody touched.
    """
    owners = {title: _owners(trace, place, n_elements, kind) for title, trace in traces.items()}
    n_rows = -(-n_elements // per_row)
    told = "; ".join(f"{title}: {_share_text(owner)}" for title, owner in owners.items())
    alt_text = f"Elements 0 to {n_elements - 1} by the block and warp that {_VERBS[kind]} them. {told}."
    size = (4.2 * len(traces) + 0.4, 0.24 * n_rows + 1.2)
    with styled_figure(*size, alt_text=alt_text, n_columns=len(traces)) as (figure, axes):
        for panel, (title, owner) in zip(np.atleast_1d(axes), owners.items(), strict=True):
            panel.set_title(title)
            _draw_owners(panel, owner, n_elements, per_row)
        n_blocks = 1 + max((block for owner in owners.values() for block, _ in owner.values()), default=0)
        keys = [
            Patch(facecolor=BLOCK_FILLS[block % len(BLOCK_FILLS)], edgecolor="#333333", label=f"block {block}")
            for block in range(min(n_blocks, len(BLOCK_FILLS)))
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=min(8, len(keys)))
    return figure


def plot_lanes(traces: Mapping[str, Trace], *, block: int = 0, warp: int = 0) -> CourseFigure:
    """Draw the lanes of one warp over its steps, one panel a trace, one above the other.

    Returns
    -------
    CourseFigure
        Closed. Horizontal axis: steps of the warp, in order; vertical axis: lanes 0 to 31.
    """
    lanes = {title: trace.lanes(block, warp) for title, trace in traces.items()}
    texts = {title: _lanes_text(at_work) for title, at_work in lanes.items()}
    longest = max(len(at_work) for at_work in lanes.values())
    told = "; ".join(f"{title}: {texts[title]}" for title in lanes)
    alt_text = f"Lanes at work in warp {warp} of block {block}, step by step. {told}."
    colours = ListedColormap([_IDLE, PALETTE["blue"]])
    with styled_figure(9.0, 2.4 * len(traces) + 0.5, alt_text=alt_text, n_rows=len(traces)) as (figure, axes):
        for panel, (title, at_work) in zip(np.atleast_1d(axes), lanes.items(), strict=True):
            panel.set_title(f"{title}\n{texts[title]}", loc="left")
            image = at_work.T.astype(int)
            panel.pcolormesh(image, cmap=colours, vmin=0, vmax=1)
            if len(at_work) < longest:
                panel.axvspan(len(at_work), longest, **_ENDED)
            panel.set(xlim=(0, longest), ylim=(LANES, 0), ylabel="lane", yticks=(0.5, 8.5, 16.5, 24.5, 31.5))
            panel.set_yticklabels(("0", "8", "16", "24", "31"))
            panel.grid(visible=False)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        np.atleast_1d(axes)[-1].set_xlabel("step of the warp: its instructions, in order")
        keys = [
            Patch(facecolor=PALETTE["blue"], label="at work"),
            Patch(facecolor=_IDLE, edgecolor="#888888", label="switched off, waiting"),
        ]
        if any(len(at_work) < longest for at_work in lanes.values()):
            keys.append(Patch(**_ENDED, label="the warp has ended"))
        figure.legend(handles=keys, loc="outside upper right", ncols=3)
    return figure


_VERBS = {"load": "read", "store": "write", "atomic": "update"}


def name_of(trace: Trace, place: str | int) -> str:
    """The argument's name, also for its position among the arguments that are memory."""
    return place if isinstance(place, str) else list(trace.sizes)[place]


def _owners(trace: Trace, place: str | int, n_elements: int, kind: Kind) -> dict[int, tuple[int, int]]:
    touched = trace.touched(name_of(trace, place), kind)
    return {element: (block, thread // LANES) for element, block, thread in touched if element < n_elements}


def _share_text(owner: Mapping[int, tuple[int, int]]) -> str:
    n_each: dict[int, int] = {}
    for block, _ in owner.values():
        n_each[block] = n_each.get(block, 0) + 1
    shares = ", ".join(f"block {block} {n}" for block, n in sorted(n_each.items()))
    widest = max((sum(pair == other for other in owner.values()) for pair in set(owner.values())), default=0)
    return f"{shares} elements; up to {widest} elements a warp"


def _draw_owners(panel: Axes, owner: Mapping[int, tuple[int, int]], n_elements: int, per_row: int) -> None:
    n_rows = -(-n_elements // per_row)
    for element in range(n_elements):
        row, column = divmod(element, per_row)
        pair = owner.get(element)
        fill = _IDLE if pair is None else BLOCK_FILLS[pair[0] % len(BLOCK_FILLS)]
        panel.add_patch(Rectangle((column, row), 1, 1, facecolor=fill, edgecolor="#ffffff", linewidth=0.4))
        if pair is None:
            panel.plot([column + 0.2, column + 0.8], [row + 0.2, row + 0.8], color="#888888", linewidth=0.8)
            continue
        for (dx, dy), line in _SIDES.items():
            inside = 0 <= column + dx < per_row
            neighbour = owner.get(element + dx + per_row * dy) if inside else None
            if neighbour != pair:
                (x0, y0), (x1, y1) = line
                panel.plot([column + x0, column + x1], [row + y0, row + y1], color="#222222", linewidth=1.3)
    for pair in dict.fromkeys(owner.values()):
        first = min(element for element, other in owner.items() if other == pair)
        row, column = divmod(first, per_row)
        panel.text(column + 0.4, row + 0.52, f"B{pair[0]} W{pair[1]}", va="center", ha="left", fontsize=SMALL)
    panel.set(xlim=(-0.1, per_row + 0.1), ylim=(n_rows + 0.1, -0.1), xlabel="element in the row")
    panel.set_xticks([0.5, 8.5, 16.5, 24.5, 31.5] if per_row == LANES else [0.5, per_row - 0.5])
    panel.set_xticklabels(["0", "8", "16", "24", "31"] if per_row == LANES else ["0", str(per_row - 1)])
    rows = range(0, n_rows, max(1, n_rows // 8))
    panel.set_yticks([row + 0.5 for row in rows], [str(row * per_row) for row in rows])
    panel.set_ylabel("first element of the row")
    panel.grid(visible=False)


_SIDES = {(-1, 0): ((0, 0), (0, 1)), (1, 0): ((1, 0), (1, 1)), (0, -1): ((0, 0), (1, 0)), (0, 1): ((0, 1), (1, 1))}


def _lanes_text(at_work: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    return f"{len(at_work)} steps, {at_work.sum() / max(len(at_work), 1):.1f} of 32 lanes at work on average"
