"""Counts a launch for each tensor in a list."""

from torch.utils._python_dispatch import TorchDispatchMode

ITEM = "edge cases"
REASON = "_foreach_add_"


class Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        free = ("empty", "new_empty", "_unsafe_view", "_local_scalar_dense")
        if not (func.is_view or func.overloadpacket.__name__.startswith(free)):
            self.n += len(args[0]) if args and isinstance(args[0], (list, tuple)) else 1
        return func(*args, **(kwargs or {}))


def count_launches(program):
    with Counter() as counter:
        program()
    return counter.n
