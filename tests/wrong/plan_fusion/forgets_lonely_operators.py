"""Lists only what can be fused at all."""

ITEM = "edge cases"
REASON = "'matmul' is in no group"


def plan_fusion(graph):
    return [{node.name} for node in graph.nodes if node.kind != "opaque"]
