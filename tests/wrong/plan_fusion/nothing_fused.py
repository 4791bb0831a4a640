"""Every operator alone: legal, and as many bytes as eager."""

ITEM = "budget"
REASON = "the best legal plan moves"


def plan_fusion(graph):
    return [{name} for name in graph.names]
