"""Counts every operator, views and allocations too."""

from torch.utils._python_dispatch import TorchDispatchMode

ITEM = "edge cases"
REASON = "launches: expected"


class Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += 1
        return func(*args, **(kwargs or {}))


def count_launches(program):
    with Counter() as counter:
        program()
    return counter.n
