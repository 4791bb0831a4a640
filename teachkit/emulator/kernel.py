"""Loaded PTX, its kernels, and how one is launched: ``load_ptx(text)["name"][grid, block](*args)``."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from teachkit.emulator import launches
from teachkit.emulator.arguments import Arguments, Parameters
from teachkit.emulator.cluster_size import size_of
from teachkit.emulator.launches import Launch, Resources
from teachkit.emulator.ptx import parse
from teachkit.emulator.ptx.model import Function, Module
from teachkit.emulator.signatures import signatures
from teachkit.errors import LaunchError

Dims = tuple[int, int, int]

MAX_THREADS_PER_BLOCK = 1024
MAX_CLUSTER = (2**31 - 1,) * 3  # what is too large for the kernel is said there
MAX_GRID = (2**31 - 1, 65535, 65535)  # CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"


def load_ptx(text: str) -> LoadedModule:
    """Load PTX for the emulator.

    Parameters
    ----------
    text : str
        One PTX file, as Triton, NVRTC, NVVM or a person wrote it.

    Returns
    -------
    LoadedModule
        Its kernels by name: ``load_ptx(text)["add"][grid, block](x, y, out, n)``.

    Raises
    ------
    PtxSyntaxError
        Where the text is not PTX. Instructions are looked at when a kernel is first launched.
    """
    return LoadedModule(text)


class LoadedModule(Mapping[str, "Kernel"]):
    """The kernels of one PTX file by name.

    Two things that a front end may know, for :func:`teachkit.emulator.check`: ``sources``, text of files by name where
    it is on no disk, and ``has_replicated_scalars``, whether every thread loads what the program loads once (Triton).
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.sources: dict[str, str] = {}
        self.has_replicated_scalars = False
        found, module = signatures(text)
        if module is not None:
            self.module = module
        self._kernels = {name: Kernel(self, signature) for name, signature in found.items()}

    def __getitem__(self, name: str) -> Kernel:
        try:
            return self._kernels[name]
        except KeyError:
            raise LaunchError(
                f"Expected the name of a kernel, got {name!r}; the module has {', '.join(self._kernels) or 'none'}.",
                hint='C++ kernels have mangled names unless they are declared extern "C".',
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._kernels)

    def __len__(self) -> int:
        return len(self._kernels)

    @functools.cached_property
    def module(self) -> Module:
        """All that the text says; read when it is first asked for, where the kernels' signatures are on disk."""
        return parse(self.text)

    @functools.cached_property
    def architecture(self) -> int:
        """Compute capability that the code was made for, without the dot; the rest of the text is not read for it."""
        found = re.search(r"^\s*\.target\s+sm_(\d+)", self.text, re.MULTILINE)
        return int(found[1]) if found else 0

    @functools.cached_property
    def variables(self) -> dict[str, Any]:
        """Memory of the module's global and constant variables, made once."""
        from teachkit.emulator.engine.launcher import allocate_variables

        return allocate_variables(self.module)


