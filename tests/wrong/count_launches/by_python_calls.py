"""Counts calls of functions in Python, where one call can be several operators."""

from torch.overrides import TorchFunctionMode

ITEM = "correct"
REASON = "launches: expected"


class Counter(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.n += 1
        return func(*args, **(kwargs or {}))


def count_launches(program):
    with Counter() as counter:
        program()
    return counter.n
