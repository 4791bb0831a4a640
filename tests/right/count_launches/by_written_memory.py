"""Another rule: an operator is free if it writes nothing and its results lie in the memory of its inputs."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        inputs, outputs = ([t for t in tree_leaves(v) if isinstance(t, torch.Tensor)] for v in ((args, kwargs), out))
        writes = any(
            argument.alias_info is not None and argument.alias_info.is_write for argument in func._schema.arguments
        )
        old = {t.untyped_storage().data_ptr() for t in inputs}
        makes = any(t.untyped_storage().data_ptr() not in old for t in outputs)
        self.n += writes or (makes and "empty" not in func.overloadpacket.__name__)
        return out


def count_launches(program):
    with Counter() as counter:
        program()
    return counter.n