class Kernel:
    """One kernel. ``kernel[grid, block](*args)`` launches it; grid and block are ints or up to three of them.

    ``signature`` is its function without the body: parameters and directives.
    """

    def __init__(self, owner: LoadedModule, signature: Function) -> None:
        self.owner, self.signature = owner, signature
        self.name = signature.name

    @functools.cached_property
    def function(self) -> Function:
        """The whole function."""
        return self.owner.module.functions[self.name]

    @functools.cached_property
    def parameters(self) -> Parameters:
        """What packs its arguments."""
        return Parameters(self.signature)

    def __getitem__(self, dims: tuple[Any, ...]) -> Callable[..., Launch | None]:
        if not isinstance(dims, tuple) or len(dims) not in (2, 3):
            raise LaunchError(
                f"Expected kernel[grid, block], got kernel[{dims!r}].", hint="for example kernel[(64, 1), 256](x, y)."
            )
        grid, block, *shared = dims
        return functools.partial(self._call, grid, block, shared[0] if shared else 0)

    def _call(self, grid: Any, block: Any, shared_bytes: int, *args: Any) -> Launch | None:
        return self.launch(grid, block, args, shared_bytes=shared_bytes)

    def launch(
        self,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence[Any] | Arguments,
        *,
        shared_bytes: int = 0,
        argument_names: Sequence[str] | None = None,
        name: str | None = None,
        resources: Resources | Callable[[], Resources] | None = None,
        cluster: int | Sequence[int] | None = None,
    ) -> Launch | None:
        """Run the kernel to its end.

        Parameters
        ----------
        grid, block : int or sequence of int
            Blocks of the grid and threads of a block, x first.
        args : sequence or Arguments
            One a PTX parameter: torch CPU tensors, NumPy arrays, ints, floats, bools, None for a null pointer. Or all
            of them packed, with the memory that they may touch.
        shared_bytes : int
            Dynamic shared memory of a block, bytes, on top of what the PTX declares.
        argument_names : sequence of str, optional
            What error messages call the arguments; by default the PTX parameters' names.
        name : str, optional
            What reports call the kernel.
        resources : Resources or callable, optional
            Registers and occupancy, for the report.
        cluster : int or sequence of int, optional
            Blocks of a cluster, x first; by default what the kernel was compiled for (``.reqnctapercluster``).

        Returns
        -------
        Launch or None
            The report where somebody observes (:func:`teachkit.emulator.observe`), else None.

        Raises
        ------
        KernelFault
            For an access out of bounds or misaligned, a barrier that not all warps reach, or a trap.
        LaunchError
            For arguments or dimensions that do not fit.
        UnsupportedInstruction
            For PTX that is not on the whitelist.
        """
        from teachkit.emulator.engine.launcher import run

        name = name or self.name
        grid3, block3 = self.checked_dims(grid, block, name)
        asked = None if cluster is None else self._dims(cluster, MAX_CLUSTER, "cluster", name)
        cluster3 = size_of(self.signature, grid3, asked, name)
        if shared_bytes < 0:
            raise LaunchError(
                f"Expected a number of bytes of shared memory for kernel {name!r}, got {shared_bytes}.",
                hint="what the kernel declares itself is not to be counted in.",
            )
        bound = args if isinstance(args, Arguments) else self.parameters.bind(args, argument_names, name)
        for trace in tuple(launches.tracers):
            trace(self, grid3, block3, bound, shared_bytes, name, cluster3)
        watching = launches.observers()
        launch = run(
            self,
            grid3,
            block3,
            bound,
            shared_bytes=shared_bytes,
            counting=bool(watching),
            name=name,
            resources=resources,
            cluster=cluster3,
        )
        if launch is not None:
            for callback in watching:
                callback(launch)
        return launch

    def checked_dims(
        self, grid: int | Sequence[int], block: int | Sequence[int], name: str | None = None
    ) -> tuple[Dims, Dims]:
        """Grid and block in three dimensions, x first.

        Raises
        ------
        LaunchError
            For what no launch of this kernel can have.
        """
        name = name or self.name
        grid3 = self._dims(grid, MAX_GRID, "grid", name)
        block3 = self._dims(block, (1024, 1024, 64), "block", name)
        if block3[0] * block3[1] * block3[2] > MAX_THREADS_PER_BLOCK:
            raise LaunchError(
                f"Expected at most {MAX_THREADS_PER_BLOCK} threads in a block, got {block3}.",
                hint="use more blocks of fewer threads.",
            )
        required = self.signature.directives.get("reqntid")
        if required and (*required, 1, 1)[:3] != block3:
            raise LaunchError(
                f"Expected the block {(*required, 1, 1)[:3]} that kernel {name!r} was compiled for, got {block3}.",
                hint="the PTX says .reqntid; launch with that, or compile for another.",
            )
        most = math.prod(self.signature.directives.get("maxntid", ())[:3])
        if "maxntid" in self.signature.directives and math.prod(block3) > most:
            raise LaunchError(
                f"Expected at most the {most} threads a block that kernel {name!r} was compiled for, got {block3}.",
                hint="launch smaller blocks, or give the kernel larger __launch_bounds__.",
            )
        return grid3, block3

    def _dims(self, dims: int | Sequence[int], limits: Dims, what: str, name: str) -> Dims:
        if type(dims) is tuple and len(dims) == 3:  # what front ends pass, checked fast
            x, y, z = dims
            if (
                type(x) is type(y) is type(z) is int
                and 0 < x <= limits[0]
                and 0 < y <= limits[1]
                and 0 < z <= limits[2]
            ):
                return dims
        if type(dims) is int and 0 < dims <= limits[0]:
            return dims, 1, 1
        numbers: tuple[Any, ...] = tuple(dims) if isinstance(dims, Iterable) else (dims,)
        if not 1 <= len(numbers) <= 3 or not all(hasattr(n, "__index__") for n in numbers):
            raise LaunchError(
                f"Expected one to three ints as the {what} of kernel {name!r}, got {dims!r}.",
                hint="round up with (n + block - 1) // block, which gives an int.",
            )
        x, y, z = (*(int(n) for n in numbers), 1, 1)[:3]
        for axis, size, limit in zip("xyz", (x, y, z), limits, strict=True):
            least = 0 if what == "grid" else 1
            if not least <= size <= limit:
                raise LaunchError(
                    f"Expected {least} to {limit} for {what}.{axis} of kernel {name!r}, got {size}.",
                    hint="CUDA has the same limits; put the large dimension on x."
                    if size > limit
                    else "a size is negative or zero: check the division that made it.",
                )
        return x, y, z

    def __repr__(self) -> str:
        params = ", ".join(f".{p.type} {p.name}" for p in self.signature.params)
        return f"Kernel({self.name}({params}))"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How launches run: ``n_threads`` worker threads, ``time_limit_s`` seconds (None for no limit), and the modelled
    ``gpu`` whose caches price the traffic (None for the A100, or one that is new enough for the kernel's code)."""

    n_threads: int | None = None
    time_limit_s: float | None = None
    gpu: str | None = None


settings = Settings()


def configure(**changes: Any) -> Settings:
    """Change :class:`Settings` for the launches that follow; returns the old ones."""
    global settings
    old = settings
    settings = dataclasses.replace(old, **changes)
    return old
