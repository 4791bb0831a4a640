"""Numbers the groups: every operator gets the number of a group so far or the next free one. Returns plain lists."""

from teachkit.model.fusion import is_legal, n_launches, traffic_bytes


def numberings(n, used=0):
    if n == 0:
        yield ()
        return
    for mine in range(used + 1):
        for rest in numberings(n - 1, max(used, mine + 1)):
            yield (mine, *rest)


def plan_fusion(graph):
    def groups_of(numbers):
        return [
            [name for name, mine in zip(graph.names, numbers, strict=True) if mine == number]
            for number in range(max(numbers) + 1)
        ]

    plans = (groups_of(numbers) for numbers in numberings(len(graph.names)))
    legal = [plan for plan in plans if is_legal(graph, plan)]
    return min(legal, key=lambda plan: (traffic_bytes(graph, plan), n_launches(graph, plan)))
