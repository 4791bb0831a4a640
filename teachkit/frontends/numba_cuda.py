"""``@tk.cuda.jit``: Numba-CUDA kernels on the emulator, or on the GPU where their arrays are there.

Everything else of ``numba.cuda`` (``grid``, ``threadIdx``, ``shared``, ``syncthreads``, ``atomic`` ...) is found here
under the same name, so that ``from teachkit import cuda`` reads like ``from numba import cuda``; inside a kernel
either name works, ``tk.cuda`` does not. No driver is asked for anything: ``cuda.to_device`` and what else needs one
works on a GPU, and without one after ``cuda.emulate()`` (:mod:`teachkit.frontends.numba_emulation`).
Not modelled: streams, dynamic parallelism; on a GPU, exceptions raised in kernels.
"""

from __future__ import annotations

import ctypes
import functools
import inspect
import sys
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from teachkit.errors import CompileError, LaunchError, MissingCompilerError
from teachkit.frontends.numba_emulation import emulate
from teachkit.frontends.target import architecture
from teachkit.frontends.two_devices import KernelModule, TwoDeviceKernel

__all__ = ["NumbaKernel", "emulate", "jit"]

_OPTIONS = ("debug", "opt", "fastmath", "forceinline", "max_registers", "launch_bounds", "link")
_WITHOUT_EFFECT = ("lineinfo", "lto", "cache", "inline", "shared_memory_carveout")  # lines are always there
_DEFAULT_BLOCK = 256


