"""Tries every partition one operator at a time, and drops a branch as soon as a group can be no kernel."""

from teachkit.model.fusion import is_legal, n_launches, traffic_bytes, why_no_kernel


def plan_fusion(graph):
    best = None

    def grow(groups, names):
        nonlocal best
        if not names:
            if is_legal(graph, groups):
                cost = (traffic_bytes(graph, groups), n_launches(graph, groups))
                if best is None or cost < best[0]:
                    best = (cost, [frozenset(group) for group in groups])
            return
        for index, group in enumerate(groups):
            if why_no_kernel(graph, group | {names[0]}) is None:
                grow([*groups[:index], group | {names[0]}, *groups[index + 1 :]], names[1:])
        grow([*groups, {names[0]}], names[1:])

    grow([], graph.names)
    return best[1]
