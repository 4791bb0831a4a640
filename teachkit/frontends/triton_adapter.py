"""The one module that touches what Triton keeps private: the registry of back ends, and compiled kernels.

Holds for Triton 3.7 to 3.9; tests/frontends/test_triton_adapter.py probes each thing used here, so that a version in
which it looks different is named. The launcher's call and the plug-in's classes are Triton's own interface.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from teachkit.errors import LaunchError


@dataclasses.dataclass(frozen=True)
class Argument:
    """One value that a launch hands to the kernel: where it stands in the call, its name and its Triton type.

    ``path`` indexes the bound arguments, then the tuples inside them. ``type_name`` is Triton's spelling: ``"*fp32"``,
    ``"i32"``, ``"u1"``, ``"fp16"``, ``"tensordesc<...>"``.
    """

    path: tuple[int, ...]
    name: str
    type_name: str


def claim_cuda_target() -> None:
    """Have kernels for target ``cuda`` compiled by our back end, in place of NVIDIA's.

    Triton programs and libraries ask for the target's name, so it has to read ``cuda``; two back ends must not both
    accept it.
    """
    from triton.backends import backends

    from teachkit.frontends.triton_backend.compiler import EmulatorBackend

    nvidia = backends.get("nvidia")
    if nvidia is None or issubclass(nvidia.compiler, EmulatorBackend):
        return
    cuda_backend = type("EmulatorBackendForCuda", (EmulatorBackend,), {"backend": "cuda"})
    backends["nvidia"] = dataclasses.replace(nvidia, compiler=cuda_backend)


def install_lazy_binaries() -> None:
    """Let compiled kernels assemble their cubin and count their registers when somebody asks, not at every compile.

    Afterwards ``asm["cubin"]`` and ``asm["sass"]`` of our kernels exist on demand, and ``n_regs`` and ``n_spills`` may
    be set to a function of no argument.
    """
    from triton.compiler.compiler import AsmDict, CompiledKernel

    if isinstance(CompiledKernel.__dict__.get("n_regs"), _LazyAttribute):
        return
    CompiledKernel.n_regs = _LazyAttribute("n_regs")
    CompiledKernel.n_spills = _LazyAttribute("n_spills")
    original = AsmDict.__missing__

    @functools.wraps(original)
    def missing(self: Any, key: str) -> Any:
        from teachkit.frontends.resources import assemble
        from teachkit.frontends.triton_backend.compiler import BINARY_EXTENSION

        if key == "cubin" and BINARY_EXTENSION in self:
            self[key] = assemble(self["ptx"]).cubin
            return self[key]
        return original(self, key)

    AsmDict.__missing__ = missing


def price_graphs() -> None:
    """Let ``triton.testing.do_bench_cudagraph`` model the time of emulated kernels, which no graph can hold."""
    from triton import testing
    from triton.runtime import driver

    original = testing.do_bench_cudagraph

    @functools.wraps(original)
    def do_bench_cudagraph(*args: Any, **kwargs: Any) -> Any:
        from teachkit.frontends.triton_backend.clock import DeviceInterface, benchmark_graph

        is_emulated = driver.active.get_device_interface() is DeviceInterface
        return (benchmark_graph if is_emulated else original)(*args, **kwargs)

    testing.do_bench_cudagraph = do_bench_cudagraph


class _LazyAttribute:
    """Attribute that may hold a function of no argument: the first read replaces it by its value."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        try:
            value = instance.__dict__[self.name]
        except KeyError:
            raise AttributeError(self.name) from None
        if callable(value):
            value = instance.__dict__[self.name] = value()
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = value


def runtime_arguments(source: Any) -> list[Argument]:
    """Arguments of a kernel that exist at run time, in the order of its PTX parameters.

    Parameters
    ----------
    source : triton.compiler.ASTSource
        What was compiled: its ``signature`` maps each parameter's name to a type name, or to a tuple of them.
    """

    def walk(path: tuple[int, ...], name: str, kind: Any) -> Iterator[Argument]:
        if isinstance(kind, tuple):
            for index, inner in enumerate(kind):
                yield from walk((*path, index), f"{name}[{index}]", inner)
        elif kind != "constexpr":
            yield Argument(path, name, kind)

    return [
        argument
        for index, (name, kind) in enumerate(source.signature.items())
        for argument in walk((index,), str(name), kind)
    ]


def descriptor_rank(type_name: str) -> int:
    """Number of axes of a descriptor's type.

    >>> descriptor_rank("tensordesc<fp16[64, 32]>")
    2
    """
    return type_name[type_name.index("[") : type_name.index("]")].count(",") + 1


