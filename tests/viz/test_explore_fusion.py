"""The interactive figure without a browser: what Python answers to the groupings that the browser sends."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from teachkit.model.fusion import Graph, Node, Tensor, eager, n_launches, tanh_gelu_graph, traffic_bytes
from teachkit.viz.explore_fusion import FusionExplorer, explore_fusion
from teachkit.viz.fusion_report import bytes_text, launches_text, report_plan

N = 2**20
GRAPH = tanh_gelu_graph(N)
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def send(figure: FusionExplorer, groups: Sequence[Collection[str]], request_id: int = 1) -> dict[str, Any]:
    """What the browser does when the learner changes the grouping, and the answer."""
    figure.request = {"id": request_id, "groups": [list(group) for group in groups]}
    return json.loads(json.dumps(figure.report))  # what reaches the browser is JSON


@pytest.mark.parametrize(
    ("groups", "launches", "n_elements"),
    [
        (eager(GRAPH), 8, 18),
        ([set(GRAPH.names)], 1, 2),
        ([{"cube", "scaled"}, *({name} for name in GRAPH.names[2:])], 7, 16),
        ([{"half_x"}, set(GRAPH.names) - {"half_x"}], 2, 5),
    ],
)
def test_the_answer_is_that_of_the_fusion_model(
    groups: Sequence[Collection[str]], launches: int, n_elements: int
) -> None:
    report = send(explore_fusion(GRAPH, groups=[set(GRAPH.names)]), groups)
    assert report["id"] == 1
    assert report["legal"]
    assert n_launches(GRAPH, groups) == launches
    assert traffic_bytes(GRAPH, groups) == 4 * N * n_elements
    assert report["launches_text"] == launches_text(launches)
    assert report["bytes_text"] == bytes_text(4 * N * n_elements, n_elements)
    assert len(report["kernels"]) == launches
    assert report["share"] == pytest.approx(n_elements / 18)
    assert report["least_share"] == pytest.approx(2 / 18)
    assert report["ends_text"] == ["in one kernel: 2N", "every operator alone: 18N"]


def test_a_grouping_that_cannot_run_is_explained() -> None:
    others = [{name} for name in GRAPH.names if name not in ("cube", "inner")]
    figure = explore_fusion(GRAPH)
    report = send(figure, [{"cube", "inner"}, *others])
    assert not report["legal"]
    assert "wait for each other" in report["reason"]
    assert "'scaled' reads 'cube', 'inner' reads 'scaled'" in report["reason"]
    assert send(figure, eager(GRAPH), 2)["legal"]


def test_a_reduction_in_the_middle_of_a_kernel_is_explained() -> None:
    nodes = (Node("total", "reduction", ("x",), 1), Node("share", "pointwise", ("x", "total"), 8))
    figure = explore_fusion(Graph({"x": Tensor(8)}, nodes, ("share",)))
    report = send(figure, [{"total", "share"}])
    assert "reduction" in report["reason"]
    assert report["ends_text"][0].startswith("read and write once:"), "nothing can be in one kernel here"


@pytest.mark.parametrize("groups", [[], [["cube"]], [["cube", "cube"]], [["no such operator"]]])
def test_nonsense_is_answered_with_the_grouping_there_was(groups: list[list[str]]) -> None:
    figure = explore_fusion(GRAPH)
    before = figure.groups
    report = send(figure, groups, 7)
    assert report["id"] == 7
    assert [tuple(group) for group in report["groups"]] == list(before) == [(name,) for name in GRAPH.names]


def test_the_time_shown_is_the_modelled_one_and_says_so() -> None:
    gpus = ("V100-SXM2-16GB", "H100-SXM5-80GB")
    report = explore_fusion(GRAPH, gpus=gpus).report
    assert [row[0] for row in report["times"]] == list(gpus)
    assert "modelled" in report["time_caption"]
    v100, h100 = report_plan(GRAPH, eager(GRAPH), gpus).seconds.values()
    assert v100 > h100 > 0


def test_without_a_running_kernel_a_table_is_shown() -> None:
    data, _ = explore_fusion(GRAPH)._repr_mimebundle_()
    assert {"text/plain", "text/html", WIDGET_VIEW} == set(data)
    for text in ("8 launches", "75.5 MB (18N elements)", "1 launch", "8.4 MB (2N elements)", "modelled"):
        assert text in data["text/html"]


def test_the_figure_fetches_nothing_from_anywhere() -> None:
    figure = explore_fusion(GRAPH)
    for text in (figure._esm, figure._css):
        assert "import " not in str(text).replace("http://www.w3.org/2000/svg", "")
        assert "http" not in str(text).replace("http://www.w3.org/2000/svg", "")
        assert "fetch(" not in str(text)
