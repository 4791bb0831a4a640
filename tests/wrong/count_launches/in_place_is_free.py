"""Takes an operator whose result shares memory with an input for a view, so operators in place are lost."""

from torch.utils._python_dispatch import TorchDispatchMode

ITEM = "edge cases"
REASON = "x.clone().add_(1)"


class Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        same = getattr(out, "data_ptr", None) and any(getattr(a, "data_ptr", int)() == out.data_ptr() for a in args)
        name = func.overloadpacket.__name__
        self.n += not (same or name.startswith(("empty", "new_empty", "_local_scalar")))
        return out


def count_launches(program):
    with Counter() as counter:
        program()
    return counter.n
