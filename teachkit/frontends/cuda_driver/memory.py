"""Memory that kernels may touch: allocated here, or the program's own that it registered.

All of it is host memory, since kernels run in this process; a device pointer is a host address. What is freed is
unknown to the kernels that come later, so that they fault instead of reading it.
Not modelled: memory that takes two addresses, arrays, virtual memory.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import mmap
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import psutil

from teachkit.emulator.checks.session import active as active_check
from teachkit.frontends.cuda_driver.context import require_context
from teachkit.frontends.cuda_driver.device import spec
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry, get, put

_ALIGNMENT = 512  # what CUDA's own allocations are aligned to
_HOST, _DEVICE = 1, 2


@dataclasses.dataclass(frozen=True, slots=True)
class Allocation:
    """``[low, high)``; ``kind`` is "device", "host", "managed", "registered", "module", "imported" or "lent"."""

    low: int
    high: int
    kind: str
    owner: Any = dataclasses.field(default=None, compare=False, repr=False)


class Memory:
    """Allocations by address."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._at: dict[int, Allocation] = {}
        self._lock = threading.RLock()
        self._n_loans: dict[int, int] = {}
        self.device_bytes = 0
        self.shared: dict[int, Any] = {}
        """What other processes may open (``ipc.py``), by address."""

    def allocate(self, n_bytes: int, kind: str) -> int:
        """New memory, not initialised; its address."""
        if n_bytes == 0:
            raise Refused(Status.INVALID_VALUE)
        if n_bytes > self.free_bytes():
            raise Refused(Status.OUT_OF_MEMORY)
        # Device memory has pages of its own, which ``ipc.py`` may replace by shared ones.
        align = mmap.PAGESIZE if kind == "device" else _ALIGNMENT
        room = np.empty(-(-n_bytes // align) * align + align, np.uint8)
        low = -(-room.ctypes.data // align) * align
        self.enter(Allocation(low, low + n_bytes, kind, room))
        return low

    def free_bytes(self) -> int:
        """What the modelled GPU has left, or this machine, if that is less."""
        left: int = spec().dram_bytes - self.device_bytes
        return min(left, psutil.virtual_memory().available)

    def enter(self, allocation: Allocation) -> None:
        """Let kernels touch this memory from now on."""
        with self._lock:
            bisect.insort(self._starts, allocation.low)
            self._at[allocation.low] = allocation
            if allocation.kind in ("device", "managed"):
                self.device_bytes += allocation.high - allocation.low
        if allocation.kind == "device" and (unwritten := fresh()) is not None:
            unwritten.add_range(allocation.low, allocation.high)

    def forget(self, low: int, *kinds: str) -> None:
        """Take memory from the kernels; refused unless exactly this was allocated as one of ``kinds``."""
        with self._lock:
            found = self._at.get(low)
            if found is None or found.kind not in kinds:
                raise Refused(Status.INVALID_VALUE)
            del self._at[low]
            del self._starts[bisect.bisect_left(self._starts, low)]
            if found.kind in ("device", "managed"):
                self.device_bytes -= found.high - found.low
            if low in self.shared:
                self.shared.pop(low).end()
        if found.kind == "device" and (unwritten := fresh()) is not None:
            unwritten.written(low)

    @contextlib.contextmanager
    def lend(self, ranges: Iterable[tuple[int, int]]) -> Iterator[None]:
        """Let kernels touch the program's own memory inside the block, on any thread."""
        lent = []
        with self._lock:
            for low, high in ranges:
                found = self.find(low)
                if found is None:
                    self.enter(Allocation(low, high, "lent"))
                elif found.kind != "lent" or found.low != low:
                    continue
                self._n_loans[low] = self._n_loans.get(low, 0) + 1
                lent.append(low)
        try:
            yield
        finally:
            with self._lock:
                for low in lent:
                    self._n_loans[low] -= 1
                    if not self._n_loans[low]:
                        del self._n_loans[low]
                        self.forget(low, "lent")

    def find(self, address: int | None) -> Allocation | None:
        """The allocation that an address lies in."""
        with self._lock:
            index = bisect.bisect_right(self._starts, address or 0) - 1
            found = self._at[self._starts[index]] if index >= 0 else None
        return found if found is not None and (address or 0) < found.high else None

    def all(self) -> Iterator[Allocation]:
        """Every allocation, lowest first."""
        with self._lock:
            return iter([self._at[start] for start in self._starts])

    def check(self, address: int | None, n_bytes: int) -> None:
        """Refuse ``n_bytes`` at a device address that are not all in one allocation."""
        found = self.find(address)
        if n_bytes and (found is None or (address or 0) + n_bytes > found.high):
            raise Refused(Status.INVALID_VALUE)

    def written(self, address: int, n_bytes: int) -> None:
        """Tell a check that is open of what a copy or a fill wrote."""
        unwritten = fresh()
        if unwritten is not None and (found := self.find(address)) is not None:
            unwritten.written_in(found.low, address, n_bytes)


def fresh() -> Any:
    """What the open check knows of memory that nobody wrote; None where there is no check."""
    session = active_check()
    return None if session is None else session.fresh


memory = Memory()
os.register_at_fork(after_in_child=lambda: setattr(memory, "_lock", threading.RLock()))


@entry("cuMemAlloc", "pQ")
def alloc(pointer: int, n_bytes: int) -> None:
    require_context()
    put("Q", pointer, memory.allocate(n_bytes, "device"))


@entry("cuMemAllocPitch", "ppQQI")
def alloc_pitch(pointer: int, pitch: int, width: int, height: int, element: int) -> None:
    require_context()
    row = -(-width // _ALIGNMENT) * _ALIGNMENT
    put("Q", pointer, memory.allocate(row * height, "device"))
    put("Q", pitch, row)


@entry("cuMemAllocManaged", "pQI")
def alloc_managed(pointer: int, n_bytes: int, flags: int) -> None:
    require_context()
    put("Q", pointer, memory.allocate(n_bytes, "managed"))


@entry("cuMemFree", "Q")
def free(pointer: int) -> None:
    if pointer:
        memory.forget(pointer, "device", "managed")


@entry("cuMemFreeAsync", "Qp")
def free_async(pointer: int, stream: int) -> None:
    if pointer:
        memory.forget(pointer, "device", "managed")


@entry("cuMemHostAlloc", "pQI")
def host_alloc(pointer: int, n_bytes: int, flags: int) -> None:
    require_context()
    put("Q", pointer, memory.allocate(n_bytes, "host"))


@entry("cuMemAllocHost", "pQ")
def alloc_host(pointer: int, n_bytes: int) -> None:
    require_context()
    put("Q", pointer, memory.allocate(n_bytes, "host"))


@entry("cuMemFreeHost", "p")
def free_host(pointer: int) -> None:
    memory.forget(pointer, "host")


@entry("cuMemHostRegister", "pQI")
def register(pointer: int, n_bytes: int, flags: int) -> None:
    require_context()
    if not pointer or not n_bytes:
        raise Refused(Status.INVALID_VALUE)
    if memory.find(pointer) is not None:
        raise Refused(Status.HOST_MEMORY_ALREADY_REGISTERED)
    memory.enter(Allocation(pointer, pointer + n_bytes, "registered"))


@entry("cuMemHostUnregister", "p")
def unregister(pointer: int) -> None:
    found = memory.find(pointer)
    if found is None or found.low != pointer or found.kind != "registered":
        raise Refused(Status.HOST_MEMORY_NOT_REGISTERED)
    memory.forget(pointer, "registered")


@entry("cuMemHostGetDevicePointer", "ppI")
def host_device_pointer(device: int, host: int, flags: int) -> None:
    memory.check(host, 1)
    put("Q", device, host)


@entry("cuMemHostGetFlags", "pp")
def host_flags(flags: int, host: int) -> None:
    memory.check(host, 1)
    put("I", flags, 0)


@entry("cuMemGetInfo", "pp")
def info(free_bytes: int, total_bytes: int) -> None:
    require_context()
    put("Q", free_bytes, memory.free_bytes())
    put("Q", total_bytes, spec().dram_bytes)


@entry("cuMemGetAddressRange", "ppQ")
def address_range(base: int, n_bytes: int, pointer: int) -> None:
    found = memory.find(pointer)
    if found is None:
        raise Refused(Status.NOT_FOUND)
    put("Q", base, found.low)
    put("Q", n_bytes, found.high - found.low)


# CU_POINTER_ATTRIBUTE_...: number -> (type, value)
def _pointer_attributes(pointer: int, found: Allocation) -> dict[int, tuple[str, int]]:
    is_host = found.kind in ("host", "registered")
    return {
        1: ("Q", require_context()),  # CONTEXT
        2: ("I", _HOST if is_host else _DEVICE),  # MEMORY_TYPE
        3: ("Q", pointer),  # DEVICE_POINTER
        4: ("Q", pointer if is_host or found.kind == "managed" else 0),  # HOST_POINTER
        6: ("I", 1),  # SYNC_MEMOPS: every copy has ended when its call returns
        7: ("Q", found.low),  # BUFFER_ID
        8: ("I", int(found.kind == "managed")),  # IS_MANAGED
        9: ("i", 0),  # DEVICE_ORDINAL
        11: ("Q", found.low),  # RANGE_START_ADDR
        12: ("Q", found.high - found.low),  # RANGE_SIZE
        13: ("I", 1),  # MAPPED
    }


@entry("cuPointerGetAttribute", "piQ")
def pointer_attribute(value: int, number: int, pointer: int) -> None:
    found = memory.find(pointer)
    known = {} if found is None else _pointer_attributes(pointer, found)
    if number not in known:
        raise Refused(Status.INVALID_VALUE)
    kind, answer = known[number]
    if number == 4 and not answer:
        raise Refused(Status.INVALID_VALUE)
    put(kind, value, answer)


@entry("cuPointerGetAttributes", "IppQ")
def pointer_attributes(count: int, numbers: int, values: int, pointer: int) -> None:
    found = memory.find(pointer)
    known = {} if found is None else _pointer_attributes(pointer, found)
    for number, value in zip(get("i", numbers, count), get("Q", values, count), strict=True):
        kind, answer = known.get(number, ("I", 0))
        if number == 9 and found is None:
            kind, answer = "i", -2  # CU_DEVICE_INVALID
        put(kind, value, answer)
