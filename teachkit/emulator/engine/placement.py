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
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from teachkit.emulator.arguments import Arguments
from teachkit.emulator.engine.worker import aligned
from teachkit.emulator.ptx.model import Variable

_ALIGN_BYTES = 64  # two sectors; what PyTorch's memory has

Area: TypeAlias = tuple[int, int]  # first byte, and the one behind the last

_changed = threading.Condition()
_running: list[Arguments] = []  # launches in progress
_copied: list[Area] = []  # what they hold a copy of


@contextlib.contextmanager
def well_placed(params: Sequence[Variable], arguments: Arguments, counting: bool) -> Iterator[Arguments]:
    """The arguments; while counting, memory that no GPU would place so is an aligned copy, copied back at the end.

    Memory stays where it is where numbers among the arguments are addresses in it, where allocations overlap, and where
    another thread's launch is at work in it. A launch waits for those that hold a copy of its memory.
    """
    misplaced = _misplaced(params, arguments) if counting else []
    with _changed:
        while _copied and _overlap(_areas(arguments), _copied):
            _changed.wait()
        if misplaced and any(_overlap(misplaced, _areas(other)) for other in _running):
            misplaced = []
        _running.append(arguments)
        _copied.extend(misplaced)
    try:
        if misplaced:
            with _in_copies(params, arguments, misplaced) as moved:
                yield moved
        else:
            yield arguments
    finally:
        with _changed:
            _running[:] = [other for other in _running if other is not arguments]
            for area in misplaced:
                _copied.remove(area)
            if misplaced:
                _changed.notify_all()


def _areas(arguments: Arguments) -> list[Area]:
    """All memory that a launch may touch."""
    return [(b.low, b.high) for b in (*arguments.bounds, *arguments.others) if b.high > b.low]


def _overlap(some: Iterable[Area], others: Iterable[Area]) -> bool:
    return any(low < end and start < high for (low, high), (start, end) in itertools.product(some, others))


def _misplaced(params: Sequence[Variable], arguments: Arguments) -> list[Area]:
    """Allocations that are better copied, none where that could show."""
    areas = sorted({(b.low, b.high) for b in arguments.bounds if b.is_memory and b.high > b.low})
    misplaced = [area for area in areas if area[0] % _ALIGN_BYTES]
    if not misplaced or arguments.others:
        return []
    if any(first[1] > second[0] for first, second in itertools.pairwise(areas)):
        return []
    return [] if _has_address(params, arguments, misplaced) else misplaced


@contextlib.contextmanager
def _in_copies(params: Sequence[Variable], arguments: Arguments, areas: Sequence[Area]) -> Iterator[Arguments]:
    copies = {area: aligned(area[1] - area[0]) for area in areas}
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


def _has_address(params: Sequence[Variable], arguments: Arguments, areas: list[Area]) -> bool:
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
