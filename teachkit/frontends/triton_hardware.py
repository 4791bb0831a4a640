"""Triton launches on a real GPU: timed there, and counted by launching the same kernel once more on the emulator.

Modelled: nothing here; seconds are measured with CUDA events, counters come from the emulator.
Not modelled: kernels that PyTorch's Inductor launches through a launcher of its own; they are not seen. A kernel that
asks at compile time for the real GPU's architecture gets that answer on the emulator too.

The emulator runs the same source, compiled for the modelled GPU, on copies of the arguments taken before the launch;
so every machine reports the same counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

from teachkit.emulator.counters import Counters
from teachkit.emulator.launches import Launch, Resources, observe_alone
from teachkit.frontends import triton_adapter
from teachkit.frontends.triton_backend.launcher import EmulatorLauncher
from teachkit.hardware.device import uses_cuda
from teachkit.hardware.stopwatch import Stopwatch


@dataclasses.dataclass(frozen=True, eq=False)
class _Watcher:
    callback: Callable[[Launch], None]
    counters: bool
    timer: Any


_lock = threading.Lock()
_watchers: list[_Watcher] = []
_wrapping = contextlib.ExitStack()
_launchers: dict[str, EmulatorLauncher] = {}


@contextlib.contextmanager
def observe_hardware(callback: Callable[[Launch], None], *, counters: bool = True, timer: Any = None) -> Iterator[None]:
    """Watch every ``kernel[grid](...)`` on the GPU while the block runs, and call back after each.

    Launches that autotuning tries are not shown; the one that it settles on is. Whoever else watches is shown the same
    launch: it is counted and timed once.

    Parameters
    ----------
    callback : callable
        Takes a :class:`Launch` whose ``seconds`` are measured.
    counters : bool
        Whether to launch each kernel on the emulator too. Without, all counters but ``n_launches`` are 0.
    timer : module, optional
        ``torch.cuda``, or a stand-in with its ``Event`` and ``_sleep``.
    """
    watcher = _Watcher(callback, counters, timer)
    with _lock:
        _watchers.append(watcher)
        if len(_watchers) == 1:
            _wrapping.enter_context(triton_adapter.launches_wrapped(_around))
    try:
        yield
    finally:
        with _lock:
            _watchers.remove(watcher)
            if not _watchers:
                _wrapping.close()
                _launchers.clear()


def bring_to_the_emulator() -> contextlib.AbstractContextManager[None]:
    """For checks and traces: launches on the GPU run on the emulator as well, which does the checking."""
    return observe_hardware(lambda launch: None) if uses_cuda() else contextlib.nullcontext()


def _around(run: Callable[..., Any], function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], grid: Any) -> Any:
    watching = tuple(_watchers)
    arguments, options = _bound(function, args, kwargs)
    size = tuple(grid(arguments) if callable(grid) else grid)
    # Compiling and loading come before the events, or the first launch's time would include them.
    compiled = run(*args, grid=size, warmup=True, **kwargs)
    compiled._init_handles()
    # The emulator goes first: what is wrong with a kernel is said there, before it touches memory that is not its own.
    is_counted = any(watcher.counters for watcher in watching)
    counted = _emulated(compiled, size, cpu_copies(tuple(arguments.values())), options) if is_counted else None
    with Stopwatch(watching[0].timer if watching else None) as watch:
        compiled = run(*args, grid=size, warmup=False, **kwargs)
    seconds = watch.seconds()
    if 0 not in size:  # an empty grid launches nothing
        for watcher in watching:
            launch = counted if watcher.counters else _uncounted(compiled, size)
            if launch is not None:
                launch.seconds = seconds
                watcher.callback(launch)
    return compiled


def cpu_copies(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copies of every tensor in CPU memory, where views of one storage stay views of one storage.

    Parameters
    ----------
    arguments : tuple
        Of a launch. Tensors inside tuples, descriptors and reinterpreted tensors are copied too; all else is passed on.
    """
    import torch
    from torch.utils._python_dispatch import _disable_current_modes

    storages: dict[int, torch.UntypedStorage] = {}

    def copy(value: Any) -> Any:
        if isinstance(value, tuple):
            items = [copy(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            if storage.data_ptr() not in storages:
                storages[storage.data_ptr()] = storage.cpu() if storage.is_cuda else storage.clone()  # type: ignore[no-untyped-call]
            empty = torch.empty(0, dtype=value.dtype, device="cpu")
            return empty.set_(storages[storage.data_ptr()], value.storage_offset(), value.shape, value.stride())
        if dataclasses.is_dataclass(value) and hasattr(value, "base"):
            return dataclasses.replace(value, base=copy(value.base))  # type: ignore[type-var]
        if hasattr(value, "base") and hasattr(value, "dtype"):
            return type(value)(copy(value.base), value.dtype)
        return value

    # A profile counts the program's operators; these copies are none of them.
    with _disable_current_modes():
        return tuple(copy(value) for value in arguments)


def _bound(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    named = {name: value for name, value in kwargs.items() if name in function.arg_names}
    options = {name: value for name, value in kwargs.items() if name not in named}
    bound = inspect.signature(function.fn).bind(*args, **named)
    bound.apply_defaults()
    return dict(bound.arguments), options


def _emulated(
    compiled: Any,
    grid: tuple[int, ...],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Launch | None:
    from teachkit.frontends.target import architecture
    from teachkit.frontends.triton_backend.launcher import Binary

    again = triton_adapter.compile_for_emulator(compiled, options)
    launcher = _launchers.setdefault(again.hash, EmulatorLauncher(again.src, again.metadata))
    seen: list[Launch] = []
    with observe_alone(seen.append):
        launcher.launch(_three(grid), Binary(again.asm["ptx"], architecture()), arguments)
    return seen[0] if seen else None  # an empty grid launches nothing


def _uncounted(compiled: Any, grid: tuple[int, ...]) -> Launch:
    return Launch(
        compiled.name,
        _three(grid),
        (32 * compiled.metadata.num_warps, 1, 1),
        lambda: (Counters(n_launches=1), {}),
        Resources(shared_bytes=compiled.metadata.shared),
        compiled.asm["ptx"],
    )


def _three(grid: tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = (*grid, 1, 1)[:3]
    return x, y, z
