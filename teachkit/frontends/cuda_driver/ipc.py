"""Memory of one process that others open by a handle (``cuIpcGetMemHandle``): anonymous files that both map.

A handle says which process and file descriptor have the memory, and how large it is. The first handle to an allocation
moves its pages into such a file, at the same address; the kernel of the operating system does the rest.
Modelled: handles to whole allocations, opened by other processes of the same user while the first one lives.
Not modelled: handles to events; a process that opens its own handle is refused, as by CUDA.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct

from teachkit.frontends.cuda_driver.context import require_context
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry
from teachkit.frontends.cuda_driver.memory import Allocation, memory

_HANDLE = struct.Struct("<8sqqqq")  # mark, process, file descriptor, number of the file, bytes
_HANDLE_BYTES = 64  # CU_IPC_HANDLE_SIZE
_MARK = b"teachkit"
_FIXED = 0x10  # MAP_FIXED of Linux

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class _Shared:
    """The file behind an allocation. Its pages become ordinary ones again before their owner gives them back."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.n_bytes = low, high - low
        self.owner_process = os.getpid()
        self.descriptor = os.memfd_create("teachkit-device-memory", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, self.n_bytes)
        content = memoryview((ctypes.c_uint8 * self.n_bytes).from_address(low)).cast("B")
        at = 0
        while at < self.n_bytes:
            at += os.pwrite(self.descriptor, content[at:], at)
        _map(self.low, self.n_bytes, mmap.MAP_SHARED | _FIXED, self.descriptor)

    def end(self) -> None:
        """Other processes keep what they have opened."""
        _map(self.low, self.n_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _FIXED, -1)
        os.close(self.descriptor)


def _map(address: int | None, n_bytes: int, flags: int, descriptor: int) -> int:
    found: int = _libc.mmap(address, n_bytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, descriptor, 0)
    if found == ctypes.c_void_p(-1).value:
        raise Refused(Status.OUT_OF_MEMORY)
    return found


@entry("cuIpcGetMemHandle", "pQ")
def get_handle(handle: int, pointer: int) -> None:
    require_context()
    found = memory.find(pointer)
    if found is None or found.kind != "device":
        raise Refused(Status.INVALID_VALUE)
    shared = memory.shared.get(found.low)
    if shared is None:
        shared = memory.shared[found.low] = _Shared(found.low, found.high)
    inode = os.fstat(shared.descriptor).st_ino
    packed = _HANDLE.pack(_MARK, os.getpid(), shared.descriptor, inode, shared.n_bytes)
    ctypes.memmove(handle, packed.ljust(_HANDLE_BYTES, b"\0"), _HANDLE_BYTES)


@entry("cuIpcOpenMemHandle", "phI")
def open_handle(pointer: int, handle: int, flags: int) -> None:
    require_context()
    mark, process, number, inode, n_bytes = _HANDLE.unpack_from(ctypes.string_at(handle, _HANDLE_BYTES))
    if mark != _MARK:
        raise Refused(Status.INVALID_VALUE)
    if process == os.getpid():
        raise Refused(Status.INVALID_CONTEXT)
    try:
        descriptor = os.open(f"/proc/{process}/fd/{number}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        raise Refused(Status.MAP_FAILED) from None
    try:
        if os.fstat(descriptor).st_ino != inode:
            raise Refused(Status.MAP_FAILED)  # it was freed, and the number is that of another file now
        low = _map(None, n_bytes, mmap.MAP_SHARED, descriptor)
    finally:
        os.close(descriptor)
    memory.enter(Allocation(low, low + n_bytes, "imported"))
    ctypes.c_uint64.from_address(pointer).value = low


@entry("cuIpcCloseMemHandle", "Q")
def close_handle(pointer: int) -> None:
    found = memory.find(pointer)
    memory.forget(pointer, "imported")
    if found is not None:
        _libc.munmap(found.low, found.high - found.low)
