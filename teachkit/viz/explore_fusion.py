"""The interactive figure of operator fusion: group operators into kernels, see launches, bytes and modelled time.

Modelled: what `teachkit.viz.fusion_report` reports.
Not modelled: see there.

The browser draws and edits the grouping and computes no number: it sends ``{id, groups}``, Python answers with the
report of that ``id``, and until the answer arrives the figure says that it waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from teachkit.errors import FusionGraphError
from teachkit.model.fusion import Graph, eager
from teachkit.viz.fusion_report import (
    DEFAULT_GPUS,
    PlanReport,
    bytes_text,
    launches_text,
    report_plan,
    seconds_text,
)
from teachkit.viz.html_table import html_table
from teachkit.viz.layout import graph_edges, graph_positions
from teachkit.viz.script import FOLDER, script


class FusionExplorer(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget ships no types
    """The widget behind :func:`explore_fusion`; `groups` and `plan` follow what the learner does."""

    _esm = script("elements.js", "svg.js", "explore_fusion.js")
    _css = FOLDER / "explore_fusion.css"
    picture = traitlets.Dict().tag(sync=True)
    request = traitlets.Dict().tag(sync=True)
    report = traitlets.Dict().tag(sync=True)

    def __init__(
        self, graph: Graph, *, groups: Sequence[Collection[str]], labels: Mapping[str, str], gpus: Sequence[str]
    ) -> None:
        self._graph, self._gpus, self._labels = graph, tuple(gpus), dict(labels)
        self.plan: PlanReport = report_plan(graph, groups, self._gpus)
        self._ends = (report_plan(graph, [set(graph.names)], ()), report_plan(graph, eager(graph), ()))
        super().__init__(picture=_picture(graph, labels), report=_to_report(self.plan, self._ends, 0))

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The grouping shown now, kernels in running order."""
        return self.plan.groups

    @traitlets.observe("request")
    def _answer(self, change: dict[str, Any]) -> None:
        request = change["new"]
        with contextlib.suppress(FusionGraphError):  # a grouping the figure cannot make: answer with the one it had
            self.plan = report_plan(self._graph, request["groups"], self._gpus)
        self.report = _to_report(self.plan, self._ends, request["id"])

    def _repr_mimebundle_(self, **options: Any) -> Any:
        static = {"text/plain": _fallback_text(self.plan), "text/html": _fallback_html(self._graph, self._gpus)}
        data, metadata = super()._repr_mimebundle_(**options)
        return static | {name: value for name, value in data.items() if name not in static}, metadata


def explore_fusion(
    graph: Graph,
    *,
    labels: Mapping[str, str] | None = None,
    groups: Sequence[Collection[str]] | None = None,
    gpus: Sequence[str] = DEFAULT_GPUS,
) -> FusionExplorer:
    """Show `graph` and let the learner group its operators into kernels.

    Parameters
    ----------
    graph : the graph of operators.
    labels : operator name -> what it computes, shown in its box; the operator's kind where missing.
    groups : the grouping to begin with; every operator alone (eager) if left out.
    gpus : names of GPUs in the hardware registry whose modelled time is shown.

    Returns
    -------
    FusionExplorer
        A Jupyter widget. Where widgets are not available (a page on the web) a table is shown instead.
    """
    start = eager(graph) if groups is None else groups
    return FusionExplorer(graph, groups=start, labels=labels or {}, gpus=gpus)


def _picture(graph: Graph, labels: Mapping[str, str]) -> dict[str, Any]:
    positions = graph_positions(graph)
    return {
        "title": f"Group {len(graph.nodes)} operators into kernels",
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "nodes": [{"name": node.name, "label": labels.get(node.name, node.kind)} for node in graph.nodes],
        "edges": [list(edge) for edge in graph_edges(graph)],
        "places": {name: {"column": column, "row": row} for name, (column, row) in positions.items()},
    }


def _to_report(plan: PlanReport, ends: tuple[PlanReport, PlanReport], request_id: int) -> dict[str, Any]:
    """What the browser shows; ``ends`` are the plans with all operators in one kernel and with every one alone."""
    least, most = ends
    least_title, most_title = (
        ("in one kernel" if least.reason is None else "read and write once"),
        "every operator alone",
    )
    return {
        "id": request_id,
        "groups": [list(group) for group in plan.groups],
        "legal": plan.reason is None,
        "reason": plan.reason or "",
        "launches_text": launches_text(plan.n_launches),
        "bytes_text": bytes_text(plan.n_bytes, plan.n_elements),
        "share": plan.n_bytes / most.n_bytes,
        "least_share": least.n_bytes / most.n_bytes,
        "ends_text": [f"{least_title}: {_short(least)}", f"{most_title}: {_short(most)}"],
        "time_caption": "Time (modelled, not measured)",
        "time_head": ["GPU", "time"],
        "times": [[gpu, seconds_text(seconds)] for gpu, seconds in plan.seconds.items()],
        "kernel_head": ["kernel", "reads", "writes"],
        "kernels": [
            [f"K{index}: {', '.join(group)}", bytes_text(n_read_bytes), bytes_text(n_written_bytes)]
            for index, (group, (n_read_bytes, n_written_bytes)) in enumerate(
                zip(plan.groups, plan.kernel_bytes, strict=True), 1
            )
        ],
    }


def _short(plan: PlanReport) -> str:
    return bytes_text(plan.n_bytes) if plan.n_elements is None else f"{plan.n_elements:g}N"


def _fallback_text(plan: PlanReport) -> str:
    return f"{launches_text(plan.n_launches)}, {bytes_text(plan.n_bytes, plan.n_elements)} (interactive in JupyterLab)"


def _fallback_html(graph: Graph, gpus: Sequence[str]) -> str:
    """A table of the two ends of the range, for readers without a running kernel."""
    plans = {"every operator alone (eager)": eager(graph), "all in one kernel": [frozenset(graph.names)]}
    rows = []
    for title, partition in plans.items():
        plan = report_plan(graph, partition, gpus)
        cells = [title, launches_text(plan.n_launches), bytes_text(plan.n_bytes, plan.n_elements)]
        cells += (
            [seconds_text(plan.seconds[gpu]) for gpu in gpus] if plan.reason is None else ["cannot run"] * len(gpus)
        )
        rows.append(cells)
    head = ["grouping", "launches", "bytes", *gpus]
    return (
        "<p>This figure is interactive in JupyterLab while its kernel runs. Its two ends, with modelled times:</p>"
        + html_table(head, rows, words=[0])
    )
