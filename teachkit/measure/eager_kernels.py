"""``tk.eager_kernels()``: eager PyTorch on the CPU, each operator one launch of a compiled kernel on the emulator.

What a GPU does with an eager program, made countable: operators are launched one by one, each reads its inputs from
memory and writes its result back. Views and allocations launch nothing.
On a CUDA device nothing is replaced: there PyTorch's own kernels run, and a profile measures and counts them as
operators, by rules that agree with these kernels' counts on chains of pointwise operators.
Not modelled: what ``teachkit.frontends.operator_kernels`` leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from teachkit.frontends.operator_kernels import kernel_of
from teachkit.measure.eager import kind_of, operator_counters


class eager_kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]  # used like a function
    """Run every operator on CPU tensors inside the block as one kernel on the emulator.

    The first call of an operator with new shapes or numbers compiles it, which takes a second; later ones take the
    kernel that is there. An operator without a kernel (:attr:`not_kernels` says which, and why) runs natively, and
    a profile shows it as the operator that it is.

    Examples
    --------
    >>> import torch, teachkit as tk
    >>> with tk.profile() as prof, tk.eager_kernels():
    ...     y = torch.ones(1024).exp() + 1
    >>> [(kernel.kind, kernel.counters.dram_bytes) for kernel in prof.kernels]
    [('kernel', 4096), ('kernel', 8192), ('kernel', 8192)]
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.not_kernels: dict[str, str] = {}
        """Operators that ran natively, by name, and why: ``{"aten.sort": "Inductor hands it to another library"}``."""

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Tell Dynamo that functions may be compiled inside the block."""
        return True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Launch the operator's kernel, or run it natively."""
        kwargs = kwargs or {}
        if not hasattr(func, "_schema") or (kind := kind_of(func)).is_free or kind.is_host_read:
            return func(*args, **kwargs)
        kernel = kernel_of(func, args, kwargs)
        if not isinstance(kernel, str):
            return kernel(args, kwargs)
        out = func(*args, **kwargs)
        if operator_counters(func, args, kwargs, out)[0] is not None:  # else it was a view after all
            self.not_kernels.setdefault(kind.name, kernel)
        return out
