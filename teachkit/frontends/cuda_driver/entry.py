"""How a driver function is written: a decorated Python function, called from C with plain integers.

``@entry("cuMemAlloc", "pQ")`` names the function and its parameters: ``p`` pointer, ``Q`` 64 bits without sign,
``I`` and ``i`` 32 bits, ``s`` text, ``B`` a byte, ``H`` 16 bits, ``h`` a handle of 64 bytes by value, of which the
function gets a pointer. The function returns None for success; it raises
:class:`Refused` with a status otherwise. What it has to hand back it writes through pointers with :func:`put`.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import threading
import traceback
from collections.abc import Callable
from typing import Any

from teachkit.errors import KernelFault, LaunchError, PtxSyntaxError, TeachkitError, UnsupportedInstruction

_TYPES: dict[str, Any] = {
    "p": ctypes.c_void_p,
    "Q": ctypes.c_uint64,
    "q": ctypes.c_int64,
    "I": ctypes.c_uint32,
    "i": ctypes.c_int32,
    "H": ctypes.c_uint16,
    "B": ctypes.c_uint8,
    "s": ctypes.c_char_p,
    "h": ctypes.c_void_p,
}


class Status(enum.IntEnum):
    """``CUresult``, as far as it is used. Source: CUDA Driver API, "Data types used by CUDA driver"."""

    SUCCESS = 0
    INVALID_VALUE = 1
    OUT_OF_MEMORY = 2
    NOT_INITIALIZED = 3
    INVALID_DEVICE = 101
    INVALID_IMAGE = 200
    INVALID_CONTEXT = 201
    NO_BINARY_FOR_GPU = 209
    INVALID_PTX = 218
    INVALID_HANDLE = 400
    MAP_FAILED = 205
    NOT_FOUND = 500
    ILLEGAL_ADDRESS = 700
    LAUNCH_TIMEOUT = 702
    PEER_ACCESS_UNSUPPORTED = 217
    ASSERT = 710
    HOST_MEMORY_ALREADY_REGISTERED = 712
    HOST_MEMORY_NOT_REGISTERED = 713
    MISALIGNED_ADDRESS = 716
    LAUNCH_FAILED = 719
    COOPERATIVE_LAUNCH_TOO_LARGE = 720
    NOT_SUPPORTED = 801
    UNKNOWN = 999


class Refused(Exception):
    """A call that ends with a status other than success."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


ENTRIES: dict[str, Any] = {}
"""Driver functions by name: C callables."""

KINDS: dict[str, str] = {}
"""Their parameters."""

_FAULTS = {
    "out-of-bounds access": Status.ILLEGAL_ADDRESS,
    "misaligned access": Status.MISALIGNED_ADDRESS,
    "failed assertion": Status.ASSERT,
    "time limit": Status.LAUNCH_TIMEOUT,
}

_thread = threading.local()
_n_calls = 0


def entry(name: str, kinds: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a driver function of a Python function."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, *(_TYPES[kind] for kind in kinds))
        ENTRIES[name], KINDS[name] = prototype(functools.partial(_call, function)), kinds
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(ENTRIES[name]))  # its address is given away for good
        return function

    return register


def _call(function: Callable[..., None], *args: Any) -> int:
    """Nothing may be raised into C: the status tells the caller, the exception waits for :func:`take_cause`."""
    global _n_calls
    _n_calls += 1
    try:
        function(*args)
    except Refused as refusal:
        return refusal.status
    except BaseException as error:
        _thread.cause = error
        status = _status_of(error)
        if status is Status.UNKNOWN and isinstance(error, Exception):
            traceback.print_exception(error)  # a mistake in here, which no number would tell
        return status
    return Status.SUCCESS


def _status_of(error: BaseException) -> Status:
    if isinstance(error, KernelFault):
        return _FAULTS.get(error.kind, Status.LAUNCH_FAILED)
    if isinstance(error, UnsupportedInstruction):
        return Status.NOT_SUPPORTED
    if isinstance(error, PtxSyntaxError):
        return Status.INVALID_PTX
    if isinstance(error, LaunchError):
        return Status.INVALID_VALUE
    if isinstance(error, MemoryError):
        return Status.OUT_OF_MEMORY
    return Status.LAUNCH_FAILED if isinstance(error, TeachkitError) else Status.UNKNOWN


def n_calls() -> int:
    """How often this process has called the driver."""
    return _n_calls


def take_cause() -> BaseException | None:
    """Why this thread's last failing call failed, in the emulator's own words; once."""
    cause: BaseException | None = getattr(_thread, "cause", None)
    _thread.cause = None
    return cause


def put(kind: str, pointer: int | None, *values: int) -> None:
    """Write values of one type at ``pointer``; a null pointer means that nobody wants them."""
    if pointer:
        (_TYPES[kind] * len(values)).from_address(pointer)[:] = values


def get(kind: str, pointer: int, count: int = 1) -> list[int]:
    """Read ``count`` values of one type."""
    return list((_TYPES[kind] * count).from_address(pointer))


def put_text(text: str, pointer: int, n_bytes: int) -> None:
    """Write text with a final NUL, cut to the room there is."""
    data = text.encode()[: max(n_bytes - 1, 0)] + b"\0"
    ctypes.memmove(pointer, data, len(data))
