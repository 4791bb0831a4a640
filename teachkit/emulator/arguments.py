"""Python values to kernel parameters, and the memory that each may touch."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import math
import struct
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from teachkit.emulator.ptx.model import Function, Variable
from teachkit.emulator.tensor_map import N_BYTES, TensorMap
from teachkit.errors import LaunchError

_INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Bound(NamedTuple):
    """The memory behind one argument: host addresses [low, high), of which the kernel is given ``data``.

    An argument that is no memory, a number or None, has ``low = high = data = 0`` too, but ``is_memory`` false.
    """

    name: str
    low: int
    high: int
    data: int
    value: Any
    is_memory: bool = True
    is_read_only: bool = False

    @property
    def shown(self) -> str:
        """What a reader is told of it."""
        if not self.is_memory:
            return repr(self.value)
        kind = "array" if isinstance(self.value, np.ndarray) else "tensor"
        shape = getattr(self.value, "shape", None)
        of_shape = "" if shape is None else f" of shape {tuple(shape)}"
        return f"{str(getattr(self.value, 'dtype', '')).removeprefix('torch.')} {kind}{of_shape}".lstrip()

    @property
    def element_bytes(self) -> int:
        """Size of an element; 1 where it is not known."""
        if isinstance(self.value, np.ndarray):
            return self.value.itemsize
        size: int = self.value.element_size() if hasattr(self.value, "element_size") else 1
        return size


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Packed parameters with their ``names`` and ``values``, and for each the ``memory`` behind it, None for a number.

    ``others`` is memory that the kernel may touch without being given it: it finds pointers there in memory.
    """

    packed: bytes
    names: Sequence[str]
    values: Sequence[Any]
    memory: Sequence[Bound | None]
    others: tuple[Bound, ...] = ()

    @functools.cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """A bound for each parameter, numbers among them."""
        described = zip(self.memory, self.names, self.values, strict=True)
        return tuple(bound or Bound(name, 0, 0, 0, value, False) for bound, name, value in described)


class Parameters:
    """How the parameters of a kernel lie in memory: worked out once, for every launch."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._names = [param.name for param in function.params]
        layout, n_bytes = "<", 0
        for param in function.params:
            gap = -n_bytes % param.align
            layout += f"{gap}x" + _INTEGERS.get(param.n_bytes, f"{param.n_bytes}s")
            n_bytes += gap + param.n_bytes
        self._packer = struct.Struct(layout)
        # The integers that each takes, which wrap at the end; none where it is a float or a structure of odd size.
        self._ranges = [
            range(-(1 << (8 * p.n_bytes - 1)), 1 << 8 * p.n_bytes)
            if p.n_bytes in _INTEGERS and p.type not in ("f32", "f64")
            else range(0)
            for p in function.params
        ]

    def bind(self, values: Sequence[Any], names: Sequence[str] | None, kernel: str | None = None) -> Arguments:
        """Pack ``values``, one a parameter, which errors call by ``names``, and the kernel by ``kernel``.

        Raises
        ------
        LaunchError
            For a wrong number of arguments, or a value that its parameter cannot take.
        """
        params, kernel = self.function.params, kernel or self.function.name
        if len(values) != len(params):
            raise LaunchError(
                f"Expected {len(params)} arguments for kernel {kernel!r}, got {len(values)}.",
                hint="the PTX parameters are " + ", ".join(f"{p.name} (.{p.type})" for p in params) + ".",
            )
        shown = self._names if names is None else [*names[: len(params)], *self._names[len(names) :]]
        fields: list[int | bytes] = []
        memory: list[Bound | None] = []
        for param, name, integers, value in zip(params, shown, self._ranges, values, strict=True):
            kind = type(value)
            bound = None
            if kind is int and value in integers:  # most are numbers or None
                fields.append(value % integers.stop)
            elif kind is TensorMap:
                if param.n_bytes != N_BYTES:
                    raise _mismatch(kernel, param, name, value, f"a parameter of {N_BYTES} bytes")
                bound = memory_of(name, value.tensor)
                fields.append(value.octets)
            elif value is None:
                fields.append(0 if param.n_bytes in _INTEGERS else bytes(param.n_bytes))
            elif kind is float or kind is bool or (bound := memory_of(name, value)) is None:
                packed = _scalar(kernel, param, name, value)
                fields.append(int.from_bytes(packed, "little") if param.n_bytes in _INTEGERS else packed)
            elif param.n_bytes == 8:
                fields.append(bound.data)
            else:
                raise _mismatch(kernel, param, name, value, _instead_of_memory(param))
            memory.append(bound)
        return Arguments(self._packer.pack(*fields), shown, tuple(values), memory)


def in_whole_words(arguments: Arguments) -> Arguments:
    """The same memory, up to the ends of the 4-byte words that it begins and ends in.

    Compilers write an atomic update of 1 or 2 bytes as compare-and-swap of the word around them, on a GPU as here: no
    allocation ends within a word. What a swap puts there is what was there.
    """

    def widened(bound: Bound) -> Bound:
        return bound._replace(low=bound.low & -4, high=-(-bound.high // 4) * 4)

    return dataclasses.replace(
        arguments,
        memory=[bound and widened(bound) for bound in arguments.memory],
        others=tuple(widened(bound) for bound in arguments.others),
    )


def memory_of(name: str, value: Any) -> Bound | None:
    """The allocation behind a tensor or array, None for anything else.

    The whole storage may be touched, not only the view that was passed: a kernel is given strides and may
    legitimately step outside the view, and on hardware the allocation is what is checked too.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise LaunchError(
                f"Expected numbers in argument {name!r}, got an array of Python objects.",
                hint="convert it, for example with .astype(np.float32).",
            )
        data = value.__array_interface__["data"][0]
        owner = _owner(value)
        low = data if owner is value else owner.__array_interface__["data"][0]
        high = low + owner.nbytes
        if not owner.flags.forc:
            low, high = np.lib.array_utils.byte_bounds(owner)
        return Bound(name, low, high, data, value, is_read_only=not value.flags.writeable)
    if hasattr(value, "data_ptr"):
        return _tensor(name, value)
    return None


