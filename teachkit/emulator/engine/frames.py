"""Which registers a suspended warp must save: those that will be read and that its frame does not hold yet."""

from __future__ import annotations

from teachkit.emulator.engine.flow import Block, defined, is_barrier


def held_at_end(blocks: list[Block]) -> list[frozenset[str]]:
    """For each block, the registers whose frame slot still equals them at its end.

    A warp that resumes at a block has all that is live there in its frame; a register stays held until it is
    written. So a value that lives across several barriers is saved once. Valid where no lanes are masked off,
    since there a block is entered from its predecessors alone.
    """
    predecessors: list[list[int]] = [[] for _ in blocks]
    for block in blocks:
        last = block.instructions[-1] if block.instructions else None
        if last is None or not is_barrier(last) or last.guard is not None:
            for successor in block.successors:
                predecessors[successor].append(block.index)
    everything = frozenset().union(*(block.live_in for block in blocks))
    written = [frozenset(name for i in block.instructions for name in defined(i)) for block in blocks]
    held = [everything - w for w in written]
    changed = True
    while changed:
        changed = False
        for block in blocks:
            ways = [held[p] for p in predecessors[block.index]]
            if block.is_resume_point:
                ways.append(block.live_in)
            at_start = frozenset.intersection(*ways) if ways and block.index else frozenset()
            at_end = at_start - written[block.index]
            if at_end != held[block.index]:
                held[block.index] = at_end
                changed = True
    return held
