"""Counting eager PyTorch from shapes alone, so that a model of any size is counted on any machine.

Modelled: as in ``eager.py``, operator by operator; but the tensors are on PyTorch's meta device, which has shapes,
strides and dtypes and no memory, and nothing is computed.
Not modelled: operators whose result depends on data; compiled kernels, which need memory to run on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from teachkit.emulator.counters import Counters
from teachkit.measure import flops
from teachkit.measure.eager import kind_of, operator_counters


@dataclasses.dataclass(frozen=True)
class CountedOperator:
    """One operator, counted.

    Attributes
    ----------
    name
        For example ``"aten.mm"``.
    counters
        One launch, its bytes and FLOPs.
    shapes
        Shapes of its input tensors, in order, each ``[...]`` outermost first.
    is_contraction
        Whether it is a matrix product, a convolution or attention.
    """

    name: str
    counters: Counters
    shapes: tuple[tuple[int, ...], ...]
    is_contraction: bool


class CountByShape(TorchDispatchMode):
    """Record every operator of this thread inside a ``with`` block; tensors are on the meta device, or real.

    Examples
    --------
    >>> import torch
    >>> with CountByShape() as counted:
    ...     _ = torch.empty(1000, 2000, device="meta") @ torch.empty(2000, 3000, device="meta")
    >>> counted.total.flop
    12000000000
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: list[CountedOperator] = []

    def __enter__(self) -> Self:
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    @property
    def total(self) -> Counters:
        """The counters of all operators, summed."""
        return sum((operator.counters for operator in self.operators), Counters())

    @property
    def kernels(self) -> list[CountedOperator]:
        """The operators: what :func:`teachkit.model.predict` looks for."""
        return self.operators

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operator, which on the meta device only works out shapes, and record it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not hasattr(func, "_schema"):
            return out
        counters, _ = operator_counters(func, args, kwargs, out)
        if counters is not None:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            shapes = tuple(tuple(tensor.shape) for tensor in tensors)
            name = kind_of(func).name
            self.operators.append(CountedOperator(name, counters, shapes, flops.is_contraction(func)))
        return out
