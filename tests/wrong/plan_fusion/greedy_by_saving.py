"""Makes the join that saves most, again and again; the best join can block two others that save more together."""

from teachkit.model.fusion import is_legal, n_launches, traffic_bytes

ITEM = "budget"
REASON = "the best legal plan moves"


def plan_fusion(graph):
    plan = [{name} for name in graph.names]
    while True:
        pairs = [(one, other) for index, one in enumerate(plan) for other in plan[:index]]
        joins = [[group for group in plan if group not in pair] + [pair[0] | pair[1]] for pair in pairs]
        legal = [joined for joined in joins if is_legal(graph, joined)]
        costs = [(traffic_bytes(graph, joined), n_launches(graph, joined)) for joined in legal]
        if not costs or min(costs) >= (traffic_bytes(graph, plan), n_launches(graph, plan)):
            return plan
        plan = legal[costs.index(min(costs))]
