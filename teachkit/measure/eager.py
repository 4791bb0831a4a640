"""Eager PyTorch, operator by operator, counted as the GPU would run it: one launch each.

Modelled: every operator that the dispatcher runs is one kernel launch with the traffic of ``traffic.py`` and the FLOPs
of ``flops.py``. Views, allocations and questions about shape are free. Reading a value on the host is a
synchronisation, not a launch.
Not modelled: operators that a GPU build splits into several kernels (large sums) or chooses differently (dropout is
three operators on a CPU and one on a GPU; attention counts the same on both); other threads' operators, which PyTorch
does not show.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from teachkit.emulator.counters import Counters
from teachkit.hardware.stopwatch import Stopwatch
from teachkit.measure import flops
from teachkit.measure.traffic import distinct_bytes, share_storage

_ALLOCATES = ("empty", "new_empty", "resize_", "set_", "_efficientzerotensor", "lift_fresh")
_IGNORES_ITS_INPUT = ("new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like", "rand_like")
_RANDOM = ("uniform_", "normal_", "bernoulli_", "random_", "exponential_", "geometric_", "log_normal_", "cauchy_")
_WRITES_ONLY = ("copy_", "fill_", "zero_", "_foreach_copy_", "_foreach_zero_", *_RANDOM)
_GATHERS = ("embedding", "index_select", "gather", "take", "index", "_unsafe_index")
# Besides the result each returns other helpers for the backward pass; counted is what the one for CPUs returns.
_GPU_ATTENTION = (
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
)
_SCATTERS = ("scatter_", "scatter_add_", "scatter_reduce_", "index_copy_", "index_add_")


@dataclasses.dataclass(frozen=True)
class OperatorKind:
    """What the schema of an operator says, looked up once for each overload.

    Attributes
    ----------
    name
        ``aten.add`` for ``torch.ops.aten.add.Tensor``.
    is_free
        A view or an allocation: nothing is launched.
    is_host_read
        Its only result is a number on the host (``item()``).
    syncs
        The host has to wait for it: its value, or the shape of its result, depends on data.
    written
        Names of the arguments that it writes to.
    outputs
        Those of them that are ``out=`` arguments, which it does not read.
    """

    name: str
    is_free: bool
    is_host_read: bool
    syncs: bool
    written: frozenset[str]
    outputs: frozenset[str]


@functools.cache
def kind_of(func: Any) -> OperatorKind:
    """Return what is known of an overload before it is called."""
    base = func.overloadpacket.__name__
    written = {arg.name for arg in func._schema.arguments if arg.alias_info is not None and arg.alias_info.is_write}
    outputs = {arg.name for arg in func._schema.arguments if arg.is_out}
    syncs = torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags
    return OperatorKind(
        name=str(func.overloadpacket),
        is_free=func.is_view or base.startswith(_ALLOCATES),
        is_host_read=base == "_local_scalar_dense",
        syncs=syncs,
        written=frozenset(written),
        outputs=frozenset(outputs),
    )


def operator_counters(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
) -> tuple[Counters | None, int]:
    """Return what one call launched and how often it made the host wait.

    Parameters
    ----------
    func, args, kwargs, out
        The overload, its arguments and its result.

    Returns
    -------
    counters : Counters or None
        ``None`` where nothing is launched.
    n_syncs : int
        0 or 1.
    """
    kind = kind_of(func)
    if kind.is_free:
        return None, 0
    if kind.is_host_read:
        return None, 1
    inputs = list(_tensors((args, kwargs)))
    fresh = [tensor for tensor in _tensors(out) if not share_storage(tensor, inputs)]
    mutated = list(_named(func, args, kwargs, kind.written))
    n_syncs = int(_waits(func, kind, inputs))
    if not fresh and not mutated and not n_syncs:
        return None, 0
    read, written = _bytes(func, kind, args, kwargs, inputs, fresh, mutated)
    n_flop = flops.count(func, args, kwargs, inputs, out)
    field = flops.field_of(func, inputs or fresh)
    counters = Counters(
        n_launches=1,
        dram_read_bytes=read,
        dram_write_bytes=written,
        compulsory_read_bytes=read,
        compulsory_write_bytes=written,
    )
    return dataclasses.replace(counters, **{field: n_flop}), n_syncs


def _bytes(
    func: Any,
    kind: OperatorKind,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    inputs: list[torch.Tensor],
    fresh: list[torch.Tensor],
    mutated: list[torch.Tensor],
) -> tuple[int, int]:
    base = func.overloadpacket.__name__
    if base.startswith(_IGNORES_ITS_INPUT) or base.endswith("_like"):
        return 0, distinct_bytes(fresh)
    if base in _GPU_ATTENTION and fresh:
        n_rows = inputs[0].numel() // inputs[0].shape[-1]
        return distinct_bytes(inputs), distinct_bytes(fresh[:1]) + 4 * n_rows  # and a float32 a row, the scores' scale
    if base in _GATHERS and fresh:
        source, rest = inputs[0], inputs[1:]
        # Rows that are read twice are counted twice, up to the size of the table: the indices are not looked at.
        read = min(distinct_bytes([source]), distinct_bytes(fresh))
        return read + distinct_bytes(rest), distinct_bytes(fresh)
    if base in _SCATTERS and mutated:
        target, rest = mutated[0], [tensor for tensor in inputs if tensor is not mutated[0]]
        touched = min(distinct_bytes([target]), max((tensor.numel() for tensor in rest), default=0) * target.itemsize)
        accumulates = "add" in base or "reduce" in base
        return distinct_bytes(rest) + (touched if accumulates else 0), touched
    skipped = list(_named(func, args, kwargs, kind.written if base in _WRITES_ONLY else kind.outputs))
    reads = [tensor for tensor in inputs if not any(tensor is other for other in skipped)]
    return distinct_bytes(reads), distinct_bytes([*fresh, *mutated])


def _waits(func: Any, kind: OperatorKind, inputs: list[torch.Tensor]) -> bool:
    if func.overloadpacket.__name__ in ("index", "_unsafe_index"):
        return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in inputs[1:])
    return kind.syncs


def _named(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], names: frozenset[str]
) -> Iterator[torch.Tensor]:
    for position, argument in enumerate(func._schema.arguments):
        if argument.name in names:
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            yield from _tensors(value)


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, torch.Tensor))


def _is_symbolic(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> bool:
    """Tracing runs operators on tensors without data; they are not work."""
    return any(isinstance(t, FakeTensor) or t.device.type == "meta" for t in _tensors((args, kwargs, out)))


class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watch every operator of this thread.

    Parameters
    ----------
    record
        Called with the name, counters and a function that returns the measured seconds or ``None``, in order.
    synced
        Called with the number of times the host had to wait.
    n_kernels_launched
        Kernel launches of this thread so far. An operator during which it grows was run by that kernel, which
        reports for itself.
    """

    def __init__(
        self,
        record: Callable[[str, Counters, Callable[[], float | None]], None],
        synced: Callable[[int], None],
        n_kernels_launched: Callable[[], int],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._record = record
        self._synced = synced
        self._n_kernels_launched = n_kernels_launched

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Tell Dynamo that functions may be compiled while this mode looks on."""
        return True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operator and record it."""
        kwargs = kwargs or {}
        before = self._n_kernels_launched()
        out, seconds = _run(func, args, kwargs)
        if not hasattr(func, "_schema") or _is_symbolic(args, kwargs, out):
            return out
        counters, n_syncs = operator_counters(func, args, kwargs, out)
        if n_syncs:
            self._synced(n_syncs)
        if counters is not None and self._n_kernels_launched() == before:
            self._record(kind_of(func).name, counters, seconds)
        return out


_timing = threading.local()


def _run(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Callable[[], float | None]]:
    if not any(tensor.is_cuda for tensor in _tensors((args, kwargs))):
        return func(*args, **kwargs), _not_measured
    watch: Stopwatch | None = getattr(_timing, "watch", None)
    if watch is not None:  # profiles are nested, and the inner one is timing this call
        return func(*args, **kwargs), functools.partial(_finite, watch)
    watch = _timing.watch = Stopwatch()
    try:
        with watch:
            out = func(*args, **kwargs)
    finally:
        _timing.watch = None
    return out, functools.partial(_finite, watch)


def _finite(watch: Stopwatch) -> float | None:
    elapsed = watch.seconds()
    return elapsed if math.isfinite(elapsed) else None


def _not_measured() -> float | None:
    return None
