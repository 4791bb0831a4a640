"""``profile()``: one list of everything that ran, whichever way it was launched.

Modelled: nothing here; kernels bring the emulator's counters, operators those of ``eager.py``.
Not modelled: operators on threads other than the one that opened the profile (kernels are seen on every thread).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING

from teachkit.emulator.counters import Counters
from teachkit.emulator.kernel import configure
from teachkit.hardware.device import uses_cuda
from teachkit.hardware.spec import gpu as find_gpu
from teachkit.measure.report import KernelReport, Profile

if TYPE_CHECKING:
    from teachkit.emulator.launches import Launch


def profile(*, operators: bool = True, counters: bool = True, gpu: str | None = None) -> Profile:
    """Count everything that is launched inside a ``with`` block.

    Kernels on the emulator or the GPU, and eager PyTorch operators, appear in the order in which they ran. Views and
    allocations launch nothing. Profiles may be nested; an exception leaves what ran before it in the profile.

    Parameters
    ----------
    operators
        Whether eager PyTorch operators are counted too.
    counters
        On a CUDA device, whether each Triton kernel is launched once more on the emulator, with copies of its
        arguments, so that it is counted as on every other machine. On the emulator kernels are always counted.
    gpu
        The GPU whose caches and limits the emulator models inside the block, for example ``"V100-SXM2-16GB"``, for
        launches on every thread; by default the one of ``teachkit.emulator.configure``. Exact counters do not change
        with it; DRAM bytes and hit rates do, and how much shared memory a block may take.

    Returns
    -------
    Profile
        Use it as ``with profile() as prof:``.

    Raises
    ------
    ProfileError
        If the same profile is entered while it is open.
    UnknownGpuError
        If there is no data sheet of that name.

    Examples
    --------
    >>> import torch
    >>> with profile() as prof:
    ...     _ = torch.ones(1024) + 1
    >>> prof.n_launches, prof.dram_bytes  # ones writes; the addition reads and writes
    (2, 12288)
    """
    if gpu is not None:
        find_gpu(gpu)
    return Profile(operators=operators, counters=counters, gpu=gpu)


def start(prof: Profile, *, operators: bool, counters: bool, gpu: str | None) -> ExitStack:
    """Begin to record into a profile; closing the returned stack ends it."""
    launched: Counter[int] = Counter()
    pending: list[tuple[int, Callable[[], float | None]]] = []

    def add_kernel(launch: Launch) -> None:
        # Counters are read now: they come from a trace of memory accesses that is too long to keep.
        prof._add(
            KernelReport(
                name=launch.name,
                grid=launch.grid,
                block=launch.block,
                counters=launch.counters,
                resources=launch.resources,
                seconds=launch.seconds,
                kind="kernel",
            )
        )
        launched[threading.get_ident()] += 1

    def add_operator(name: str, counters: Counters, seconds: Callable[[], float | None]) -> None:
        pending.append((prof._add(KernelReport(name, None, None, counters, kind="operator")), seconds))

    def settle() -> None:
        for index, seconds in pending:
            if (measured := seconds()) is not None:
                prof._set_seconds(index, measured)

    with ExitStack() as stack:
        stack.callback(settle)
        if gpu is not None:
            stack.callback(configure, gpu=configure(gpu=gpu).gpu)
        stack.enter_context(_observe(add_kernel))
        stack.enter_context(_observe_hardware(add_kernel, counters))
        if operators:
            from teachkit.measure.eager import OperatorMode

            n_launched = lambda: launched[threading.get_ident()]  # noqa: E731
            stack.enter_context(OperatorMode(add_operator, prof._add_sync, n_launched))
        return stack.pop_all()


def _observe(callback: Callable[[Launch], None]) -> AbstractContextManager[object]:
    from teachkit.emulator import observe

    return observe(callback)


def _observe_hardware(callback: Callable[[Launch], None], counters: bool) -> AbstractContextManager[object]:
    """Watch Triton launches on a CUDA device; without one there are none."""
    if not uses_cuda():
        return nullcontext()
    from teachkit.frontends.triton_hardware import observe_hardware

    return observe_hardware(callback, counters=counters)
