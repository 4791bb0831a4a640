"""``tk.compile``: ``torch.compile`` whose Triton kernels run here, on the GPU or on the emulator.

Modelled: the GPU that Inductor shapes its kernels for where there is none (grids, reduction splits, autotuning).
Not modelled: CUDA graphs (``mode="reduce-overhead"``), which exist on a GPU only; on the emulator that mode compiles
the same kernels and launches them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from teachkit.errors import CompileOptionError


def compile(
    model: Callable[..., Any] | None = None,
    *,
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
    dynamic: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Compile a function or a module with Inductor, to Triton kernels on every machine.

    On a CUDA device this is ``torch.compile``. Elsewhere Inductor writes Triton kernels for CPU tensors, forward and
    backward, and the emulator runs them: ``with tk.profile()`` counts each launch. Kernels are shaped for the modelled
    GPU, and what autotuning compares is modelled time.

    Parameters
    ----------
    model : callable, optional
        A function or ``torch.nn.Module``; without it a decorator is returned.
    mode, options, dynamic, **kwargs
        As for ``torch.compile``. Unlike there, ``mode`` and ``options`` may be given together; options win.

    Raises
    ------
    CompileOptionError
        If ``backend=`` names another back end than Inductor, which writes no Triton kernels.

    Examples
    --------
    >>> import torch, teachkit as tk
    >>> softmax = tk.compile(lambda x: torch.softmax(x, -1))  # compiled at the first call
    """
    import torch

    if kwargs.get("backend", "inductor") != "inductor":
        raise CompileOptionError(
            f"Expected Inductor, whose Triton kernels run here, got backend={kwargs['backend']!r}.",
            hint="leave out backend=, or call torch.compile for a back end without Triton kernels.",
        )
    if model is None:
        return lambda function: compile(function, mode=mode, options=options, dynamic=dynamic, **kwargs)
    from teachkit.frontends import inductor_adapter
    from teachkit.frontends.triton_backend.driver import EmulatorDriver

    chosen = inductor_adapter.checked_options(mode, options, dynamic)
    if EmulatorDriver.is_active():
        inductor_adapter.install()
        chosen = inductor_adapter.triton_options() | chosen
    return torch.compile(model, options=chosen or None, dynamic=dynamic, **kwargs)
