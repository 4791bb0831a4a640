from __future__ import annotations

import pytest

from teachkit.model.fusion import Graph, Node, Tensor, tanh_gelu_graph
from teachkit.viz.layout import graph_edges, graph_positions

DIAMOND = Graph(
    {"a": Tensor(8), "b": Tensor(8)},
    (
        Node("left", "pointwise", ("a",), 8),
        Node("right", "pointwise", ("a", "b"), 8),
        Node("sum", "pointwise", ("left", "right"), 8),
        Node("late", "pointwise", ("sum", "b"), 8),
    ),
    ("late",),
)


@pytest.mark.parametrize("graph", [tanh_gelu_graph(8), DIAMOND])
def test_an_operator_stands_behind_all_it_reads_and_no_two_share_a_place(graph: Graph) -> None:
    places = graph_positions(graph)
    assert len(set(places.values())) == len(places) == len(graph.inputs) + len(graph.nodes)
    assert all(places[tensor][0] < places[reader][0] for tensor, reader in graph_edges(graph))


def test_the_chain_of_tanh_gelu_stays_on_one_line() -> None:
    places = graph_positions(tanh_gelu_graph(8))
    off_line = [name for name, (_, row) in places.items() if row]
    assert off_line == ["half_x"]
    assert places["half_x"][0] == places["gelu"][0] - 1  # next to its reader, not far up beside x


def test_an_input_read_twice_by_one_operator_is_one_edge() -> None:
    graph = Graph({"x": Tensor(8)}, (Node("square", "pointwise", ("x", "x"), 8),), ("square",))
    assert graph_edges(graph) == [("x", "square")]
