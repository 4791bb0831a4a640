"""The order in which a warp visits basic blocks, so that lanes which parted meet again as early as they can."""

from __future__ import annotations

from collections.abc import Sequence


def execution_order(successors: Sequence[Sequence[int]], start: int = 0) -> list[int]:
    """Blocks that ``start`` reaches: each after all that lead to it, back edges aside, and loops in one piece.

    Strongly connected parts in topological order (Kosaraju's algorithm); within a part, a loop, the same again
    from its first block on without the edges back to it.

    Parameters
    ----------
    successors : sequence of sequence of int
        Of each block, the branch target first, so that the text's own order is kept where it can be.
    """
    placed: list[int] = []
    predecessors: dict[int, list[int]] = {}
    for block, following in enumerate(successors):
        for successor in following:
            predecessors.setdefault(successor, []).append(block)

    def place(blocks: set[int], first: int) -> None:
        done = _finished(successors, blocks, first)
        left = set(done)
        for root in reversed(done):
            if root not in left:
                continue
            part, work = {root}, [root]
            while work:
                block = work.pop()
                for previous in predecessors.get(block, ()) if block != first else ():
                    if previous in left and previous not in part:
                        part.add(previous)
                        work.append(previous)
            left -= part
            if len(part) == 1:
                placed.append(root)
            else:
                place(part, root)

    place(set(range(len(successors))), start)
    return placed


def _finished(successors: Sequence[Sequence[int]], blocks: set[int], first: int) -> list[int]:
    """Blocks in the order in which a depth-first walk from ``first`` is done with them."""
    seen, done = {first}, []
    stack = [(first, iter(successors[first]))]
    while stack:
        block, pending = stack[-1]
        following = next((s for s in pending if s in blocks and s not in seen), None)
        if following is None:
            done.append(block)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(successors[following])))
    return done