def _tensor(name: str, tensor: Any) -> Bound:
    if not getattr(tensor, "is_cpu", False):
        _check_device(name, tensor)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(tensor, torch.Tensor) and tensor.layout != torch.strided:
        raise LaunchError(f"Expected a dense tensor for {name!r}, got layout {tensor.layout}.", hint="use .to_dense().")
    data = tensor.data_ptr()
    if not hasattr(tensor, "untyped_storage"):  # a pointer in a wrapper, e.g. a library's tensor handle
        base = getattr(tensor, "base", None)
        if base is not None and hasattr(base, "untyped_storage"):
            return _tensor(name, base)._replace(data=data)
        raise LaunchError(
            f"Expected a torch tensor or NumPy array for {name!r}, got {type(tensor).__name__}.",
            hint="the size of the memory behind a bare pointer cannot be checked.",
        )
    storage = tensor.untyped_storage()
    low = storage.data_ptr()
    if low == 0 and storage.nbytes():
        raise LaunchError(
            f"Expected a tensor with data for argument {name!r}, got a {type(tensor).__name__} without memory.",
            hint="while torch traces a program its tensors have shapes only; launch in a torch.library.triton_op, or "
            "leave FakeTensorMode.",
        )
    return Bound(name, low, low + storage.nbytes(), data, tensor)


def _check_device(name: str, tensor: Any) -> None:
    device = getattr(tensor, "device", None)
    if device is not None and device.type == "meta":
        raise LaunchError(
            f"Expected a tensor with data for argument {name!r}, got one on the meta device.",
            hint="a meta tensor has a shape and no memory; make it with device='cpu'.",
        )
    if device is not None and device.type != "cpu":
        raise LaunchError(
            f"Expected argument {name!r} on the CPU, where the emulator runs, got a tensor on {device}.",
            hint="move it with .cpu(), or launch on the GPU that holds it.",
        )


def _owner(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _scalar(kernel: str, param: Variable, name: str, value: Any) -> bytes:
    kind = param.type
    if value is None:
        value = 0
    if isinstance(value, (bytes, bytearray)):
        if len(value) != param.n_bytes:
            raise _mismatch(kernel, param, name, value, f"{param.n_bytes} bytes")
        return bytes(value)
    if kind == "b8":  # a structure by value, and what CUDA C++ makes one: half, float4, complex numbers
        return _structure(kernel, param, name, value)
    if isinstance(value, np.generic):
        value = value.item()
    if kind in ("f32", "f64"):
        if not isinstance(value, (int, float)):
            raise _mismatch(kernel, param, name, value, "a number")
        return float_bytes("<f" if kind == "f32" else "<d", value)
    if isinstance(value, float) and kind in ("b32", "b64", "b16"):
        # Triton 3.6 and later declare float parameters by their bits.
        return float_bytes({"b16": "<e", "b32": "<f", "b64": "<d"}[kind], value)
    if isinstance(value, float):  # from n / 2, say
        raise _mismatch(kernel, param, name, value, "an integer")
    if not isinstance(value, (int, bool)):
        raise _mismatch(kernel, param, name, value, "a tensor, an array or a number")
    bits = 8 * param.n_bytes
    if not -(1 << (bits - 1)) <= value < (1 << bits):
        raise _mismatch(kernel, param, name, value, f"an integer of {bits} bits")
    return struct.pack(f"<{_INTEGERS[param.n_bytes]}", value % (1 << bits))


def _structure(kernel: str, param: Variable, name: str, value: Any) -> bytes:
    """The bytes of a value that is laid out in memory as C lays it out."""
    if isinstance(value, np.generic):
        packed = value.tobytes()
    elif isinstance(value, (ctypes.Structure, ctypes.Union)):
        packed = bytes(memoryview(value))
    elif isinstance(value, complex) and param.n_bytes in (8, 16):
        packed = np.dtype(f"c{param.n_bytes}").type(value).tobytes()
    else:
        raise _mismatch(kernel, param, name, value, f"a structure of {param.n_bytes} bytes, by value,")
    if len(packed) != param.n_bytes:
        raise _mismatch(kernel, param, name, value, f"a structure of {param.n_bytes} bytes, not {len(packed)},")
    return packed


def float_bytes(code: str, value: float) -> bytes:
    """The nearest value that fits, which is infinity for what is too large."""
    try:
        return struct.pack(code, value)
    except OverflowError:
        return struct.pack(code, math.inf if value > 0 else -math.inf)


def _instead_of_memory(param: Variable) -> str:
    return f"a structure of {param.n_bytes} bytes, by value," if param.type == "b8" else "a number"


def _mismatch(kernel: str, param: Variable, name: str, value: Any, expected: str) -> LaunchError:
    return LaunchError(
        f"Expected {expected} for argument {name!r} of kernel {kernel!r} (.{param.type}), "
        f"got {type(value).__name__} {value!r:.60}.",
        hint="a structure is a NumPy record (array[0]), a ctypes.Structure, a NumPy number or bytes."
        if param.type == "b8"
        else "arguments are matched to parameters by position.",
    )


def with_article(words: str) -> str:
    """``words`` that begin with the name of a type, with the article that they take."""
    return f"an {words}" if words.startswith("int") else f"a {words}"
