"""Latency of a GPU's memory: one thread follows pointers through a buffer, in random order.

The kernel is ``chase.ptx``, the same text on every device; :func:`measure` launches it through the CUDA driver and
times it with events. On the emulator it is counted, and ``teachkit.model.pointer_chase`` says what the counts take.
Not measured: misses of the TLB apart from those of the cache.
Source: Saavedra-Barrera, "CPU Performance Evaluation and Execution Time Prediction Using Narrow Spectrum Benchmarking",
1992: the access pattern.
"""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from teachkit.errors import ProbeError
from teachkit.hardware.probes.record import Reading

KERNEL = "chase"
STEP_BYTES = 64
_MULTIPLE = 8  # loads in one round of the kernel's loop
_MIN_LOADS = 100_000
_N_REPEATS = 5


def ptx() -> str:
    """The kernel's text: ``chase(ring, out, n_loads)``."""
    return (resources.files("teachkit.hardware.probes") / "chase.ptx").read_text(encoding="utf-8")


def order(n_places: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """In which order the places of a buffer are visited: all of them once, at random, from place 0 on.

    Returns
    -------
    numpy.ndarray
        ``[n_places]`` int64.
    """
    rest = np.random.default_rng(seed).permutation(np.arange(1, n_places, dtype=np.int64))
    return np.concatenate([np.zeros(1, dtype=np.int64), rest])


def ring(base: int, buffer_bytes: int, step_bytes: int = STEP_BYTES, seed: int = 0) -> npt.NDArray[np.uint64]:
    """The buffer's contents: every ``step_bytes`` the address of the place to visit next; the last leads to the first.

    Parameters
    ----------
    base
        Address at which the buffer will lie.
    buffer_bytes, step_bytes
        Sizes; the step is a multiple of 8.
    seed
        Of the random order.

    Returns
    -------
    numpy.ndarray
        ``[buffer_bytes // 8]`` uint64.

    Raises
    ------
    ProbeError
        If the buffer holds no place, or places do not lie on 8 bytes.
    """
    if step_bytes <= 0 or step_bytes % 8 or buffer_bytes < step_bytes:
        raise ProbeError(
            f"Expected a buffer of one step or more and steps of a multiple of 8 bytes, got {buffer_bytes} bytes in "
            f"steps of {step_bytes}."
        )
    visited = order(buffer_bytes // step_bytes, seed)
    words = np.zeros(buffer_bytes // 8, dtype=np.uint64)
    words[visited * (step_bytes // 8)] = np.uint64(base) + np.roll(visited, -1).astype(np.uint64) * np.uint64(
        step_bytes
    )
    return words


def n_loads_for(buffer_bytes: int, step_bytes: int = STEP_BYTES, at_least: int = _MIN_LOADS) -> int:
    """Loads that visit every place, and that the kernel can do: a multiple of 8."""
    return -(-max(buffer_bytes // step_bytes, at_least) // _MULTIPLE) * _MULTIPLE


def measure(buffer_bytes: int, *, n_loads: int | None = None, n_repeats: int = _N_REPEATS) -> Reading:
    """Time one load of a pointer chase on the first CUDA device.

    The time of one run is taken from that of a run twice as long, so that the launch is not in it.

    Raises
    ------
    ProbeError
        If NVIDIA's Python bindings are missing, or the driver refuses a call.
    """
    n = n_loads or n_loads_for(buffer_bytes)
    with ExitStack() as stack:
        device = _Device(stack)
        function, start, out = device.load(ptx()), device.memory(buffer_bytes), device.memory(8)
        device.write(start, ring(start, buffer_bytes))
        device.seconds(function, start, out, n)  # fills the caches
        once, twice = (
            [device.seconds(function, start, out, n * factor) for _ in range(n_repeats)] for factor in (1, 2)
        )
    how = f"pointer chase by one thread over {buffer_bytes / 2**20:.3g} MiB in random order, events"
    return Reading((min(twice) - min(once)) / n, "s", how, 1 - min(twice) / max(twice))


class _Device:
    """The first CUDA device, through NVIDIA's bindings of the driver; what was made is undone at the end."""

    def __init__(self, stack: ExitStack) -> None:
        try:
            from cuda.bindings import driver
        except ImportError:
            raise ProbeError(
                "Expected NVIDIA's bindings of the CUDA driver for the latency of the GPU, found none.",
                hint="pip install 'teachkit[cuda]'.",
            ) from None
        self._driver: Any = driver
        self._stack = stack
        self._call("cuInit", 0)
        device = self._call("cuDeviceGet", 0)
        context = self._call("cuDevicePrimaryCtxRetain", device)
        stack.callback(self._call, "cuDevicePrimaryCtxRelease", device)
        # Taken off again at the end: whoever uses CUDA next on this thread must not find a context that is gone.
        self._call("cuCtxPushCurrent", context)
        stack.callback(self._call, "cuCtxPopCurrent")
        self._events = [self._call("cuEventCreate", 0) for _ in range(2)]
        for event in self._events:
            stack.callback(self._call, "cuEventDestroy", event)

    def _call(self, name: str, *arguments: Any) -> Any:
        status, *results = getattr(self._driver, name)(*arguments)
        if int(status):
            raise ProbeError(f"Expected {name} of the CUDA driver to succeed, got {status.name}.")
        return results[0] if results else None

    def load(self, text: str) -> Any:
        """The kernel of a module."""
        module = self._call("cuModuleLoadData", text.encode() + b"\0")
        self._stack.callback(self._call, "cuModuleUnload", module)
        return self._call("cuModuleGetFunction", module, KERNEL.encode())

    def memory(self, n_bytes: int) -> int:
        """Address of new memory."""
        address = int(self._call("cuMemAlloc", n_bytes))
        self._stack.callback(self._call, "cuMemFree", address)
        return address

    def write(self, address: int, words: npt.NDArray[np.uint64]) -> None:
        """Fill memory."""
        self._call("cuMemcpyHtoD", address, words.ctypes.data, words.nbytes)

    def seconds(self, function: Any, start: int, out: int, n_loads: int) -> float:
        """Time of one launch of one thread between two events."""
        first, last = self._events
        values = ((start, out, n_loads), (ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint32))
        self._call("cuEventRecord", first, 0)
        self._call("cuLaunchKernel", function, 1, 1, 1, 1, 1, 1, 0, 0, values, 0)
        self._call("cuEventRecord", last, 0)
        self._call("cuEventSynchronize", last)
        return 1e-3 * float(self._call("cuEventElapsedTime", first, last))
