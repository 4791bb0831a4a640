"""Tensors that nobody has written yet: those of ``torch.empty`` made inside a check, and those that were named.

PyTorch's dispatcher tells of every operator of the thread that opened the check. An operator that writes to a tensor
counts as having written all of its storage. The emulated CUDA driver tells of what programs allocate, copy and free
there (Numba's ``device_array``). Not modelled: tensors whose memory other libraries write (``.numpy()``),
and what other threads allocate.
"""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from teachkit.emulator.arguments import memory_of

_EMPTY = ("aten::empty", "aten::new_empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty_strided")
_KEEPS_DATA = ("aten::resize_", "aten::set_")


class Fresh:
    """Unwritten bytes of the buffers that are followed; a context in which ``torch.empty`` adds to them."""

    def __init__(self, buffers: Sequence[Any] = ()) -> None:
        self._marks: dict[int, tuple[int, npt.NDArray[np.uint8]]] = {}  # low -> high, bytes
        self._open = contextlib.ExitStack()
        for buffer in buffers:
            self.add(buffer, whole_storage=False)

    def add(self, buffer: Any, *, whole_storage: bool = True) -> None:
        """Take the memory of a tensor or array as unwritten."""
        bound = memory_of("a buffer", buffer)
        if bound is None or bound.high == bound.low:
            return
        marks = np.full(bound.high - bound.low, whole_storage, np.uint8)
        if not whole_storage:
            start = bound.data - bound.low
            marks[start : start + buffer.size * buffer.itemsize if isinstance(buffer, np.ndarray) else start] = 1
            if not isinstance(buffer, np.ndarray):
                marks[start : start + buffer.numel() * buffer.element_size()] = 1
        self._marks[bound.low] = bound.high, marks
        owner = buffer.untyped_storage() if hasattr(buffer, "untyped_storage") else buffer
        with contextlib.suppress(TypeError):
            weakref.finalize(owner, self._marks.pop, bound.low, None)

    def add_range(self, low: int, high: int) -> None:
        """Take an allocation of the emulated driver as unwritten."""
        self._marks[low] = high, np.ones(high - low, np.uint8)

    def written(self, address: int) -> None:
        """Something other than a kernel wrote to the storage that starts at an address, or it is gone."""
        self._marks.pop(address, None)

    def written_in(self, low: int, address: int, n_bytes: int) -> None:
        """A copy wrote to a part of the storage that starts at ``low``."""
        _, marks = self._marks.get(low, (0, None))
        if marks is not None:
            marks[address - low : address - low + n_bytes] = 0

    def marks(self, allocations: Iterable[tuple[int, int]]) -> dict[int, npt.NDArray[np.uint8]]:
        """Unwritten bytes of those allocations that are followed, by their lowest address."""
        found = {}
        for low, high in allocations:
            end, marks = self._marks.get(low, (0, None))
            if marks is not None and end == high:
                found[low] = marks
        return found

    def __enter__(self) -> Self:
        if "torch" in sys.modules:
            self._open.enter_context(_mode(self))
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()


def _mode(fresh: Fresh) -> Any:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Tells of tensors that are allocated and of storages that are written."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            name = func._schema.name
            if name in _EMPTY and isinstance(out, torch.Tensor) and out.device.type == "cpu":
                if out.layout == torch.strided:
                    fresh.add(out)
            elif name not in _KEEPS_DATA:
                for argument, value in zip(func._schema.arguments, args, strict=False):
                    _note(argument, value)
                by_name = {argument.name: argument for argument in func._schema.arguments}
                for key, value in (kwargs or {}).items():
                    _note(by_name[key], value)
            return out

    def _note(argument: Any, value: Any) -> None:
        if argument.alias_info is not None and argument.alias_info.is_write:
            for tensor in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu":
                    fresh.written(tensor.untyped_storage().data_ptr())

    return Mode()  # type: ignore[no-untyped-call]
