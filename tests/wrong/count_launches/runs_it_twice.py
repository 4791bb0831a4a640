"""Warms up first, as a timer does."""

from torch.utils._python_dispatch import TorchDispatchMode

ITEM = "budget"
REASON = "the program ran 2 times, budget 1"


class Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        free = ("empty", "new_empty", "_unsafe_view", "_local_scalar_dense")
        self.n += not (func.is_view or func.overloadpacket.__name__.startswith(free))
        return func(*args, **(kwargs or {}))


def count_launches(program):
    program()
    with Counter() as counter:
        program()
    return counter.n