_OF_A_DRIVER = (
    "to_device", "device_array", "device_array_like", "pinned_array", "mapped_array", "managed_array", "stream",
    "event", "synchronize", "current_context", "get_current_device", "select_device",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    found = getattr(_numba_cuda(), name)
    return _with_driver(name, found) if name in _OF_A_DRIVER else found


def _with_driver(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Numba's function, which says what to do where there is no driver for it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not _numba_cuda().is_available():
            raise LaunchError(
                f"Expected a CUDA driver for cuda.{name}, and there is none here.",
                hint="call teachkit.cuda.emulate() first, or pass NumPy arrays and CPU tensors to kernels as they are.",
            )
        return function(*args, **kwargs)

    return call


@functools.cache
def _numba_cuda() -> Any:
    try:
        from numba import cuda

        cuda.compile  # noqa: B018  # the CUDA part of old Numba has no such function
    except (ImportError, AttributeError) as error:
        raise MissingCompilerError("Numba-CUDA", str(error)) from error
    return cuda


def jit(signature: Any = None, *, device: bool = False, **options: Any) -> Any:
    """Make a kernel of a Python function.

    Parameters
    ----------
    signature : callable, str, Numba signature, tuple of types, or list of these, optional
        The function itself, where the decorator has no arguments: then it is compiled for the types it is launched
        with. Or what it is to be compiled for, at once: ``"void(float32[:], int32)"``, ``(float32[:], int32)``.
    device : bool
        Make a function for kernels to call instead.
    **options
        ``debug`` (exceptions raised in the kernel are raised here, on the emulator), ``opt``, ``fastmath``,
        ``forceinline``, ``max_registers``, ``launch_bounds``, ``link`` (CUDA C++ or PTX files): as in
        ``numba.cuda.jit``. Its ``lineinfo`` is always on; ``lto``, ``cache``, ``inline`` and
        ``shared_memory_carveout`` change nothing here.

    Returns
    -------
    NumbaKernel
        ``kernel[grid, block](*args)`` with NumPy arrays, CPU tensors, numbers and tuples of them on the emulator, CUDA
        tensors on the GPU. For ``device=True``, Numba's own device function.

    Raises
    ------
    CompileError
        Where Numba refuses the function; its message is shown.

    Examples
    --------
    >>> import numpy as np
    >>> from teachkit import cuda
    >>> @cuda.jit
    ... def double(x):
    ...     i = cuda.grid(1)
    ...     if i < x.size:
    ...         x[i] *= 2
    """
    unknown = [name for name in options if name not in (*_OPTIONS, *_WITHOUT_EFFECT)]
    if unknown:
        raise LaunchError(
            f"Expected options of a kernel ({', '.join((*_OPTIONS, *_WITHOUT_EFFECT))}), got {', '.join(unknown)}.",
            hint="a signature comes first, without a name.",
        )
    is_function = inspect.isfunction(signature)
    signatures = [] if is_function or signature is None else _signatures(signature)

    def decorate(function: Callable[..., None]) -> Any:
        if device:
            kept = {name: options[name] for name in ("fastmath", "opt", "debug", "inline", "link") if name in options}
            return _numba_cuda().jit(device=True, **kept)(_with_numbas_names(function))
        kernel = NumbaKernel(function, {name: options[name] for name in _OPTIONS if name in options})
        for declared in signatures:
            kernel.declare(declared)
        return kernel

    return decorate(signature) if is_function else decorate


def _signatures(given: Any) -> list[tuple[Any, ...]]:
    """Tuples of Numba's types."""
    from numba.cuda.core import sigutils

    found = []
    for one in given if isinstance(given, list) else [given]:
        try:
            arguments, returned = sigutils.normalize_signature(one)
        except Exception as error:  # Numba evaluates the text of a signature, so anything may come
            raise CompileError("a signature of Numba", f"{one!r}: {error}") from error
        if returned is not None and str(returned) not in ("none", "void"):
            raise CompileError("a signature of Numba", f"a kernel returns void, not {returned}")
        found.append(arguments)
    return found


class _Compiled(NamedTuple):
    """A kernel for some types of arguments."""

    kernel: TwoDeviceKernel
    parameter_names: list[str]
    exception_of: Callable[[int], tuple[Any, Any, Any]]  # of the code that it leaves: class, arguments, location


class NumbaKernel:
    """A kernel written in Python, and what was compiled of it, by argument types."""

    def __init__(self, function: Callable[..., None], options: dict[str, Any]) -> None:
        self.py_func, self.options = _with_numbas_names(function), options
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.parameters = list(inspect.signature(function).parameters)
        self.declared: list[tuple[Any, ...]] = []
        self._compiled: dict[Any, _Compiled] = {}

    def __getitem__(self, dims: tuple[Any, ...]) -> Callable[..., Any]:
        if not isinstance(dims, tuple) or not 2 <= len(dims) <= 4:
            raise LaunchError(
                f"Expected kernel[grid, block], got kernel[{dims!r}].", hint="for example kernel[(64, 1), 256](x, y)."
            )
        grid, block, _stream, shared_bytes = (*dims, None, 0)[:4] if len(dims) < 4 else dims

        def launch(*args: Any) -> Any:
            return self._launch(grid, block, int(shared_bytes or 0), args)

        return launch

    def __call__(self, *args: Any) -> Any:
        """Refused: a kernel needs a grid."""
        raise LaunchError(
            f"Expected a grid and a block for kernel {self.__name__!r}, got a plain call.",
            hint=f"for example {self.__name__}[64, 256](...), or {self.__name__}.forall(n)(...).",
        )

    def forall(self, n: int, tpb: int = 0, stream: Any = None, sharedmem: int = 0) -> Callable[..., Any]:
        """A launch of at least ``n`` threads in one dimension, ``tpb`` (by default 256) in a block."""
        if n < 0:
            raise LaunchError(f"Expected a number of threads, got {n}.", hint="it is negative.")
        block = tpb or _DEFAULT_BLOCK
        return self[(n + block - 1) // block, block, stream, sharedmem]

    def declare(self, signature: tuple[Any, ...]) -> None:
        """Compile for these types now; from then on only declared types are taken."""
        if len(signature) != len(self.parameters):
            raise CompileError(
                "a signature of Numba",
                f"{self.__name__} has {len(self.parameters)} parameters, the signature {len(signature)}",
            )
        self.declared.append(signature)
        self.compile(signature)

    @property
    def signatures(self) -> list[tuple[Any, ...]]:
        """Argument types that it is compiled for."""
        return [types for types, _ in self._compiled]

    def inspect_asm(self, signature: tuple[Any, ...] | None = None) -> Any:
        """PTX by argument types, or for some of them."""
        texts = {types: compiled.kernel.owner.ptx for (types, _), compiled in self._compiled.items()}
        return texts if signature is None else texts[signature]

    def _launch(self, grid: Any, block: Any, shared_bytes: int, args: Sequence[Any]) -> Any:
        from teachkit.frontends.numba_types import flatten

        if len(args) != len(self.parameters):
            raise LaunchError(
                f"Expected {len(self.parameters)} arguments for kernel {self.__name__!r} "
                f"({', '.join(self.parameters)}), got {len(args)}.",
                hint="a kernel takes no default and no keyword arguments.",
            )
        signature = self._signature_for(args)
        compiled = self._compile(signature)
        kernel = compiled.kernel
        after: list[Callable[[], None]] = []
        values: list[Any] = []
        for name, ty, value in zip(self.parameters, signature, args, strict=True):
            values += flatten(name, ty, value, after)
        watch = self._error_code(kernel) if self.options.get("debug") else None
        launched = kernel.launch(
            grid, block, values, shared_bytes=shared_bytes, argument_names=compiled.parameter_names
        )
        for action in after:
            action()
        if watch is not None and watch.value:
            raise self._exception(compiled, watch.value)
        return launched

    def _signature_for(self, args: Sequence[Any]) -> tuple[Any, ...]:
        from teachkit.frontends.numba_types import check, type_of

        given = tuple(type_of(name, value) for name, value in zip(self.parameters, args, strict=True))
        if not self.declared or given in self.declared:
            return given
        refusal: LaunchError | None = None
        for signature in self.declared:
            try:
                for name, ty, value in zip(self.parameters, signature, args, strict=True):
                    check(name, ty, value)
            except LaunchError as error:
                refusal = refusal or error
            else:
                return signature
        assert refusal is not None
        raise refusal

    def compile(self, signature: tuple[Any, ...]) -> TwoDeviceKernel:
        """The kernel for argument types of Numba, for example ``(float32[::1], int64)``."""
        return self._compile(signature).kernel

    def _compile(self, signature: tuple[Any, ...]) -> _Compiled:
        key = (signature, architecture())
        found = self._compiled.get(key)
        if found is None:
            from teachkit.frontends.numba_adapter import CompiledKernel, compile_kernel
            from teachkit.frontends.numba_types import all_parameter_names

            _numba_cuda()
            from numba.core.errors import NumbaError as NumbaCpuError  # from typing that both of Numba's parts use
            from numba.cuda.core.errors import NumbaError

            def compile_for(arch: int) -> CompiledKernel:
                try:
                    return compile_kernel(self.py_func, signature, divmod(arch, 10), self.options)
                except (NumbaError, NumbaCpuError) as error:
                    raise CompileError("a Numba-CUDA kernel", str(error)) from error

            _take_later_names()
            made = compile_for(architecture())
            # Numba numbers what it compiles, so that each compilation has names of its own.
            module = KernelModule(made.ptx, compile_for=lambda arch, _: compile_for(arch).loadable)
            kernel = TwoDeviceKernel(module, module.emulated[made.name], self.__name__)
            names = all_parameter_names(self.parameters, signature)
            found = self._compiled[key] = _Compiled(kernel, names, made.exception_of)
        return found

    def _error_code(self, kernel: TwoDeviceKernel) -> ctypes.c_int32:
        """Where a kernel compiled for debugging leaves the number of an exception; cleared."""
        code = self._global(kernel, "errcode")
        code.value = 0
        return code

    def _exception(self, compiled: _Compiled, code: int) -> BaseException:
        """What the kernel raised, with the thread that did."""
        kernel = compiled.kernel
        kind, arguments, location = compiled.exception_of(code)
        thread = tuple(self._global(kernel, f"tid{axis}").value for axis in "xyz")
        block = tuple(self._global(kernel, f"ctaid{axis}").value for axis in "xyz")
        where = f"in block {block}, thread {thread}"
        if location is not None:
            where = f"{location[1]}:{location[2]}, {where}"
        said, *others = arguments or ("",)
        raised: BaseException = kind(f"{said} ({where})".strip(), *others)
        return raised

    @staticmethod
    def _global(kernel: TwoDeviceKernel, what: str) -> ctypes.c_int32:
        _, address, _ = kernel.owner.emulated.variables[f"{kernel.kernel.name}__{what}__"]
        return ctypes.c_int32.from_address(address)


def _with_numbas_names(function: Callable[..., None]) -> Callable[..., None]:
    """The function with ``numba.cuda`` where its globals name this module: Numba types that module by identity."""
    this = sys.modules[__name__]
    changed = {name: _numba_cuda() for name, value in function.__globals__.items() if value is this}
    if not changed:
        return function
    twin = types.FunctionType(
        function.__code__,
        {**function.__globals__, **changed},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    twin.__qualname__, twin.__module__, twin.__doc__ = function.__qualname__, function.__module__, function.__doc__
    _twins[twin] = function
    return twin


_twins: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _take_later_names() -> None:
    """Give twins what their modules have defined since: the function itself where it calls itself, helpers below it."""
    for twin, function in list(_twins.items()):
        for name in function.__code__.co_names:
            if name not in twin.__globals__ and name in function.__globals__:
                twin.__globals__[name] = function.__globals__[name]
