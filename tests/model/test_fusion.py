"""Traffic and legality of groups, by hand and against an independent definition."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teachkit.errors import FusionGraphError
from teachkit.grading import fusion_graphs
from teachkit.model import fusion
from teachkit.model.fusion import Graph, Node, Tensor

CHAIN = fusion.tanh_gelu_graph(1000)


def test_tanh_gelu_is_eight_launches_and_eighteen_n() -> None:
    alone = fusion.eager(CHAIN)
    assert fusion.n_launches(CHAIN, alone) == 8
    assert fusion.traffic_bytes(CHAIN, alone) == 18 * 1000 * 4
    together = [set(CHAIN.names)]
    assert fusion.is_legal(CHAIN, together)
    assert fusion.n_launches(CHAIN, together) == 1
    assert fusion.traffic_bytes(CHAIN, together) == 2 * 1000 * 4


def test_reads_and_writes_of_a_group() -> None:
    group = {"cube", "scaled", "inner"}
    assert fusion.group_reads(CHAIN, group) == ("x",)
    assert fusion.group_writes(CHAIN, group) == ("inner",)
    assert fusion.group_bytes(CHAIN, group) == (4000, 4000)


def test_a_value_wanted_twice_is_read_once_and_written_once() -> None:
    nodes = (
        Node("a", "pointwise", ("x",), 10),
        Node("b", "pointwise", ("a", "a"), 10),
        Node("c", "pointwise", ("a",), 10),
    )
    graph = Graph({"x": Tensor(10)}, nodes, ("b", "c"))
    assert fusion.traffic_bytes(graph, fusion.eager(graph)) == 6 * 40
    assert fusion.traffic_bytes(graph, [{"a"}, {"b", "c"}]) == 5 * 40


def test_an_output_is_written_even_if_it_is_read_inside() -> None:
    nodes = (Node("a", "pointwise", ("x",), 10), Node("b", "pointwise", ("a",), 10))
    graph = Graph({"x": Tensor(10)}, nodes, ("a", "b"))
    assert fusion.traffic_bytes(graph, [{"a", "b"}]) == 3 * 40


def test_widths_and_broadcasts() -> None:
    nodes = (Node("biased", "pointwise", ("x", "bias"), 1000, 2),)
    graph = Graph({"x": Tensor(1000, 2), "bias": Tensor(10)}, nodes, ("biased",))
    assert fusion.traffic_bytes(graph, [{"biased"}]) == 2000 + 40 + 2000


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([{"cube", "inner"}, set(CHAIN.names) - {"cube", "inner"}], "some groups wait for each other"),
        ([{"cube", "inner"}, set(CHAIN.names) - {"cube", "inner"}], "('scaled' reads 'cube', 'inner' reads 'scaled')"),
        ([set(CHAIN.names) - {"gelu"}], "'gelu' is in no group"),
        ([set(CHAIN.names), {"gelu"}], "'gelu' is in more than one group"),
        ([set(CHAIN.names), {"relu"}], "'relu' is no operator of the graph"),
        ([set(CHAIN.names), set()], "a group is empty"),
    ],
)
def test_illegal_plans_of_the_chain(plan: list[set[str]], message: str) -> None:
    assert message in (fusion.why_illegal(CHAIN, plan) or "")


def test_kinds_and_sizes() -> None:
    softmax = fusion_graphs.softmax()
    assert "a reduction that is finished only" in (fusion.why_no_kernel(softmax, {"row_sum", "result"}) or "")
    assert fusion.why_no_kernel(softmax, {"exps", "row_sum"}) is None
    block = fusion_graphs.bias_dropout_residual()
    assert "opaque" in (fusion.why_no_kernel(block, {"matmul", "biased"}) or "")
    nodes = (Node("a", "pointwise", ("x",), 10), Node("b", "pointwise", ("y",), 20))
    graph = Graph({"x": Tensor(10), "y": Tensor(20)}, nodes, ("a", "b"))
    assert "different sizes" in (fusion.why_no_kernel(graph, {"a", "b"}) or "")


def test_traffic_needs_every_operator_once() -> None:
    with pytest.raises(FusionGraphError, match="exactly one group: 'cube' is in no group"):
        fusion.traffic_bytes(CHAIN, [{"scaled"}])


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ((Node("a", "pointwise", ("b",), 1),), ("a",), "got 'b' in 'a'"),
        ((Node("x", "pointwise", ("x",), 1),), ("x",), "'x' twice"),
        ((Node("a", "view", ("x",), 1),), ("a",), "got 'view'"),  # type: ignore[arg-type]
        ((Node("a", "pointwise", ("x",), 1),), ("b",), "expected outputs to name nodes, got 'b'"),
        ((Node("a", "pointwise", ("x",), 1),), (), "nobody reads the result of"),
    ],
)
def test_graphs_that_make_no_sense(nodes: tuple[Node, ...], outputs: tuple[str, ...], message: str) -> None:
    with pytest.raises(FusionGraphError, match=message):
        Graph({"x": Tensor(1)}, nodes, outputs)


def every_partition(names: tuple[str, ...]) -> list[list[set[str]]]:
    """Independent of the library: the first name's companions are any subset of the rest."""
    if not names:
        return [[]]
    first, rest = names[0], names[1:]
    plans = []
    for bits in range(1 << len(rest)):
        mates = {name for i, name in enumerate(rest) if bits >> i & 1}
        others = tuple(name for name in rest if name not in mates)
        plans += [[{first, *mates}, *plan] for plan in every_partition(others)]
    return plans


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_brute_force_misses_no_partition(seed: int, n_nodes: int) -> None:
    graph = fusion_graphs.random_graph(random.Random(seed), n_nodes)
    legal = [plan for plan in every_partition(graph.names) if fusion.is_legal(graph, plan)]
    costs = [(fusion.traffic_bytes(graph, plan), fusion.n_launches(graph, plan)) for plan in legal]
    least_bytes, fewest, plan = fusion_graphs.best_plan(graph)
    assert (least_bytes, fewest) == min(costs)
    assert fusion.is_legal(graph, plan)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_eager_is_legal_and_the_best_plan_moves_no_more(seed: int, n_nodes: int) -> None:
    graph = fusion_graphs.random_graph(random.Random(seed), n_nodes)
    alone = fusion.eager(graph)
    assert fusion.is_legal(graph, alone)
    assert fusion_graphs.best_plan(graph)[0] <= fusion.traffic_bytes(graph, alone)


def test_the_first_join_can_block_a_better_one() -> None:
    graph = fusion_graphs.first_join_blocks()
    first = [{"narrow", "wide"}, {"matmul"}, {"sum"}]
    assert fusion.is_legal(graph, first)
    assert fusion_graphs.best_plan(graph)[0] < fusion.traffic_bytes(graph, first)
    assert not fusion.is_legal(graph, [{"narrow", "wide", "sum"}, {"matmul"}])
