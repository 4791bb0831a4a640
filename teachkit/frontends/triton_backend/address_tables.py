"""Tensors that a kernel is not given, but whose addresses it is given: as numbers, or in a table.

A product of many pairs of matrices takes one tensor of 64-bit integers, ``[a.data_ptr(), b.data_ptr(), ...]``, and some
kernels take ``x.data_ptr()`` itself. On a GPU any address can be followed. The emulator lets a kernel touch only memory
that belongs to the launch, so it looks for the tensors whose addresses such numbers and small tables hold.
Not modelled: addresses that a kernel computes in any other way.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import functools
import gc
from collections.abc import Sequence
from typing import Any

from teachkit.emulator import Kernel
from teachkit.emulator.arguments import Arguments, memory_of

_MOST_ADDRESSES = 4096
# Where Linux maps large allocations, and the heap of most programs. A random seed of 64 bits is hardly ever in there.
_ADDRESSES = range(1 << 40, 1 << 47)
_LOW_ADDRESSES = range(1 << 22, 1 << 40)  # of the heap where the interpreter is loaded at a fixed place, as Debian's is


def with_tables(kernel: Kernel, values: list[Any], names: Sequence[str]) -> list[Any] | Arguments:
    """``values`` as they are, or bound to the kernel's parameters together with what their tables point to."""
    tensors = tensors_behind(values)
    if not tensors:
        return values
    others = (memory_of("a tensor found by its address", tensor) for tensor in tensors)
    arguments = kernel.parameters.bind(values, names)
    return dataclasses.replace(arguments, others=tuple(other for other in others if other is not None))


def tensors_behind(values: Sequence[Any]) -> list[Any]:
    """Tensors on the CPU to whose memory a number among ``values``, or an element of a table among them, points.

    Parameters
    ----------
    values : sequence
        Arguments of a launch.

    Returns
    -------
    list of torch.Tensor
        One for each allocation; empty for nearly every launch, which costs a look at the largest integer.
    """
    addresses = sorted({address for value in values for address in _addresses(value)})
    if not addresses:
        return []
    import torch

    found: dict[int, Any] = {}
    for thing in gc.get_objects():
        # Other subclasses may have no memory at all: compilers trace with such.
        if type(thing) in (torch.Tensor, torch.nn.Parameter) and _is_plain(thing):
            low, high = _ends(thing)
            at = bisect.bisect_left(addresses, low)
            if low and at < len(addresses) and addresses[at] < high:
                found[low] = thing
    return list(found.values())


def _is_plain(tensor: Any) -> bool:
    import torch

    return bool(tensor.layout == torch.strided and tensor.device.type == "cpu")


def _ends(tensor: Any) -> tuple[int, int]:
    """Addresses of its memory; zeros for what ``torch.func`` wraps in ``vmap`` or ``grad``, where the tensor inside has
    the memory. Nothing but its storage tells such a tensor from others."""
    try:
        storage = tensor.untyped_storage()
        low = storage.data_ptr()
    except RuntimeError:
        return 0, 0
    return low, low + storage.nbytes()


def _addresses(value: Any) -> list[int]:
    if type(value) is int:
        return _those_of_memory([value])
    if not str(getattr(value, "dtype", "")).endswith("int64") or not hasattr(value, "untyped_storage"):
        return []
    return _those_of_memory(value.flatten().tolist()) if 0 < value.numel() <= _MOST_ADDRESSES else []


def _those_of_memory(numbers: list[int]) -> list[int]:
    found = [number for number in numbers if number in _ADDRESSES]
    if _heap_is_low() and any(number in _LOW_ADDRESSES for number in numbers):
        heap = _heap()
        found += [number for number in numbers if number in heap]
    return found


@functools.cache
def _heap_is_low() -> bool:
    return _heap().start in _LOW_ADDRESSES


def _heap() -> range:
    """Addresses that follow the program's own, where small tensors lie; none where the system does not say."""
    with contextlib.suppress(OSError), open("/proc/self/maps") as maps:
        for line in maps:
            if line.endswith("[heap]\n"):
                low, high = line.split(" ")[0].split("-")
                return range(int(low, 16), int(high, 16))
    return range(0)
