"""Modules as the CUDA driver has them: the kernels of one share its ``__device__`` and ``__constant__`` variables."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import Any

from teachkit.errors import LaunchError


class GpuModules:
    """What the driver loaded of one set of kernels: a module a GPU, and for older GPUs than its own one a kernel."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._modules: dict[tuple[str, int], Any] = {}
        self._functions: dict[tuple[str, int, str], Any] = {}
        self._written: dict[tuple[str, int, str], bytes] = {}

    def function(self, ptx: str, entry: str, ordinal: int) -> Any:
        """The kernel ``entry`` on GPU ``ordinal``, whose context is this thread's current one afterwards.

        Raises
        ------
        LaunchError
            If the driver cannot load it.
        """
        from cuda.bindings import driver

        context = _primary_context(ordinal)
        # A thread that has not called CUDA yet has none, though PyTorch's tensors are in this one.
        if int(checked(driver.cuCtxGetCurrent())) != int(context):
            checked(driver.cuCtxSetCurrent(context))
        key = ptx, ordinal, entry
        with self._lock:
            if key not in self._functions:
                if key[:2] not in self._modules:
                    self._modules[key[:2]] = _loaded(driver.cuModuleLoadData(ptx.encode() + b"\0"), entry)
                module = self._modules[key[:2]]
                self._functions[key] = _loaded(driver.cuModuleGetFunction(module, entry.encode()), entry)
            return self._functions[key]

    def write(self, ptx: str, ordinal: int, stream: int, values: Mapping[str, bytes]) -> None:
        """Put ``values`` into variables of a loaded module, in the order of ``stream``, unless they are there."""
        from cuda.bindings import driver

        with self._lock:
            for name, data in values.items():
                key = ptx, ordinal, name
                if self._written.get(key) != data:
                    place, n_bytes = checked(driver.cuModuleGetGlobal(self._modules[key[:2]], name.encode()))
                    checked(driver.cuMemcpyHtoDAsync(place, data, min(int(n_bytes), len(data)), stream))
                    self._written[key] = data


def checked(answer: tuple[Any, ...]) -> Any:
    """What a driver call returned behind its status.

    Raises
    ------
    LaunchError
        Where the status is an error.
    """
    status, *values = answer
    if int(status):
        raise LaunchError(f"The CUDA driver answered {status}.", hint="does `teachkit doctor` find the GPU?")
    return tuple(values) if len(values) > 1 else values[0] if values else None


def _loaded(answer: tuple[Any, Any], name: str) -> Any:
    status, handle = answer
    if int(status):
        raise LaunchError(f"The CUDA driver could not load {name!r}: {status}.", hint="is the PTX for this GPU?")
    return handle


@functools.cache
def _primary_context(ordinal: int) -> Any:
    from cuda.bindings import driver

    checked(driver.cuInit(0))
    return checked(driver.cuDevicePrimaryCtxRetain(checked(driver.cuDeviceGet(ordinal))))
