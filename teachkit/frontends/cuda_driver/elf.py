"""A shared library without code: an ELF image whose symbols are addresses in this very process.

The dynamic loader finds a library by its SONAME among those already loaded, so whoever asks for ``libcuda.so.1`` later
is given this one. The symbols are absolute (``SHN_ABS``), which glibc takes as they are since 2.28.
Not modelled: anything but x86-64 and aarch64 Linux.

Source: System V ABI, chapters "Object Files" and "Dynamic Linking".
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import tempfile
from collections.abc import Mapping

_MACHINES = {"x86_64": 62, "aarch64": 183}
_HEADER_BYTES, _SEGMENT_BYTES, _N_SEGMENTS = 64, 56, 2
_SHN_ABS = 0xFFF1
_GLOBAL_FUNCTION = (1 << 4) | 2
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 4, 5, 6, 10, 11, 14


def image(soname: str, addresses: Mapping[str, int]) -> bytes:
    """The bytes of a library called ``soname`` in which each name is that address."""
    names = bytearray(b"\0")

    def enter(text: str) -> int:
        names.extend(text.encode() + b"\0")
        return len(names) - len(text) - 1

    soname_at = enter(soname)
    symbols = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", enter(name), _GLOBAL_FUNCTION, 0, _SHN_ABS, address, 8)
        for name, address in addresses.items()
    )
    n_symbols = len(symbols) // 24
    # One bucket, so the chain visits every symbol; nobody looks up more than a few names.
    chain = [0, *range(2, n_symbols), 0] if n_symbols > 1 else [0]
    hashes = struct.pack(f"<III{n_symbols}I", 1, n_symbols, min(n_symbols - 1, 1), *chain)
    at = _HEADER_BYTES + _N_SEGMENTS * _SEGMENT_BYTES
    symbols_at, hashes_at = at, at + len(symbols)
    names_at = hashes_at + len(hashes)
    dynamic_at = (names_at + len(names) + 7) // 8 * 8
    dynamic = b"".join(
        struct.pack("<QQ", tag, value)
        for tag, value in (
            (_DT_SONAME, soname_at),
            (_DT_HASH, hashes_at),
            (_DT_STRTAB, names_at),
            (_DT_SYMTAB, symbols_at),
            (_DT_STRSZ, len(names)),
            (_DT_SYMENT, 24),
            (0, 0),
        )
    )
    n_bytes = dynamic_at + len(dynamic)
    header = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 0),
        *(3, _MACHINES[platform.machine()], 1, 0, _HEADER_BYTES, 0, 0, _HEADER_BYTES, _SEGMENT_BYTES, _N_SEGMENTS),
        *(0, 0, 0),
    )
    load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, n_bytes, n_bytes, 4096)
    where = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 8)
    parts = header + load + where + symbols + hashes + bytes(names)
    return parts.ljust(dynamic_at, b"\0") + dynamic


def load(soname: str, addresses: Mapping[str, int]) -> ctypes.CDLL:
    """Load such a library into the process.

    Raises
    ------
    OSError
        Where the loader refuses it.
    """
    data = image(soname, addresses)
    try:
        descriptor = os.memfd_create(soname)
    except OSError:  # a sandbox that allows no anonymous files
        descriptor, path = tempfile.mkstemp(suffix=f"-{soname}")
        os.unlink(path)
    os.write(descriptor, data)
    # It stays open: the loader knows libraries by path, and the next one must not have the same.
    return ctypes.CDLL(f"/proc/self/fd/{descriptor}", mode=os.RTLD_NOW | os.RTLD_GLOBAL)
