"""One launch on a GPU, through the CUDA driver's own interface: PTX in, ``cuLaunchKernel`` out.

Modelled: nothing; seconds are measured with CUDA events.
Not modelled: streams other than PyTorch's current one.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from teachkit.emulator import Kernel
from teachkit.errors import LaunchError
from teachkit.frontends.gpu_modules import GpuModules
from teachkit.hardware.stopwatch import Stopwatch

_WAITS_FOR_THE_GRID = re.compile(r"%envreg[12]\b")  # where the driver leaves what grid.sync() needs

_NUMBERS = (int, float, bool, type(None))  # most arguments


def device_of(name: str, args: Sequence[Any]) -> Any:
    """The CUDA device that a launch goes to, or None where all arguments are in the host's memory.

    Raises
    ------
    LaunchError
        If they are not in one place.
    """
    places = {}
    for a in args:
        if type(a) not in _NUMBERS and (isinstance(a, np.ndarray) or hasattr(a, "data_ptr")):
            places["cpu" if not getattr(a, "is_cuda", False) else str(a.device)] = a
    if len(places) > 1:
        raise LaunchError(
            f"Expected the arrays of kernel {name!r} on one device, got {' and '.join(sorted(places))}.",
            hint="move them all: torch.as_tensor(array).to(tk.device()).",
        )
    return next((a.device for a in places.values() if getattr(a, "is_cuda", False)), None)


def drive(
    ptx: str,
    entry: str,
    kernel: Kernel,
    grid: Any,
    block: Any,
    args: Sequence[Any],
    device: Any,
    *,
    shared_bytes: int,
    name: str,
    argument_names: Sequence[str] | None,
    timed: bool,
    modules: GpuModules,
    constants: Mapping[str, bytes] | None = None,
) -> float | None:
    """Launch ``kernel``, which ``ptx`` calls ``entry``, on PyTorch's current stream; return seconds if ``timed``.

    ``constants``: bytes to put into the module's variables before that.

    Raises
    ------
    LaunchError
        For dimensions or arguments that the kernel cannot have, or what the driver refuses.
    """
    import torch
    from cuda.bindings import driver

    grid3, block3 = kernel.checked_dims(grid, block, name)
    if 0 in grid3:  # the emulator launches nothing then; the driver would refuse
        return None
    # Addresses travel as numbers; all else is packed, and refused, as for the emulator.
    values = [a.data_ptr() if hasattr(a, "data_ptr") else a for a in args]
    packed = ctypes.create_string_buffer(kernel.parameters.bind(values, argument_names, name).packed)
    places, at = [], ctypes.addressof(packed)
    for param in kernel.signature.params:
        at += -(at - ctypes.addressof(packed)) % param.align
        places.append(at)
        at += param.n_bytes
    parameters = (ctypes.c_void_p * max(len(places), 1))(*places)
    cuda: Any = torch.cuda
    with cuda.device(device):
        function = modules.function(ptx, entry, cuda.current_device())
        if shared_bytes:
            _set_shared(driver, function, shared_bytes, name)
        stream = cuda.current_stream().cuda_stream
        modules.write(ptx, cuda.current_device(), stream, constants or {})
        where = (*grid3, *block3, shared_bytes, stream, ctypes.addressof(parameters))

        def launch() -> None:
            if _is_cooperative(ptx, entry):
                (status,) = driver.cuLaunchCooperativeKernel(function, *where)
            else:
                (status,) = driver.cuLaunchKernel(function, *where, 0)
            if int(status):
                raise LaunchError(
                    f"The CUDA driver refused to launch {name!r}: {status}.", hint="check the dimensions."
                )

        if not timed:
            launch()
            return None
        with Stopwatch() as watch:
            launch()
        return watch.seconds()


def _set_shared(driver: Any, function: Any, n_bytes: int, name: str) -> None:
    """Allow more than the 48 KiB that a block may have without being asked for."""
    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    (status,) = driver.cuFuncSetAttribute(function, attribute, n_bytes)
    if int(status):
        raise LaunchError(
            f"Expected shared memory that this GPU has for a block of {name!r}, got {n_bytes} bytes: {status}.",
            hint="use smaller tiles.",
        )


@functools.lru_cache(maxsize=256)
def _is_cooperative(ptx: str, entry: str) -> bool:
    """Whether blocks of the kernel wait for each other, so that all of them have to be resident."""
    body = _body(ptx, rf"\.entry\s+{re.escape(entry)}\s*\(")
    if "call" in body:
        body += "".join(ptx[match.start() :].partition("\n}")[0] for match in re.finditer(r"^.*\.func\b", ptx, re.M))
    return _WAITS_FOR_THE_GRID.search(body) is not None


def _body(ptx: str, head: str) -> str:
    match = re.search(head, ptx)
    return ptx[match.start() :].partition("\n}")[0] if match else ""
