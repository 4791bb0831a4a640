"""Where the operators of a small graph are drawn: shared by the printed figure and the interactive one.

Modelled: columns by depth (an operator stands right of all it reads), rows so that a chain stays on one line.
Not modelled: crossing edges; the graphs of the lessons have a dozen operators at most.
"""

from __future__ import annotations

from teachkit.model.fusion import Graph


def graph_positions(graph: Graph) -> dict[str, tuple[int, int]]:
    """Grid position of every graph input and operator.

    Parameters
    ----------
    graph : the graph to draw.

    Returns
    -------
    dict
        name -> ``(column, row)``, both counted from 0. Inputs stand in column 0 unless their first reader is further
        right; an operator stands one column right of the last operator it reads, or, where it reads inputs only, just
        left of its first reader.

    Examples
    --------
    >>> from teachkit.model.fusion import tanh_gelu_graph
    >>> graph_positions(tanh_gelu_graph(8))["gelu"]
    (7, 0)
    """
    depth = _depths(graph)
    column = _pulled_right(graph, depth)
    row: dict[str, int] = {}
    taken: set[tuple[int, int]] = set()
    main = _longest_path(graph, depth)
    for name in (*main, *(name for name in (*graph.inputs, *graph.names) if name not in main)):
        row[name] = 0 if name in main else _free_row(column[name], taken)
        taken.add((column[name], row[name]))
    return {name: (column[name], row[name]) for name in (*graph.inputs, *graph.names)}


def graph_edges(graph: Graph) -> list[tuple[str, str]]:
    """Every ``(tensor, reader)`` pair once, graph inputs among the tensors, in the readers' order."""
    return [(name, node.name) for node in graph.nodes for name in dict.fromkeys(node.inputs)]


def _depths(graph: Graph) -> dict[str, int]:
    depth = dict.fromkeys(graph.inputs, 0)
    for node in graph.nodes:
        depth[node.name] = 1 + max((depth[name] for name in node.inputs), default=0)
    return depth


def _pulled_right(graph: Graph, depth: dict[str, int]) -> dict[str, int]:
    """Columns: the depths, with whatever reads inputs only moved next to its first reader."""
    column = dict(depth)
    for node in reversed(graph.nodes):
        readers = graph.consumers(node.name)
        if readers and all(name in graph.inputs for name in node.inputs):
            column[node.name] = min(column[reader] for reader in readers) - 1
    for name in graph.inputs:
        readers = graph.consumers(name)
        column[name] = min((column[reader] for reader in readers), default=1) - 1
    return column


def _longest_path(graph: Graph, depth: dict[str, int]) -> list[str]:
    """Names from the deepest operator back to an input, always through the deepest tensor read."""
    name = max(graph.names, key=lambda node: depth[node])
    path = [name]
    while name not in graph.inputs and graph[name].inputs:
        name = max(graph[name].inputs, key=lambda tensor: depth[tensor])
        path.append(name)
    return path


def _free_row(column: int, taken: set[tuple[int, int]]) -> int:
    return next(row for row in range(1, len(taken) + 2) if (column, row) not in taken)
