"""What ``printf`` makes of a format and packed arguments.

Kernels only collect them; the text of each conversion is the host's own ``printf``'s, as it is for a GPU.
Source: CUDA Programming Guide, "Formatted Output". Not modelled: ``%n``, wide characters.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Callable

_CONVERSION = re.compile(rb"%([-+ #0]*)(\d+|\*)?(?:\.(\d+|\*)?)?(hh|h|ll|l|z|j|t)?([diouxXcsfFeEgGaAp%])")
_LONG = (b"ll", b"l", b"z", b"j", b"t")


def formatted(text: bytes, read: Callable[[int, int], bytes], string_at: Callable[[int], bytes]) -> tuple[str, int]:
    """``text`` with its conversions filled in as C would, and how many arguments that took: what CUDA's returns.

    ``read(at, n_bytes)`` gives packed arguments by their offset, ``string_at(address)`` what ``%s`` points to.
    """
    end = n_arguments = 0

    def take(n_bytes: int) -> bytes:
        nonlocal end, n_arguments
        n_arguments += 1
        at = -(-end // n_bytes) * n_bytes
        end = at + n_bytes
        return read(at, n_bytes)

    def number(n_bytes: int) -> int:
        return int.from_bytes(take(n_bytes), "little")

    def convert(match: re.Match[bytes]) -> bytes:
        length, kind = match[4] or b"", match[5]
        if kind == b"%":
            return b"%"
        sizes = [ctypes.c_int(number(4)) for size in (match[2], match[3]) if size == b"*"]
        if kind in b"fFeEgGaA":
            return _printed(match[0], *sizes, ctypes.c_double.from_buffer_copy(take(8)))
        if kind == b"s":
            address = number(8)
            return _printed(match[0], *sizes, ctypes.c_char_p(string_at(address) if address else None))
        if kind == b"p":
            return _printed(match[0], *sizes, ctypes.c_void_p(number(8)))
        value = ctypes.c_longlong(number(8)) if length in _LONG else ctypes.c_int(number(4))
        return _printed(match[0], *sizes, value)

    return _CONVERSION.sub(convert, text).decode(errors="replace"), n_arguments


@functools.cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _printed(conversion: bytes, *values: object) -> bytes:
    n_bytes: int = _c_library().snprintf(None, 0, conversion, *values)
    room = ctypes.create_string_buffer(n_bytes + 1)
    _c_library().snprintf(room, n_bytes + 1, conversion, *values)
    return room.raw[:n_bytes]
