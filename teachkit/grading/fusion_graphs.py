"""Graphs to plan fusion on, and the best plan by trying every one.

Not modelled: graphs of more than about nine operators; there are 21,147 partitions of nine and 115,975 of ten.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from teachkit.model.fusion import Graph, Kind, Node, Tensor, is_legal, n_launches, traffic_bytes, why_no_kernel


def best_plan(graph: Graph) -> tuple[int, int, list[set[str]]]:
    """``(bytes, launches, groups)`` of a legal partition with the least traffic, then with the fewest launches."""
    legal = (plan for plan in _plans(graph, [], 0) if is_legal(graph, plan))
    costs = ((traffic_bytes(graph, plan), n_launches(graph, plan), plan) for plan in legal)
    return min(costs, key=lambda cost: cost[:2])


def _plans(graph: Graph, groups: list[set[str]], n_placed: int) -> Iterator[list[set[str]]]:
    """Every partition whose groups can each be a kernel; a group that cannot be one never can again, so it is cut."""
    if n_placed == len(graph.nodes):
        yield groups
        return
    name = graph.names[n_placed]
    for index, group in enumerate(groups):
        grown = group | {name}
        if why_no_kernel(graph, grown) is None:
            yield from _plans(graph, [*groups[:index], grown, *groups[index + 1 :]], n_placed + 1)
    yield from _plans(graph, [*groups, {name}], n_placed + 1)


def single() -> Graph:
    """One operator: nothing to fuse."""
    return Graph({"x": Tensor(1000)}, (Node("relu", "pointwise", ("x",), 1000),), ("relu",))


def around_a_matmul(n: int = 4096) -> Graph:
    """Two pointwise operators that feed each other, but also through a matmul: fused, they would wait for it."""
    nodes = (
        Node("scale", "pointwise", ("x",), n),
        Node("matmul", "opaque", ("scale", "w"), n),
        Node("add", "pointwise", ("scale", "matmul"), n),
        Node("relu", "pointwise", ("add",), n),
    )
    return Graph({"x": Tensor(n), "w": Tensor(n)}, nodes, ("relu",))


def first_join_blocks(n: int = 4096) -> Graph:
    """``wide`` may share a kernel with ``narrow`` before it or with ``sum`` after it, not with both; one saves more."""
    nodes = (
        Node("narrow", "pointwise", ("x",), n, 2),
        Node("matmul", "opaque", ("narrow", "w"), n),
        Node("wide", "pointwise", ("narrow",), n),
        Node("sum", "pointwise", ("wide", "matmul"), n),
    )
    return Graph({"x": Tensor(n), "w": Tensor(n)}, nodes, ("sum",))


def best_join_blocks(n: int = 4096) -> Graph:
    """``b`` with ``c`` saves most (6 bytes an element), but keeps ``a`` from ``b`` and ``c`` from ``d`` (4 each)."""
    nodes = (
        Node("a", "pointwise", ("x",), n),
        Node("matmul_a", "opaque", ("a", "w"), n),
        Node("b", "pointwise", ("a", "y"), n),
        Node("matmul_b", "opaque", ("b", "w"), n),
        Node("c", "pointwise", ("b", "y", "matmul_a"), n),
        Node("d", "pointwise", ("c", "matmul_b"), n),
    )
    return Graph({"x": Tensor(n), "y": Tensor(n, 2), "w": Tensor(n)}, nodes, ("c", "d"))


def side_by_side(n: int = 5000) -> Graph:
    """Two operators that do not feed each other but read the same large tensor: one kernel reads it once."""
    nodes = (
        Node("sine", "pointwise", ("x",), n, 2),
        Node("cosine", "pointwise", ("x",), n, 2),
    )
    return Graph({"x": Tensor(n, 4)}, nodes, ("sine", "cosine"))


def softmax(n_rows: int = 64, n_cols: int = 100) -> Graph:
    """Row softmax: each reduction has to end before the next operator reads it."""
    n = n_rows * n_cols
    nodes = (
        Node("row_max", "reduction", ("x",), n_rows),
        Node("shifted", "pointwise", ("x", "row_max"), n),
        Node("exps", "pointwise", ("shifted",), n),
        Node("row_sum", "reduction", ("exps",), n_rows),
        Node("result", "pointwise", ("exps", "row_sum"), n),
    )
    return Graph({"x": Tensor(n)}, nodes, ("result",))


def bias_dropout_residual(n_rows: int = 32, n_cols: int = 48) -> Graph:
    """A transformer block's tail after a matmul, with a mask of one byte an element and a small bias."""
    n = n_rows * n_cols
    nodes = (
        Node("matmul", "opaque", ("x", "w"), n),
        Node("biased", "pointwise", ("matmul", "bias"), n),
        Node("mask", "pointwise", ("noise",), n, 1),
        Node("dropped", "pointwise", ("biased", "mask"), n),
        Node("sum", "pointwise", ("dropped", "residual"), n),
    )
    inputs = {"x": Tensor(n), "w": Tensor(n_cols * n_cols), "bias": Tensor(n_cols), "noise": Tensor(n)}
    return Graph({**inputs, "residual": Tensor(n)}, nodes, ("sum",))


def random_graph(source: random.Random, n_nodes: int) -> Graph:
    """Operators of all three kinds, two sizes and two widths."""
    n, n_rows = source.randrange(1000, 3000), source.randrange(10, 40)
    inputs = {"x": Tensor(n), "y": Tensor(n, source.choice((2, 4)))}
    full, made = ["x", "y"], list[Node]()
    read: set[str] = set()
    for index in range(n_nodes):
        kind: Kind = source.choices(("pointwise", "reduction", "opaque"), (6, 2, 1))[0]
        chosen = tuple(dict.fromkeys(source.choices(full[-4:], k=source.choice((1, 1, 2)))))
        rows = [node.name for node in made if node.kind == "reduction"]
        if rows and kind == "pointwise" and source.random() < 0.3:
            chosen = (*chosen, source.choice(rows))
        size, width = (n_rows, 4) if kind == "reduction" else (n, source.choice((2, 4, 4)))
        node = Node(f"op{index}", kind, chosen, size, width)
        made.append(node)
        read |= set(chosen)
        if kind != "reduction":
            full.append(node.name)
    return Graph(inputs, tuple(made), tuple(node.name for node in made if node.name not in read))
