"""Compiled PTX that launches where its tensors are: on the emulator for CPU memory, on the GPU for CUDA tensors.

Not modelled: streams other than PyTorch's current one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from teachkit.emulator import Kernel, Launch, LoadedModule, launches, load_ptx
from teachkit.emulator.arguments import memory_of
from teachkit.emulator.checks import session
from teachkit.emulator.launches import observe_alone, observers
from teachkit.errors import LaunchError
from teachkit.frontends import gpu_launch
from teachkit.frontends.cuda_signatures import Parameter, check_arguments
from teachkit.frontends.gpu_modules import GpuModules
from teachkit.frontends.target import architecture


class KernelModule(Mapping[str, "TwoDeviceKernel"]):
    """Kernels of one PTX text.

    Parameters
    ----------
    ptx : str
        For the modelled GPU.
    names : mapping, optional
        Names in the source to names in the PTX.
    emulated : str, optional
        The text for the emulator, where that needs more than the driver does.
    compile_for : callable, optional
        Architecture, such as 75, and a name in the PTX to PTX for it and the name there: for GPUs older than the
        modelled one.
    messages : str, optional
        The compiler's warnings.
    """

    def __init__(
        self,
        ptx: str,
        names: Mapping[str, str] | None = None,
        emulated: str | None = None,
        compile_for: Callable[[int, str], tuple[str, str]] | None = None,
        messages: str = "",
    ) -> None:
        self.ptx, self.messages = ptx, messages
        self.names = dict(names or {})
        self.parameters: dict[str, tuple[Parameter, ...]] = {}  # of kernels, where their source says
        self._loaded = load_ptx(emulated or ptx)
        self._architecture, self._compile_for = architecture(), compile_for
        self._older: dict[tuple[int, str], tuple[str, str]] = {}
        self.on_gpu = GpuModules()
        self._host_wrote: set[str] = set()

    @property
    def emulated(self) -> LoadedModule:
        """The module as the emulator has it."""
        return self._loaded

    def get_global(self, name: str) -> np.ndarray:
        """The bytes of a ``__device__`` or ``__constant__`` variable, to read and to write.

        What is written is there in the next launch, as after ``cudaMemcpyToSymbol``. On a GPU that holds for constants;
        kernels of a module that has been asked for another variable are refused there, where this memory is not.

        Examples
        --------
        >>> import teachkit as tk
        >>> code = "__constant__ float c[2]; __global__ void f(float* x) { x[threadIdx.x] = c[threadIdx.x]; }"
        >>> tk.compile_cuda_c(code).get_global("c").view("f4")[:] = [3, 4]
        """
        variables = self.emulated.variables
        fits = [v for v in variables if v == name or re.fullmatch(rf"_Z(N\d\w*|L)?{len(name)}{re.escape(name)}E?", v)]
        if len(fits) != 1:
            raise LaunchError(
                f"Expected the name of a module's variable, got {name!r}; there is {', '.join(variables) or 'none'}.",
                hint="a variable that no kernel uses is left out by the compiler.",
            )
        self._host_wrote.add(fits[0])
        memory, address, n_bytes = variables[fits[0]]
        at = address - memory.ctypes.data
        return memory[at : at + n_bytes]  # type: ignore[no-any-return]

    def constants(self, kernel: str, device: Any) -> dict[str, bytes]:
        """What the host wrote into ``__constant__`` variables, for a launch on a GPU.

        Raises
        ------
        LaunchError
            Where it may also have written into others, which kernels there would change behind its back.
        """
        found = {}
        for name in self._host_wrote:
            memory, address, n_bytes = self.emulated.variables[name]
            if self.emulated.module.variables[name].space != "const":
                raise LaunchError(
                    f"Expected arrays on the CPU for kernel {kernel!r}, whose module's variable {name!r} was asked for "
                    f"there, got some on {device}.",
                    hint="pass what varies as an argument instead, declare it __constant__, or launch on the emulator.",
                )
            at = address - memory.ctypes.data
            found[name] = memory[at : at + n_bytes].tobytes()
        return found

    def for_gpu(self, capability: int, name: str) -> tuple[str, str]:
        """PTX that a GPU of this compute capability, such as 75, can load, and what kernel ``name`` is called in it.

        PTX is good for newer GPUs than the one it was made for, not for older ones.
        """
        if capability >= self._architecture or self._compile_for is None:
            return self.ptx, name
        if (capability, name) not in self._older:
            self._older[capability, name] = self._compile_for(capability, name)
        return self._older[capability, name]

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
    """One kernel. ``kernel[grid, block](*args)`` or ``kernel[grid, block, shared_bytes](*args)``.

    Where arguments hold addresses (a structure with a pointer, an array of pointers) the arrays that these point into
    are named with ``memory=[...]`` behind the arguments: kernels may touch nothing else.
    """

    def __init__(self, owner: KernelModule, kernel: Kernel, name: str) -> None:
        self.owner, self.kernel, self.name = owner, kernel, name

    def __getitem__(self, dims: tuple[Any, ...]) -> Any:
        if not isinstance(dims, tuple) or len(dims) not in (2, 3):
            raise LaunchError(
                f"Expected kernel[grid, block], got kernel[{dims!r}].", hint="for example kernel[(64, 1), 256](x, y)."
            )
        grid, block, *shared = dims

        def launch(*args: Any, memory: Sequence[Any] = ()) -> Launch | None:
            return self.launch(grid, block, args, shared_bytes=shared[0] if shared else 0, memory=memory)

        return launch

    def __call__(self, *args: Any) -> Any:
        """Refused: a kernel needs a grid."""
        raise LaunchError(
            f"Expected a grid and a block for kernel {self.name!r}, got a plain call.",
            hint="for example kernel[(64, 1), 256](x, y).",
        )

    def launch(
        self,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence[Any],
        *,
        shared_bytes: int = 0,
        argument_names: Sequence[str] | None = None,
        memory: Sequence[Any] = (),
        cluster: int | Sequence[int] | None = None,
    ) -> Launch | None:
        """Launch where the tensors are; see :meth:`teachkit.emulator.Kernel.launch`.

        ``memory``: arrays and tensors that the kernel finds by addresses in its arguments.
        """
        parameters = self.owner.parameters.get(self.name, ())
        if parameters:
            check_arguments(self.name, parameters, args)
            argument_names = argument_names or [parameter.name for parameter in parameters]
        device = gpu_launch.device_of(self.name, (*args, *memory))
        if device is None:
            return self._emulate(grid, block, args, shared_bytes, argument_names, memory, cluster)
        if cluster is not None:
            raise LaunchError(
                f"Expected arrays on the CPU for kernel {self.name!r}, launched with clusters of {cluster}, "
                f"got some on {device}.",
                hint="for launches on a GPU give the kernel __cluster_dims__.",
            )
        if memory and (observers() or launches.tracers or session.active()):
            raise LaunchError(
                f"Expected arrays on the CPU for kernel {self.name!r}, which is counted and finds memory by addresses "
                f"in its arguments, got some on {device}.",
                hint="counting works on copies, where such addresses lead nowhere; pass the arrays as arguments.",
            )
        return self._on_gpu(grid, block, args, shared_bytes, argument_names, device)

    def _emulate(
        self,
        grid: Any,
        block: Any,
        args: Any,
        shared_bytes: int,
        names: Any,
        memory: Sequence[Any] = (),
        cluster: int | Sequence[int] | None = None,
    ) -> Launch | None:
        if memory:
            found = [memory_of(f"memory[{index}]", each) for index, each in enumerate(memory)]
            if None in found:
                raise LaunchError(
                    f"Expected arrays and tensors in memory= for kernel {self.name!r}, "
                    f"got {type(memory[found.index(None)]).__name__}.",
                    hint="name the arrays that pointers among the arguments point into.",
                )
            bound = self.kernel.parameters.bind(args, names, self.name)
            args = dataclasses.replace(bound, others=tuple(each for each in found if each is not None))
        return self.kernel.launch(
            grid, block, args, shared_bytes=shared_bytes, argument_names=names, name=self.name, cluster=cluster
        )

    def _on_gpu(self, grid: Any, block: Any, args: Any, shared_bytes: int, names: Any, device: Any) -> Launch | None:
        """Launch on the hardware; for observers also time it, and count it on the emulator with copies.

        The emulator goes first: what is wrong with a kernel is said there, before it can touch memory that is not its
        own or hang the GPU.
        """
        from teachkit.frontends.triton_hardware import cpu_copies

        constants = self.owner.constants(self.name, device)
        watching = observers()
        seen: list[Launch] = []
        if watching or launches.tracers or session.active():
            with observe_alone(seen.append):
                self._emulate(grid, block, cpu_copies(tuple(args)), shared_bytes, names)
        seconds = gpu_launch.drive(
            *self.owner.for_gpu(_capability(device), self.kernel.name),
            self.kernel,
            grid,
            block,
            args,
            device,
            shared_bytes=shared_bytes,
            name=self.name,
            argument_names=names,
            timed=bool(watching),
            modules=self.owner.on_gpu,
            constants=constants,
        )
        for launch in seen if watching else ():
            launch.seconds = seconds
            for callback in watching:
                callback(launch)
        return seen[0] if seen and watching else None


def _capability(device: Any) -> int:
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor
