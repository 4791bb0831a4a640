"""Joins neighbours as soon as that is legal; the first join can block a better one."""

from teachkit.model.fusion import is_legal

ITEM = "budget"
REASON = "the best legal plan moves"


def plan_fusion(graph):
    plan = [{name} for name in graph.names]
    for node in graph.nodes:
        for made in node.inputs:
            pair = [group for group in plan if made in group or node.name in group]
            joined = [group for group in plan if group not in pair] + [set().union(*pair)]
            if is_legal(graph, joined):
                plan = joined
    return plan
