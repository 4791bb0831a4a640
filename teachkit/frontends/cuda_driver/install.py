"""Puts the driver into the process."""

from __future__ import annotations

import ctypes
import functools
import os
import threading

from teachkit.errors import DriverError
from teachkit.frontends.cuda_driver import elf
from teachkit.frontends.cuda_driver.entry import ENTRIES, KINDS, Refused, Status, entry, put
from teachkit.frontends.cuda_driver.guard import guarded

SONAME = "libcuda.so.1"
_SYMBOLS = ("cuGetProcAddress", "cuGetProcAddress_v2")

_library: ctypes.CDLL | None = None
_lock = threading.Lock()


def is_installed() -> bool:
    """Whether this process has the emulated driver."""
    return _library is not None


def install() -> None:
    """Make ``libcuda.so.1`` of this process the emulated driver; a second call does nothing.

    Raises
    ------
    DriverError
        Where the process has loaded NVIDIA's driver already, or the dynamic loader refuses ours.
    """
    global _library
    # Each module adds its functions to the table.
    from teachkit.frontends.cuda_driver import (  # noqa: F401
        code,
        context,
        copies,
        device,
        ipc,
        launch,
        memory,
        pools,
        rectangles,
        stream,
        tensor_maps,
    )

    with _lock:
        if _library is not None:
            return
        try:
            ctypes.CDLL(SONAME, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            pass
        else:
            raise DriverError(
                f"Expected a process without a CUDA driver, got one that has loaded {SONAME}.",
                hint="switch the emulation on before anything uses CUDA, or set TEACHKIT_NUMBA=1 for the process.",
            )
        address = _guarded()["cuGetProcAddress"]
        try:
            _library = elf.load(SONAME, dict.fromkeys(_SYMBOLS, address))
        except (OSError, KeyError) as error:
            raise DriverError(
                f"Expected a dynamic loader that takes a library without code, got: {error}.",
                hint="Linux on x86-64 or aarch64 with glibc 2.28 or newer is needed; `@tk.cuda.jit` works without.",
            ) from error


@entry("cuGetProcAddress", "spiQp")
def get_proc_address(name: bytes, pointer: int, version: int, flags: int, found: int) -> None:
    text = name.decode()
    put("Q", pointer, _guarded().get(text) or _guarded()["not supported"])
    put("i", found, 0)


@entry("not supported", "")
def not_supported() -> None:
    raise Refused(Status.NOT_SUPPORTED)


@entry("cuGetErrorName", "ip")
def error_name(status: int, text: int) -> None:
    put("Q", text, _text(status))


@entry("cuGetErrorString", "ip")
def error_string(status: int, text: int) -> None:
    put("Q", text, _text(status))


_texts: dict[int, ctypes.Array[ctypes.c_char]] = {}


def _text(status: int) -> int:
    known = status in Status._value2member_map_
    name = f"CUDA_{'' if status == 0 else 'ERROR_'}{Status(status).name}" if known else f"CUDA_ERROR {status}"
    return ctypes.addressof(_texts.setdefault(status, ctypes.create_string_buffer(name.encode())))


@functools.cache
def _guarded() -> dict[str, int]:
    return guarded({name: (_address(function), KINDS[name]) for name, function in ENTRIES.items()})


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]
