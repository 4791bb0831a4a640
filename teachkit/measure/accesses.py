"""Which tensors each eager operator reads and writes, so that a cache can be modelled between operators.

Counted: bytes of every tensor, FLOPs as in ``flops.py``.
Not modelled: parts of tensors; whoever touches a tensor touches all of the memory behind what it is given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from teachkit.emulator.counters import Counters
from teachkit.measure.eager import kind_of, operator_counters
from teachkit.measure.flops import is_contraction
from teachkit.measure.traffic import distinct_bytes, extents


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """One operator.

    Attributes
    ----------
    name
        Such as ``"aten.mm"``.
    counters
        As a profile counts it: every byte moved once.
    reads, writes
        (memory, bytes) of each tensor; equal numbers are the same memory.
    product
        (number of products, M, N, K) of a matrix product ``[M, K] @ [K, N]``; ``None`` for everything else.
    item_bytes
        Bytes of an element of its first tensor.
    """

    name: str
    counters: Counters
    reads: tuple[tuple[int, int], ...]
    writes: tuple[tuple[int, int], ...]
    product: tuple[int, int, int, int] | None
    item_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """The operators of a function, in order, and the memory that its results lie in."""

    accesses: tuple[Access, ...]
    results: frozenset[int]

    @property
    def counters(self) -> Counters:
        """All operators' counters, summed."""
        return sum((access.counters for access in self.accesses), Counters())


def record_accesses(function: Callable[[], Any]) -> Program:
    """Run a function and note what its operators touch.

    Parameters
    ----------
    function : takes nothing; returns its result, a tensor or several. On tensors of the meta device nothing is computed
        and no memory is needed.

    Examples
    --------
    >>> x = torch.ones(1000)
    >>> [access.name for access in record_accesses(lambda: (2 * x).tanh()).accesses]
    ['aten.mul', 'aten.tanh']
    """
    mode = _Accesses()
    with mode:
        results = function()
    kept = [leaf for leaf in tree_leaves(results) if isinstance(leaf, torch.Tensor) and leaf.numel()]
    return Program(tuple(mode.accesses), frozenset(mode.memory_of(tensor) for tensor in kept))


class _Accesses(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.accesses: list[Access] = []
        self._numbers: dict[tuple[str, int], int] = {}
        self._alive: list[Any] = []

    def memory_of(self, tensor: torch.Tensor) -> int:
        """A number for the memory behind a tensor; it is kept alive, so that no address stands for two."""
        storage = extents(tensor)[0].storage
        if storage not in self._numbers:
            self._numbers[storage] = len(self._numbers)
            self._alive.append(tensor.untyped_storage())
        return self._numbers[storage]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        counters, _ = operator_counters(func, args, kwargs, out)
        if counters is not None:
            inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
            product = _product(func, inputs)
            reads, writes = (tuple(self._touched(tensors)) for tensors in (inputs, outputs))
            name, item_bytes = kind_of(func).name, (inputs or outputs)[0].itemsize
            self.accesses.append(Access(name, counters, reads, writes, product, item_bytes))
        return out

    def _touched(self, tensors: list[torch.Tensor]) -> list[tuple[int, int]]:
        by_memory: dict[int, list[torch.Tensor]] = {}
        for tensor in tensors:
            if tensor.numel():
                by_memory.setdefault(self.memory_of(tensor), []).append(tensor)
        return [(memory, distinct_bytes(group)) for memory, group in by_memory.items()]


def _product(func: Any, inputs: list[torch.Tensor]) -> tuple[int, int, int, int] | None:
    if not is_contraction(func) or func.overloadpacket.__name__ not in ("mm", "bmm", "addmm", "baddbmm"):
        return None
    a, b = inputs[-2:]
    n_products = a.shape[0] if a.dim() == 3 else 1
    return n_products, a.shape[-2], b.shape[-1], a.shape[-1]
