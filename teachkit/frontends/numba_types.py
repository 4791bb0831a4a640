"""Values to Numba's types, and typed values to the parameters that Numba's calling convention makes of them.

Modelled: arrays of any layout (0-d, records and complex numbers included), numbers of every width, dates, enumerations,
records, tuples of all these, and tensors on the CPU or on a GPU.
Not modelled: strings, lists, arrays of Python objects, which no kernel takes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from teachkit.errors import LaunchError


def type_of(name: str, value: Any) -> Any:
    """Numba's type of an argument.

    Raises
    ------
    LaunchError
        For what no kernel takes.
    """
    kind = type(value)
    key: Any = kind if kind in _PLAIN_NUMBERS else None
    if kind is np.ndarray:
        flags = value.flags
        key = (value.dtype, value.ndim, flags.c_contiguous, flags.f_contiguous, flags.writeable)
    if key is None:
        return _looked_up(name, value)
    found = _known.get(key)
    if found is None:
        found = _known[key] = _looked_up(name, value)
    return found


# Types that tell all that Numba asks for; Python's numbers do not, whose type depends on how large they are.
_PLAIN_NUMBERS = frozenset(np.dtype(code).type for code in "?bhilqBHILQefdFD")
_known: dict[Any, Any] = {}  # Numba's type of such numbers, and of arrays by what it asks of them


def _looked_up(name: str, value: Any) -> Any:
    from numba.cuda import types
    from numba.cuda.core.errors import NumbaError
    from numba.cuda.typing.typeof import Purpose, typeof

    if hasattr(value, "data_ptr"):
        return types.Array(_scalar_type(name, value), value.dim(), _layout(value))
    if hasattr(value, "__cuda_array_interface__") and not hasattr(value, "_numba_type_"):
        from numba.cuda import as_cuda_array

        value = as_cuda_array(value, sync=False)
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        raise LaunchError(
            f"Expected numbers in argument {name!r}, got an array of Python objects.",
            hint="convert it, for example with .astype(np.float32).",
        )
    try:
        found = typeof(value, Purpose.argument)
    except (ValueError, TypeError, NotImplementedError, NumbaError):
        found = None
    if found is None and isinstance(value, np.ndarray):
        native = value.dtype.newbyteorder("=")
        better = native if native != value.dtype else "float64"
        raise LaunchError(
            f"Expected an array of a type that Numba knows for argument {name!r}, got {value.dtype}.",
            hint=f"convert it, for example with .astype({str(better)!r}).",
        )
    passable = (
        *(types.Array, types.Number, types.Boolean, types.NPDatetime, types.NPTimedelta, types.Record),
        *(types.BaseTuple, types.EnumMember, types.CPointer),
    )
    if found is None or not isinstance(found, passable):
        raise LaunchError(
            f"Expected an array, a tensor or a number for argument {name!r}, got {type(value).__name__}.",
            hint="pass lists as arrays: np.array(values); tuples of numbers and arrays are fine as they are.",
        )
    return found


def check(name: str, ty: Any, value: Any) -> None:
    """Refuse an argument that a declared type does not take.

    Raises
    ------
    LaunchError
        For an array of another dtype, number of dimensions or layout, or a value of another kind.
    """
    from numba.cuda import types

    got = type_of(name, value)
    if isinstance(ty, types.Array) and isinstance(got, types.Array):
        fits = got.dtype == ty.dtype and got.ndim == ty.ndim and (ty.layout in ("A", got.layout) or _is_both(value, ty))
        fits = fits and (got.mutable or not ty.mutable)
    elif isinstance(ty, types.BaseTuple) and isinstance(got, types.BaseTuple):
        fits = len(ty) == len(got)
        for index, (item, part) in enumerate(zip(ty, value, strict=False)):
            check(f"{name}[{index}]", item, part)
    elif isinstance(ty, (types.Number, types.Boolean)) and isinstance(got, (types.Number, types.Boolean)):
        fits = isinstance(ty, types.Complex) or not isinstance(got, types.Complex)
        fits = fits and not (isinstance(ty, types.Integer) and isinstance(got, types.Float))
    elif isinstance(ty, types.CPointer):
        fits = isinstance(got, (types.Integer, types.CPointer))
    else:
        fits = got == ty
    if not fits:
        raise LaunchError(
            f"Expected {ty} for argument {name!r}, as the kernel's signature says, got {got}.",
            hint="convert the argument, or leave out the signature: then the kernel is compiled for what it is given.",
        )


def parameter_names(name: str, ty: Any) -> list[str]:
    """What Numba's calling convention makes of an argument, a name for each parameter."""
    from numba.cuda import types

    if isinstance(ty, types.Array):
        before = [f"{name}.{part}" for part in ("meminfo", "parent", "size", "itemsize")]
        steps = (f"{name}.{part}[{axis}]" for part in ("shape", "strides") for axis in range(ty.ndim))
        return [*before, name, *steps]
    if isinstance(ty, types.BaseTuple):
        return all_parameter_names([f"{name}[{index}]" for index in range(len(ty))], ty)
    if isinstance(ty, types.EnumMember):
        return parameter_names(name, ty.dtype)
    return [f"{name}.real", f"{name}.imag"] if isinstance(ty, types.Complex) else [name]


