"""Where arguments lie while their accesses are counted.

A GPU's allocator hands out memory that begins at a multiple of 256 bytes, PyTorch on the CPU of 64, ``malloc``, which
NumPy takes it from, of 16. Sectors would then depend on where an array happens to lie.
Not modelled: addresses of such an array that a kernel leaves in memory for a later launch.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from teachkit.emulator.arguments import Arguments
from teachkit.emulator.engine.worker import aligned
from teachkit.emulator.ptx.model import Variable

_ALIGN_BYTES = 64  # two sectors; what PyTorch's memory has


@contextlib.contextmanager
def well_placed(params: Sequence[Variable], arguments: Arguments) -> Iterator[Arguments]:
    """The arguments, with memory that no GPU would have placed so in an aligned copy, which is copied back.

    Memory stays where it is where numbers among the arguments are addresses in it, or where allocations overlap.
    """
    areas = sorted({(b.low, b.high) for b in arguments.bounds if b.is_memory and b.high > b.low})
    overlap = any(first[1] > second[0] for first, second in itertools.pairwise(areas))
    misplaced = [area for area in areas if area[0] % _ALIGN_BYTES]
    if not misplaced or overlap or arguments.others or _has_address(params, arguments, misplaced):
        yield arguments
        return
    copies = {area: aligned(area[1] - area[0]) for area in misplaced}
    written = {(b.low, b.high) for b in arguments.bounds if b.is_memory and not b.is_read_only}
    packed, bounds, at = bytearray(arguments.packed), [], 0
    for param, bound in zip(params, arguments.bounds, strict=True):
        at += -at % param.align
        low, high = bound.low, bound.high
        if bound.is_memory and (low, high) in copies:
            by = copies[low, high][1] - low
            bound = bound._replace(low=low + by, high=high + by, data=bound.data + by)
            packed[at : at + 8] = bound.data.to_bytes(8, "little")
        bounds.append(bound)
        at += param.n_bytes
    for (low, high), (_, copy) in copies.items():
        ctypes.memmove(copy, low, high - low)
    try:
        yield dataclasses.replace(arguments, packed=bytes(packed), bounds=tuple(bounds))
    finally:
        for (low, high), (_, copy) in copies.items():
            if (low, high) in written:
                ctypes.memmove(low, copy, high - low)


def _has_address(params: Sequence[Variable], arguments: Arguments, areas: list[tuple[int, int]]) -> bool:
    """Whether a number, or an element of an array that may hold pointers, is an address in one of ``areas``."""
    at = 0
    for param, bound in zip(params, arguments.bounds, strict=True):
        at += -at % param.align
        words = np.zeros(0, np.uint64)
        if not bound.is_memory:
            words = np.frombuffer(arguments.packed, np.uint64, param.n_bytes // 8, at)
        elif isinstance(bound.value, np.ndarray) and (bound.value.dtype.kind in "iuV" and bound.value.itemsize >= 8):
            n_words = (bound.high - bound.low) // 8
            words = np.ctypeslib.as_array((ctypes.c_uint64 * n_words).from_address(bound.low))
        if any(((words >= low) & (words < high)).any() for low, high in areas):
            return True
        at += param.n_bytes
    return False
