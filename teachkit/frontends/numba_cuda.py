"""``@tk.cuda.jit``: Numba-CUDA kernels on the emulator, or on the GPU where their arrays are there.

Everything else of ``numba.cuda`` (``grid``, ``threadIdx``, ``shared``, ``syncthreads``, ``atomic`` ...) is found here
under the same name, so that ``from teachkit import cuda`` reads like ``from numba import cuda``; inside a kernel
either name works, ``tk.cuda`` does not.
Not modelled: streams, dynamic parallelism, cooperative groups, structured arrays.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

from teachkit.errors import CompileError, LaunchError, MissingCompilerError
from teachkit.frontends.target import architecture
from teachkit.frontends.two_devices import KernelModule, TwoDeviceKernel


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_numba_cuda(), name)


@functools.cache
def _numba_cuda() -> Any:
    try:
        from numba import cuda

        cuda.compile  # noqa: B018  # the CUDA part of old Numba has no such function
    except (ImportError, AttributeError) as error:
        raise MissingCompilerError("Numba-CUDA", str(error)) from error
    return cuda


def jit(function: Callable[..., None] | None = None, **options: Any) -> Any:
    """Make a kernel of a Python function; compiled for the types of its arguments when it is launched.

    Parameters
    ----------
    function : callable
        Uses ``numba.cuda``'s intrinsics, returns nothing. Arrays of 1 to 3 dimensions, ints and floats.
    **options
        ``fastmath``, ``opt``, ``debug``: passed to ``numba.cuda.compile``.

    Returns
    -------
    NumbaKernel
        ``kernel[grid, block](*args)`` with NumPy arrays or CPU tensors on the emulator, CUDA tensors on the GPU.

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
    if function is None:
        return functools.partial(jit, **options)
    return NumbaKernel(function, options)


class NumbaKernel:
    """A kernel written in Python, and what was compiled of it, by argument types."""

    def __init__(self, function: Callable[..., None], options: dict[str, Any]) -> None:
        self.py_func, self.options = _with_numbas_names(function), options
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.parameters = list(inspect.signature(function).parameters)
        self._compiled: dict[Any, TwoDeviceKernel] = {}

    def __getitem__(self, dims: tuple[Any, ...]) -> Callable[..., Any]:
        if not isinstance(dims, tuple) or not 2 <= len(dims) <= 4:
            raise LaunchError(
                f"Expected kernel[grid, block], got kernel[{dims!r}].", hint="for example kernel[(64, 1), 256](x, y)."
            )
        grid, block, _stream, shared_bytes = (*dims, None, 0)[:4] if len(dims) < 4 else dims

        def launch(*args: Any) -> Any:
            return self._launch(grid, block, int(shared_bytes or 0), args)

        return launch

    def _launch(self, grid: Any, block: Any, shared_bytes: int, args: Sequence[Any]) -> Any:
        if len(args) != len(self.parameters):
            raise LaunchError(
                f"Expected {len(self.parameters)} arguments for kernel {self.__name__!r} "
                f"({', '.join(self.parameters)}), got {len(args)}.",
                hint="a kernel takes no default and no keyword arguments.",
            )
        kernel = self.compile(tuple(_type_of(n, a) for n, a in zip(self.parameters, args, strict=True)))
        flat = [pair for n, a in zip(self.parameters, args, strict=True) for pair in _flatten(n, a)]
        return kernel.launch(
            grid,
            block,
            [value for _, value in flat],
            shared_bytes=shared_bytes,
            argument_names=[name for name, _ in flat],
        )

    def compile(self, signature: tuple[Any, ...]) -> TwoDeviceKernel:
        """The kernel for argument types of Numba, for example ``(float32[::1], int64)``."""
        key = (signature, architecture())
        if key not in self._compiled:
            cuda = _numba_cuda()
            capability = divmod(architecture(), 10)
            from numba.core.errors import NumbaError

            try:
                ptx, _ = cuda.compile(
                    self.py_func, signature, device=False, abi="numba", cc=capability, lineinfo=True, **self.options
                )
            except NumbaError as error:
                raise CompileError("a Numba-CUDA kernel", str(error)) from error
            module = KernelModule(ptx if isinstance(ptx, str) else ptx.decode())
            (mangled,) = module
            self._compiled[key] = TwoDeviceKernel(module, module.emulated[mangled], self.__name__)
        return self._compiled[key]


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
    return twin


def _type_of(name: str, value: Any) -> Any:
    """Numba's type of an argument."""
    import numba
    import numpy as np

    if isinstance(value, np.ndarray):
        dtype, contiguous = value.dtype, value.flags.c_contiguous
    elif hasattr(value, "data_ptr"):
        try:
            dtype = np.dtype(str(value.dtype).removeprefix("torch."))
        except TypeError as error:
            raise LaunchError(
                f"Expected a dtype that NumPy has for argument {name!r}, got {value.dtype}.",
                hint="convert it, for example with .to(torch.float32).",
            ) from error
        contiguous = value.is_contiguous()
    elif isinstance(value, (bool, int, float, np.generic)):
        return numba.typeof(value)
    else:
        raise LaunchError(
            f"Expected an array, a tensor or a number for argument {name!r}, got {type(value).__name__}.",
            hint="pass tuples and lists as arrays: np.array(values).",
        )
    return numba.types.Array(numba.from_dtype(dtype), value.ndim, "C" if contiguous else "A")


def _flatten(name: str, value: Any) -> list[tuple[str, Any]]:
    """An argument as the parameters that Numba's calling convention makes of it. Strides are in bytes."""
    import numpy as np

    if isinstance(value, np.ndarray):
        strides, n, item_bytes = value.strides, value.size, value.itemsize
    elif hasattr(value, "data_ptr"):
        item_bytes, n = value.element_size(), value.numel()
        strides = tuple(s * item_bytes for s in value.stride())
    else:
        return [(name, value)]
    return [
        (f"{name}.meminfo", None),
        (f"{name}.parent", None),
        (f"{name}.size", n),
        (f"{name}.itemsize", item_bytes),
        (name, value),
        *((f"{name}.shape[{axis}]", size) for axis, size in enumerate(value.shape)),
        *((f"{name}.strides[{axis}]", step) for axis, step in enumerate(strides)),
    ]
