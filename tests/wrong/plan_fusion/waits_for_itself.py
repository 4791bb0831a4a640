"""All pointwise operators of one size together, whatever lies between them."""

ITEM = "edge cases"
REASON = "some groups wait for each other"


def plan_fusion(graph):
    groups = {}
    for node in graph.nodes:
        key = node.n_elements if node.kind == "pointwise" else node.name
        groups.setdefault(key, set()).add(node.name)
    return list(groups.values())
