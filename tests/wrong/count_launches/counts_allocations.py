"""Takes the memory of a new tensor for a launch, where it does not come from another tensor's method."""

from torch.utils._python_dispatch import TorchDispatchMode

ITEM = "edge cases"
REASON = "launches: expected 0, got 1"


class Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n_launches = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        free = ("new_empty", "_unsafe_view", "_local_scalar_dense")
        self.n_launches += not func.is_view and not func.overloadpacket.__name__.startswith(free)
        return func(*args, **(kwargs or {}))


def count_launches(program):
    with Counter() as counter:
        program()
    return counter.n_launches
