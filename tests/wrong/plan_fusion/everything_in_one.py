"""One kernel for all, a matmul included."""

ITEM = "correct"
REASON = "illegal plan"


def plan_fusion(graph):
    return [set(graph.names)]
