"""Takes operators out of the graph that it is given."""

from teachkit.model.fusion import Graph

ITEM = "correct"
REASON = "the call changed its input"


def plan_fusion(graph):
    if isinstance(graph, Graph):
        object.__setattr__(graph, "nodes", graph.nodes[:1])
    return [{graph.nodes[0].name}]