def n_ptx_parameters(ptx: str) -> int:
    """Parameters of the one kernel in Triton's PTX, the hidden ones included."""
    head = ptx[ptx.index(".visible .entry") :]
    return head[: head.index(")")].count(".param")


def scratch_allocator(metadata: Any) -> Callable[[int, int], list[Any]] | None:
    """Return what makes the buffers behind the two hidden pointers of a kernel, or ``None`` if it needs none.

    Parameters
    ----------
    metadata : namedtuple
        Of the compiled kernel.

    Returns
    -------
    callable or None
        Takes the number of programs of a launch and its stream, and returns ``[global_scratch, profile_scratch]``:
        buffers of Triton's own allocator (``triton.set_allocator``), as on a GPU, or ``None``.
    """
    from triton.runtime import _allocation

    sizes = [
        (getattr(metadata, f"{kind}_scratch_size", 0) or 0, getattr(metadata, f"{kind}_scratch_align", 1) or 1)
        for kind in ("global", "profile")
    ]
    if not any(size for size, _ in sizes):
        return None
    allocators = [_allocation._allocator, getattr(_allocation, "_profile_allocator", None)]

    def allocate(n_programs: int, stream: int) -> list[Any]:
        return [
            _in_host_memory(allocator.get()(n_programs * metadata.num_ctas * size, align, stream))
            if size and allocator
            else None
            for (size, align), allocator in zip(sizes, allocators, strict=True)
        ]

    return allocate


def _in_host_memory(buffer: Any) -> Any:
    """Room for the emulator where a program's allocator gives out a GPU's memory: a second run, which only counts."""
    if not getattr(buffer, "is_cuda", False):
        return buffer
    import torch

    return torch.empty(buffer.shape, dtype=buffer.dtype)


def cached_ptx(metadata: Any) -> str:
    """PTX text of a kernel that NVIDIA's back end compiled, from Triton's disk cache.

    Such kernels exist where ``triton.compile`` ran for target ``cuda`` before anything was launched.

    Raises
    ------
    LaunchError
        If the cache does not hold it any more.
    """
    from triton.runtime.cache import get_cache_manager

    path = (get_cache_manager(metadata.hash).get_group(f"{metadata.name[:150]}.json") or {}).get(
        f"{metadata.name[:150]}.ptx"
    )
    if path is None:
        raise LaunchError(
            f"expected the PTX of {metadata.name} in Triton's cache, found only a cubin, which the emulator cannot run",
            hint="compile the kernel again, after triton.runtime.driver.active has been used once",
        )
    return Path(path).read_text()


@contextlib.contextmanager
def launches_wrapped(around: Callable[..., Any]) -> Iterator[None]:
    """Call ``around`` in place of every ``kernel[grid](...)`` while the block runs, on every thread.

    ``around(run, function, args, kwargs, grid)`` is given the original ``run(*args, grid=..., warmup=..., **kwargs)``
    bound to its ``JITFunction``, and returns what that returns. Compilations without a launch and the trial launches of
    autotuning go past it.
    """
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.jit import JITFunction

    original_run, original_bench = JITFunction.run, Autotuner._bench
    tuning = contextvars.ContextVar("tuning", default=False)

    @functools.wraps(original_run)
    def run(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
        if warmup or tuning.get():
            return original_run(self, *args, grid=grid, warmup=warmup, **kwargs)
        return around(functools.partial(original_run, self), self, args, kwargs, grid)

    @functools.wraps(original_bench)
    def bench(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = tuning.set(True)
        try:
            return original_bench(self, *args, **kwargs)
        finally:
            tuning.reset(token)

    JITFunction.run, Autotuner._bench = run, bench
    try:
        yield
    finally:
        JITFunction.run, Autotuner._bench = original_run, original_bench


def compile_for_emulator(compiled: Any, options: dict[str, Any]) -> Any:
    """Compile a kernel once more, for the modelled GPU.

    Parameters
    ----------
    compiled : triton.compiler.CompiledKernel
        What Triton compiled for the real GPU: its source and specialisation are taken over.
    options : dict
        Launch options such as ``num_warps``, as the program gave them.

    Returns
    -------
    triton.compiler.CompiledKernel
        The kernel for the modelled GPU.
    """
    import triton
    from triton.backends.compiler import GPUTarget

    from teachkit.frontends.target import architecture

    return triton.compile(compiled.src, target=GPUTarget("cpu", architecture(), 32), options=options)
