"""Calls that bring a tensor's values to the host, on whichever device the tensor is.

On the CPU some of them (``tolist``, ``numpy``, ``cpu``) pass the dispatcher by, so a profile does not see them; on a
GPU each makes the host wait. Here they are counted where Python calls them.
Not modelled: reads that are operators (``item``, ``bool``, ``nonzero``), which a profile counts as ``n_syncs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

UNSEEN_BY_DISPATCHER = ("tolist", "numpy", "cpu", "__array__", "__dlpack__")


class HostReads(TorchFunctionMode):
    """A context that counts them.

    Attributes
    ----------
    n_reads
        Calls so far.

    Examples
    --------
    >>> import torch
    >>> with HostReads() as reads:
    ...     _ = torch.ones(3).tolist()
    >>> reads.n_reads
    1
    """

    def __init__(self) -> None:
        super().__init__()
        self.n_reads = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count the call if it is one of them, and make it."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in UNSEEN_BY_DISPATCHER or (name == "to" and _to_the_host(args, kwargs)):
            self.n_reads += 1
        return func(*args, **kwargs)


def _to_the_host(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    return any(str(value) == "cpu" for value in (*args[1:], *kwargs.values()) if not hasattr(value, "shape"))