def all_parameter_names(names: Sequence[str], types: Iterable[Any]) -> list[str]:
    """The same of several arguments."""
    return [each for name, ty in zip(names, types, strict=True) for each in parameter_names(name, ty)]


def flatten(name: str, ty: Any, value: Any, after: list[Callable[[], None]]) -> list[Any]:
    """An argument's values, one for each of :func:`parameter_names`; errors call it ``name``.

    ``after`` collects what is to be done when the kernel has run.
    """
    from numba.cuda import types

    if isinstance(ty, types.Array):
        return _flat_array(name, value)
    if isinstance(ty, types.BaseTuple):
        pairs = enumerate(zip(ty, value, strict=True))
        return [each for at, (item, part) in pairs for each in flatten(f"{name}[{at}]", item, part, after)]
    if isinstance(ty, types.EnumMember):
        return flatten(name, ty.dtype, value.value, after)
    if isinstance(ty, types.Record):
        return [_record(value, after)]
    if isinstance(ty, types.Complex):
        return [float(value.real), float(value.imag)]
    if isinstance(ty, (types.NPDatetime, types.NPTimedelta)):
        return [int(value.view(np.int64))]
    if isinstance(ty, types.Float):
        # A half is passed by its bits.
        return [int(np.float16(value).view(np.uint16)) if ty.bitwidth == 16 else float(value)]
    return [_integer(name, ty, value) if isinstance(ty, types.Integer) else int(value)]


def _integer(name: str, ty: Any, value: Any) -> int:
    number = int(value)
    if not ty.minval <= number <= ty.maxval:
        raise LaunchError(f"Expected an {ty} for argument {name!r}, got {number}.", hint="it does not fit.")
    return number


def _flat_array(name: str, value: Any) -> list[Any]:
    """Strides are in bytes."""
    if not isinstance(value, np.ndarray) and not hasattr(value, "data_ptr"):
        value = _device_array(name, value)
    if hasattr(value, "data_ptr"):
        item_bytes, n, shape = value.element_size(), value.numel(), tuple(value.shape)
        strides = tuple(step * item_bytes for step in value.stride())
    else:
        item_bytes, n, shape, strides = value.dtype.itemsize, value.size, value.shape, value.strides
    return [None, None, n, item_bytes, value if n else None, *shape, *strides]


def _device_array(name: str, value: Any) -> Any:
    """Numba's device array, or another library's: on the emulated driver it lies in this process's memory."""
    from teachkit.frontends.cuda_driver import is_installed

    if not is_installed():
        raise LaunchError(
            f"Expected a NumPy array or a tensor for argument {name!r}, got {type(value).__name__}.",
            hint="numba.cuda.jit launches on such arrays; without a GPU call cuda.emulate() first.",
        )
    from teachkit.frontends.cuda_driver.memory import memory

    interface = value.__cuda_array_interface__
    address, shape = interface["data"][0], interface["shape"]
    dtype = getattr(value, "dtype", None) or np.dtype(interface["typestr"])
    if 0 in shape:
        return np.empty(shape, dtype)
    found = memory.find(address)
    if found is None:
        raise LaunchError(f"Expected memory of a device array for argument {name!r}, got none.", hint="it was freed.")
    cells: Any = (ctypes.c_uint8 * (found.high - found.low)).from_address(found.low)
    whole: Any = np.ndarray(len(cells), np.uint8, cells)
    return np.ndarray(shape, dtype, whole, address - found.low, interface.get("strides"))


def _record(value: Any, after: list[Callable[[], None]]) -> Any:
    """A record travels as a pointer to a copy, which is copied back."""
    copy = np.array(value, dtype=value.dtype).reshape(1)

    def copy_back() -> None:
        for field in value.dtype.names:
            value[field] = copy[0][field]

    if not isinstance(value, tuple):
        after.append(copy_back)
    return copy


def _scalar_type(name: str, tensor: Any) -> Any:
    from numba.cuda import types
    from numba.cuda.core.errors import NumbaError
    from numba.cuda.np.numpy_support import from_dtype

    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype == "bfloat16":
        return types.bfloat16
    try:
        return from_dtype(np.dtype(dtype))
    except (TypeError, NumbaError, NotImplementedError) as error:
        raise LaunchError(
            f"Expected a dtype that Numba has for argument {name!r}, got {tensor.dtype}.",
            hint="convert it, for example with .to(torch.float32).",
        ) from error


def _layout(tensor: Any) -> str:
    if tensor.is_contiguous():
        return "C"
    return "F" if tensor.dim() > 1 and tensor.permute(*range(tensor.dim())[::-1]).is_contiguous() else "A"


def _is_both(value: Any, ty: Any) -> bool:
    """One row or one column is contiguous in both orders, and Numba's type names only one."""
    flags = getattr(value, "flags", None)
    if flags is None:
        return bool(ty.layout == "F" and value.permute(*range(value.dim())[::-1]).is_contiguous())
    return bool(flags["F_CONTIGUOUS" if ty.layout == "F" else "C_CONTIGUOUS"])
