"""Compiled PTX that launches where its tensors are: on the emulator for CPU memory, on the GPU for CUDA tensors.

Not modelled: streams other than PyTorch's current one.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from teachkit.emulator import Kernel, Launch, LoadedModule, load_ptx
from teachkit.emulator.launches import observe_alone, observers
from teachkit.errors import LaunchError


class KernelModule(Mapping[str, "TwoDeviceKernel"]):
    """Kernels of one PTX text. ``names`` maps names in the source to names in the PTX; ``emulated`` is the text for
    the emulator, where that needs more than the driver does; ``messages`` are the compiler's warnings."""

    def __init__(
        self, ptx: str, names: Mapping[str, str] | None = None, emulated: str | None = None, messages: str = ""
    ) -> None:
        self.ptx, self.messages = ptx, messages
        self.names = dict(names or {})
        self._loaded = load_ptx(emulated or ptx)

    @property
    def emulated(self) -> LoadedModule:
        """The module as the emulator has it."""
        return self._loaded

    def __getitem__(self, name: str) -> TwoDeviceKernel:
        lowered = self.names.get(name, name)
        if lowered not in list(self._loaded):
            raise LaunchError(
                f"Expected the name of a kernel, got {name!r}; there is {', '.join(self) or 'none'}.",
                hint="a template kernel has to be named in instantiate=[...].",
            )
        return TwoDeviceKernel(self, self._loaded[lowered], name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names or self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


class TwoDeviceKernel:
    """One kernel. ``kernel[grid, block](*args)`` or ``kernel[grid, block, shared_bytes](*args)``."""

    def __init__(self, owner: KernelModule, kernel: Kernel, name: str) -> None:
        self.owner, self.kernel, self.name = owner, kernel, name

    def __getitem__(self, dims: tuple[Any, ...]) -> Any:
        if not isinstance(dims, tuple) or len(dims) not in (2, 3):
            raise LaunchError(
                f"Expected kernel[grid, block], got kernel[{dims!r}].", hint="for example kernel[(64, 1), 256](x, y)."
            )
        grid, block, *shared = dims

        def launch(*args: Any) -> Launch | None:
            return self.launch(grid, block, args, shared_bytes=shared[0] if shared else 0)

        return launch

    def launch(
        self,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence[Any],
        *,
        shared_bytes: int = 0,
        argument_names: Sequence[str] | None = None,
    ) -> Launch | None:
        """Launch where the tensors are; see :meth:`teachkit.emulator.Kernel.launch`."""
        on_gpu = [getattr(a, "is_cuda", False) for a in args if hasattr(a, "data_ptr")]
        if any(on_gpu) and not all(on_gpu):
            raise LaunchError(
                f"Expected the tensors of kernel {self.name!r} on one device, got CPU and CUDA tensors.",
                hint="move them all with .to(tk.device()).",
            )
        if not any(on_gpu):
            return self._emulate(grid, block, args, shared_bytes, argument_names)
        return self._on_gpu(grid, block, args, shared_bytes, argument_names)

    def _emulate(self, grid: Any, block: Any, args: Any, shared_bytes: int, names: Any) -> Launch | None:
        return self.kernel.launch(grid, block, args, shared_bytes=shared_bytes, argument_names=names, name=self.name)

    def _on_gpu(self, grid: Any, block: Any, args: Any, shared_bytes: int, names: Any) -> Launch | None:
        """Launch on the hardware; for observers also time it, and count it on the emulator with copies."""
        from teachkit.frontends.triton_hardware import cpu_copies

        watching = observers()
        copies = cpu_copies(tuple(args)) if watching else ()
        seconds = self._drive(grid, block, args, shared_bytes, timed=bool(watching))
        if not watching:
            return None
        seen: list[Launch] = []
        with observe_alone(seen.append):
            self._emulate(grid, block, copies, shared_bytes, names)
        for launch in seen:
            launch.seconds = seconds
            for callback in watching:
                callback(launch)
        return seen[0] if seen else None

    def _drive(self, grid: Any, block: Any, args: Sequence[Any], shared_bytes: int, *, timed: bool) -> float | None:
        """``cuLaunchKernel`` on PyTorch's current stream; seconds between two events where ``timed``."""
        import torch
        from cuda.bindings import driver

        function = _driver_function(self.owner.ptx, self.kernel.name)
        kinds = tuple(_KINDS[p.type[0] == "f", p.n_bytes] for p in self.kernel.signature.params)
        values = tuple(a.data_ptr() if hasattr(a, "data_ptr") else a or 0 for a in args)
        cuda: Any = torch.cuda
        stream = cuda.current_stream()
        start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        start.record(stream)
        handle = stream.cuda_stream
        (status,) = driver.cuLaunchKernel(
            function, *three(grid), *three(block), shared_bytes, handle, (values, kinds), 0
        )
        if int(status):
            raise LaunchError(
                f"The CUDA driver refused to launch {self.name!r}: {status}.", hint="check the dimensions."
            )
        end.record(stream)
        if not timed:
            return None
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3


_KINDS = {
    (False, 1): ctypes.c_uint8,
    (False, 2): ctypes.c_uint16,
    (False, 4): ctypes.c_uint32,
    (False, 8): ctypes.c_uint64,
    (True, 4): ctypes.c_float,
    (True, 8): ctypes.c_double,
}


@functools.lru_cache(maxsize=256)
def _driver_function(ptx: str, name: str) -> Any:
    import torch
    from cuda.bindings import driver

    torch.cuda.current_stream()  # makes the context that the module is loaded into
    status, module = driver.cuModuleLoadData(ptx.encode() + b"\0")
    if not int(status):
        status, function = driver.cuModuleGetFunction(module, name.encode())
    if int(status):
        raise LaunchError(f"The CUDA driver could not load {name!r}: {status}.", hint="is the PTX for this GPU?")
    return function


def three(dims: int | Sequence[int]) -> tuple[int, int, int]:
    """One to three sizes as three, x first."""
    x, y, z = (*((dims,) if isinstance(dims, int) else dims), 1, 1)[:3]
    return x, y, z
