"""Copies and fills of two and three dimensions: rows of bytes that lie a pitch apart.

Not modelled: arrays, and copies between devices. Source: CUDA Driver API, "Memory Management".
"""

from __future__ import annotations

import ctypes
import dataclasses
import struct
from typing import Any

import numpy as np

from teachkit.frontends.cuda_driver.context import require_context
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry
from teachkit.frontends.cuda_driver.memory import fresh, memory

_HOST, _DEVICE, _UNIFIED = 1, 2, 4  # CUmemorytype; 3 is an array

# Each side of CUDA_MEMCPY2D: x in bytes, y, type of memory, host address, device address, array, pitch.
_SIDE_2D, _EXTENT_2D = struct.Struct("<QQI4xQQ8xQ"), struct.Struct("<QQ")
# And of CUDA_MEMCPY3D: x in bytes, y, z, type, host address, device address, array, reserved, pitch, rows of a slice.
_SIDE_3D, _EXTENT_3D = struct.Struct("<QQQ8xI4xQQ16xQQ"), struct.Struct("<QQQ")


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """Bytes [depth, height, width] at ``address``; rows begin ``pitch`` bytes apart, slices ``slice_bytes``."""

    address: int
    extent: tuple[int, int, int]
    pitch: int
    slice_bytes: int
    is_on_device: bool

    def check(self) -> None:
        """Refuse rows that overlap, no memory at all, and device memory that is not all in one allocation."""
        depth, height, width = self.extent
        is_pitch_short = height * depth > 1 and self.pitch < width
        if not self.address or is_pitch_short or (depth > 1 and self.slice_bytes < height * self.pitch):
            raise Refused(Status.INVALID_VALUE)
        if self.is_on_device:
            memory.check(self.address, (depth - 1) * self.slice_bytes + (height - 1) * self.pitch + width)

    def view(self, dtype: str = "u1") -> Any:
        """The elements, as NumPy sees them."""
        depth, height, width = self.extent
        shape = depth, height, width // np.dtype(dtype).itemsize
        last = (depth - 1) * self.slice_bytes + (height - 1) * self.pitch + width
        strides = self.slice_bytes, self.pitch, np.dtype(dtype).itemsize
        bytes_of_it = memoryview((ctypes.c_char * last).from_address(self.address))
        return np.ndarray(shape, dtype, bytes_of_it, strides=strides)

    def was_written(self) -> None:
        """Tell a check that is open; bytes between the rows were not written."""
        if fresh() is None:
            return
        depth, height, width = self.extent
        for z in range(depth):
            for y in range(height):
                memory.written(self.address + z * self.slice_bytes + y * self.pitch, width)


def _box(extent: tuple[int, int, int], at: tuple[int, int, int], kind: int, host: int, device: int, *steps: int) -> Box:
    if kind not in (_HOST, _DEVICE, _UNIFIED):
        raise Refused(Status.NOT_SUPPORTED)
    pitch, slice_bytes = steps
    (x, y, z), base = at, host if kind == _HOST else device
    if extent[0] * extent[1] > 1 and pitch < x + extent[2]:
        raise Refused(Status.INVALID_VALUE)
    return Box(base + z * slice_bytes + y * pitch + x if base else 0, extent, pitch, slice_bytes, kind == _DEVICE)


def _copy(target: Box, source: Box) -> None:
    require_context()
    if not all(source.extent):
        return
    source.check()
    target.check()
    np.copyto(target.view(), source.view())
    target.was_written()


def _copy_2d(parameters: int) -> None:
    raw = ctypes.string_at(parameters, 2 * _SIDE_2D.size + _EXTENT_2D.size)
    width, height = _EXTENT_2D.unpack_from(raw, 2 * _SIDE_2D.size)
    boxes = []
    for side in range(2):
        x, y, kind, host, device, pitch = _SIDE_2D.unpack_from(raw, side * _SIDE_2D.size)
        boxes.append(_box((1, height, width), (x, y, 0), kind, host, device, pitch, height * pitch))
    source, target = boxes
    _copy(target, source)


def _copy_3d(parameters: int) -> None:
    raw = ctypes.string_at(parameters, 2 * _SIDE_3D.size + _EXTENT_3D.size)
    width, height, depth = _EXTENT_3D.unpack_from(raw, 2 * _SIDE_3D.size)
    boxes = []
    for side in range(2):
        x, y, z, kind, host, device, pitch, n_rows = _SIDE_3D.unpack_from(raw, side * _SIDE_3D.size)
        boxes.append(_box((depth, height, width), (x, y, z), kind, host, device, pitch, n_rows * pitch))
    source, target = boxes
    _copy(target, source)


@entry("cuMemcpy2D", "p")
def copy_2d(parameters: int) -> None:
    _copy_2d(parameters)


@entry("cuMemcpy2DUnaligned", "p")
def copy_2d_unaligned(parameters: int) -> None:
    _copy_2d(parameters)


@entry("cuMemcpy2DAsync", "pp")
def copy_2d_async(parameters: int, stream: int) -> None:
    _copy_2d(parameters)


@entry("cuMemcpy3D", "p")
def copy_3d(parameters: int) -> None:
    _copy_3d(parameters)


@entry("cuMemcpy3DAsync", "pp")
def copy_3d_async(parameters: int, stream: int) -> None:
    _copy_3d(parameters)


def _fill(pointer: int, pitch: int, dtype: str, value: int, width: int, height: int) -> None:
    require_context()
    size = np.dtype(dtype).itemsize
    if pointer % size or (height > 1 and pitch % size):
        raise Refused(Status.INVALID_VALUE)
    if not width * height:
        return
    box = Box(pointer, (1, height, width * size), pitch, height * pitch, is_on_device=True)
    box.check()
    box.view(dtype)[...] = value
    box.was_written()


@entry("cuMemsetD2D8", "QQBQQ")
def set_8(pointer: int, pitch: int, value: int, width: int, height: int) -> None:
    _fill(pointer, pitch, "u1", value, width, height)


@entry("cuMemsetD2D8Async", "QQBQQp")
def set_8_async(pointer: int, pitch: int, value: int, width: int, height: int, stream: int) -> None:
    _fill(pointer, pitch, "u1", value, width, height)


@entry("cuMemsetD2D16", "QQHQQ")
def set_16(pointer: int, pitch: int, value: int, width: int, height: int) -> None:
    _fill(pointer, pitch, "u2", value, width, height)


@entry("cuMemsetD2D16Async", "QQHQQp")
def set_16_async(pointer: int, pitch: int, value: int, width: int, height: int, stream: int) -> None:
    _fill(pointer, pitch, "u2", value, width, height)


@entry("cuMemsetD2D32", "QQIQQ")
def set_32(pointer: int, pitch: int, value: int, width: int, height: int) -> None:
    _fill(pointer, pitch, "u4", value, width, height)


@entry("cuMemsetD2D32Async", "QQIQQp")
def set_32_async(pointer: int, pitch: int, value: int, width: int, height: int, stream: int) -> None:
    _fill(pointer, pitch, "u4", value, width, height)
