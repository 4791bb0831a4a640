"""Copies and fills. A device address is checked against the allocations; a host address cannot be.

Those of two and three dimensions stand in ``rectangles.py``. Not modelled: copies between devices, in batches.
"""

from __future__ import annotations

import ctypes

from teachkit.frontends.cuda_driver.context import require_context
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry
from teachkit.frontends.cuda_driver.memory import memory


def _copy(target: int | None, source: int | None, n_bytes: int, *on_device: int | None) -> None:
    require_context()
    for address in on_device:
        memory.check(address, n_bytes)
    if n_bytes:
        if not (target and source):
            raise Refused(Status.INVALID_VALUE)
        ctypes.memmove(target, source, n_bytes)
        memory.written(target, n_bytes)


@entry("cuMemcpyHtoD", "QpQ")
def host_to_device(target: int, source: int, n_bytes: int) -> None:
    _copy(target, source, n_bytes, target)


@entry("cuMemcpyHtoDAsync", "QpQp")
def host_to_device_async(target: int, source: int, n_bytes: int, stream: int) -> None:
    _copy(target, source, n_bytes, target)


@entry("cuMemcpyDtoH", "pQQ")
def device_to_host(target: int, source: int, n_bytes: int) -> None:
    _copy(target, source, n_bytes, source)


@entry("cuMemcpyDtoHAsync", "pQQp")
def device_to_host_async(target: int, source: int, n_bytes: int, stream: int) -> None:
    _copy(target, source, n_bytes, source)


@entry("cuMemcpyDtoD", "QQQ")
def device_to_device(target: int, source: int, n_bytes: int) -> None:
    _copy(target, source, n_bytes, target, source)


@entry("cuMemcpyDtoDAsync", "QQQp")
def device_to_device_async(target: int, source: int, n_bytes: int, stream: int) -> None:
    _copy(target, source, n_bytes, target, source)


@entry("cuMemcpy", "QQQ")
def copy(target: int, source: int, n_bytes: int) -> None:
    _copy(target, source, n_bytes)  # either side may be plain host memory, which cannot be checked


@entry("cuMemcpyAsync", "QQQp")
def copy_async(target: int, source: int, n_bytes: int, stream: int) -> None:
    _copy(target, source, n_bytes)


def _fill(pointer: int, kind: str, value: int, count: int) -> None:
    require_context()
    n_bytes = count * {"B": 1, "H": 2, "I": 4}[kind]
    memory.check(pointer, n_bytes)
    memory.written(pointer, n_bytes)
    cell = value.to_bytes(n_bytes // count, "little") if count else b"\0"
    if len(set(cell)) == 1:
        ctypes.memset(pointer, cell[0], n_bytes)
        return
    step = len(cell) * 65536
    piece = cell * min(count, 65536)
    for at in range(0, n_bytes, step):
        ctypes.memmove(pointer + at, piece, min(step, n_bytes - at))


@entry("cuMemsetD8", "QBQ")
def set_8(pointer: int, value: int, count: int) -> None:
    _fill(pointer, "B", value, count)


@entry("cuMemsetD8Async", "QBQp")
def set_8_async(pointer: int, value: int, count: int, stream: int) -> None:
    _fill(pointer, "B", value, count)


@entry("cuMemsetD16", "QHQ")
def set_16(pointer: int, value: int, count: int) -> None:
    _fill(pointer, "H", value, count)


@entry("cuMemsetD16Async", "QHQp")
def set_16_async(pointer: int, value: int, count: int, stream: int) -> None:
    _fill(pointer, "H", value, count)


@entry("cuMemsetD32", "QIQ")
def set_32(pointer: int, value: int, count: int) -> None:
    _fill(pointer, "I", value, count)


@entry("cuMemsetD32Async", "QIQp")
def set_32_async(pointer: int, value: int, count: int, stream: int) -> None:
    _fill(pointer, "I", value, count)
