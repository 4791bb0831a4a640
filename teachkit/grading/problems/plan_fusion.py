"""``plan_fusion(graph)``: the legal partition of a graph of operators that moves the fewest bytes."""

from __future__ import annotations

import random
from typing import Any

from teachkit.grading import fusion_graphs
from teachkit.grading.data_problem import DataProblem
from teachkit.grading.problem import Case, Failure, RubricItem
from teachkit.model.fusion import Graph, n_launches, tanh_gelu_graph, traffic_bytes, why_illegal

RUBRIC = (
    RubricItem(
        "correct",
        1,
        "every operator in exactly one group, and every group one kernel that can run",
        (
            "is_legal(graph, plan) says whether a plan can run, why_illegal(graph, plan) says why not.",
            "two groups may each be fine and still wait for each other: data must not leave a group and come back.",
            "make plans in any way you like, then keep only those for which is_legal is true.",
        ),
    ),
    RubricItem(
        "budget",
        2,
        "the fewest bytes any legal plan moves, and among those the fewest launches",
        (
            "print traffic_bytes of your plan and of a plan you group by hand on a graph of five operators.",
            "a join can block a better group later: joining whatever may be joined does not do, nor always making the "
            "join that saves most. Compare whole plans.",
            "there are only 4,140 partitions of 8 operators: make them all, one operator after another, each in every "
            "group so far or alone, and take the best legal one.",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "one operator; neighbours of a matmul; a reduction; operators that share nothing but an input",
        (
            "which graphs did your plan fail on? Draw one and mark what each group reads and writes.",
            "two operators need not feed each other to share a kernel: one that reads the same tensor is enough.",
            "do not grow groups along edges only, and let the model decide what may not be fused.",
        ),
    ),
)


def make_cases(seed: int) -> list[Case]:
    """The running example and fresh random graphs, then one graph for every trap."""
    source = random.Random(seed)
    graphs = [fusion_graphs.random_graph(source, n_nodes) for n_nodes in (4, 5, 6, 6, 7, 7)]
    cases = [Case("correct", "the tanh-GELU chain", (tanh_gelu_graph(source.randrange(1000, 9000)),))]
    cases.append(Case("correct", "two joins of which one can be made", (fusion_graphs.first_join_blocks(),)))
    cases.append(Case("correct", "three joins of which the best blocks two", (fusion_graphs.best_join_blocks(),)))
    cases += [Case("correct", f"a random graph of {len(graph.nodes)}", (graph,)) for graph in graphs]
    traps = {
        "one operator": fusion_graphs.single(),
        "around a matmul": fusion_graphs.around_a_matmul(source.randrange(100, 9000)),
        "side by side": fusion_graphs.side_by_side(source.randrange(100, 9000)),
        "softmax": fusion_graphs.softmax(source.randrange(10, 90)),
        "bias, dropout, residual": fusion_graphs.bias_dropout_residual(),
    }
    return cases + [Case("edge cases", label, (graph,)) for label, graph in traps.items()]


def why_wrong(case: Case, answer: Any) -> list[Failure]:
    """Illegal plans cost the case's item; a legal plan that moves too much costs the budget (or the edge case)."""
    graph: Graph = case.args[0]
    if not isinstance(answer, list) or not all(isinstance(group, list) for group in answer):
        return [Failure(case.item, f"expected a list of sets of operator names, got {answer!r}")]
    if not all(isinstance(name, str) for group in answer for name in group):
        return [Failure(case.item, f"expected operator names (strings) in the groups, got {answer!r}")]
    if any(len(set(group)) < len(group) for group in answer):
        return [Failure(case.item, f"an operator is in one group twice: {answer!r}")]
    if why := why_illegal(graph, answer):
        return [Failure(case.item, f"illegal plan {answer}: {why}")]
    least_bytes, fewest, _ = fusion_graphs.best_plan(graph)
    cost_item = "budget" if case.item == "correct" else case.item
    got_bytes, got_launches = traffic_bytes(graph, answer), n_launches(graph, answer)
    if got_bytes > least_bytes:
        what = f"bytes moved: {got_bytes:,}, the best legal plan moves {least_bytes:,}"
    elif got_launches > fewest:
        what = f"launches: {got_launches}, a plan with the same traffic has {fewest}"
    else:
        return []
    return [Failure(cost_item, f"{what}\nplan {answer}")]


def show(case: Case) -> str:
    """The graph, one operator a line."""
    graph: Graph = case.args[0]
    lines = [f"input: {case.label}"]
    lines += [f"  {name}: {tensor.n_elements:,} x {tensor.dtype_bytes} bytes" for name, tensor in graph.inputs.items()]
    for node in graph.nodes:
        size = f"{node.n_elements:,} x {node.dtype_bytes} bytes"
        lines.append(f"  {node.name} = {node.kind}({', '.join(node.inputs)}): {size}")
    return "\n".join([*lines, f"  outputs: {', '.join(graph.outputs)}"])


PROBLEM = DataProblem("plan_fusion", "40_fusion_by_hand", RUBRIC, make_cases, why_wrong, show)
