"""The order of basic blocks in which the lanes of a warp meet again."""

from __future__ import annotations

from collections.abc import Iterable


def execution_order(successors: list[list[int]], start: int = 0) -> list[int]:
    """Blocks that ``start`` reaches, each after all that lead to it, and the blocks of a loop together.

    Strongly connected parts in topological order; inside each, the same again without the edges back to the
    block by which it was entered; of several such blocks, the one that a depth-first walk comes to first.

    Parameters
    ----------
    successors : list of list of int
        By block number.
    """
    order: list[int] = []

    def place(nodes: set[int], entry: int) -> None:
        for first, part in _components(nodes, entry, successors):
            if len(part) == 1:
                order.extend(part)
            else:
                place(part, first)

    place(_reachable(successors, start), start)
    return order


def _reachable(successors: list[list[int]], start: int) -> set[int]:
    seen = {start}
    work = [start]
    while work:
        for successor in successors[work.pop()]:
            if successor not in seen:
                seen.add(successor)
                work.append(successor)
    return seen


def _components(nodes: set[int], entry: int, successors: list[list[int]]) -> list[tuple[int, set[int]]]:
    """Strongly connected parts of ``nodes`` without edges into ``entry``, in topological order (Tarjan 1972).

    Each with the block of it that the walk came to first.
    """
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_nodes: list[int] = []
    is_open: set[int] = set()
    parts: list[tuple[int, set[int]]] = []

    def edges(node: int) -> Iterable[int]:
        return iter([s for s in successors[node] if s in nodes and s != entry])

    for root in (entry, *sorted(nodes)):
        if root in index:
            continue
        stack = [(root, edges(root))]
        index[root] = low[root] = len(index)
        open_nodes.append(root)
        is_open.add(root)
        while stack:
            node, pending = stack[-1]
            successor = next(iter(pending), None)
            if successor is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == index[node]:
                    cut = open_nodes.index(node)
                    parts.append((node, set(open_nodes[cut:])))
                    is_open.difference_update(open_nodes[cut:])
                    del open_nodes[cut:]
            elif successor not in index:
                index[successor] = low[successor] = len(index)
                open_nodes.append(successor)
                is_open.add(successor)
                stack.append((successor, edges(successor)))
            elif successor in is_open:
                low[node] = min(low[node], index[successor])
    return parts[::-1]
