"""Machine code that carries the PTX it was made of, and the resources that a cubin states.

The emulator runs PTX, while linkers hand the driver a cubin. So PTX is put behind the end of the ELF image, where no
other reader looks, and the image stays what the linker made: it can be disassembled, and it says how many registers a
kernel takes.

Source: CUDA Binary Utilities ("cubin" is ELF); the attribute numbers are those that ``cuobjdump -elf`` prints.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import struct

_MARK = b"teachkit PTX\0\0\0\0"
_REGISTERS, _FRAME = 0x2F, 0x11  # EIATTR_REGCOUNT, EIATTR_FRAME_SIZE
_SYMBOL_AND_VALUE = 4  # EIFMT_SVAL


@dataclasses.dataclass(frozen=True, slots=True)
class Needs:
    """Per thread: registers and bytes of local memory; per block: bytes of static shared memory."""

    n_registers: int = 0
    local_bytes: int = 0
    shared_bytes: int = 0
    constant_bytes: int = 0


def with_ptx(cubin: bytes, ptx: str) -> bytes:
    """``cubin`` with the PTX behind it."""
    body = cubin[: elf_end(cubin)]
    text = ptx.encode()
    return body + _MARK + struct.pack("<Q", len(text)) + text + b"\0"


def ptx_behind(address: int) -> tuple[bytes, str | None]:
    """The cubin at an address, and the PTX behind it if there is any."""
    head = ctypes.string_at(address, 64)
    end = elf_end(head, address)
    cubin = ctypes.string_at(address, end)
    if _carefully(address + end, len(_MARK)) != _MARK:
        return cubin, None
    (n_bytes,) = struct.unpack("<Q", ctypes.string_at(address + end + len(_MARK), 8))
    return cubin, ctypes.string_at(address + end + len(_MARK) + 8, n_bytes).decode()


def _carefully(address: int, n_bytes: int) -> bytes:
    """Memory that may not be there: an image without PTX can end where the process's memory ends."""
    with open("/proc/self/mem", "rb", buffering=0) as own, contextlib.suppress(OSError):
        own.seek(address)
        return own.read(n_bytes)
    return b""


def elf_end(data: bytes, address: int = 0) -> int:
    """Bytes of an ELF image, as its headers say; ``address`` where ``data`` holds the first header only."""
    segments_at, sections_at = struct.unpack_from("<QQ", data, 32)
    segment_bytes, n_segments, section_bytes, n_sections = struct.unpack_from("<4H", data, 54)
    end: int = max(64, segments_at + segment_bytes * n_segments, sections_at + section_bytes * n_sections)
    table = ctypes.string_at(address, end) if address else data
    for index in range(n_sections):
        (kind,) = struct.unpack_from("<I", table, sections_at + index * section_bytes + 4)
        offset, size = struct.unpack_from("<QQ", table, sections_at + index * section_bytes + 24)
        if kind != 8:  # SHT_NOBITS takes no room in the file
            end = max(end, offset + size)
    return end


def needs(cubin: bytes) -> dict[str, Needs]:
    """Resources of each kernel by name."""
    sections = dict(_sections(cubin))
    symbols = _symbols(cubin)
    found: dict[str, dict[str, int]] = {}
    if ".nv.info" in sections:
        for kind, symbol, value in _attributes(sections[".nv.info"][0]):
            name = symbols.get(symbol, "")
            if kind == _REGISTERS:
                found.setdefault(name, {})["n_registers"] = value
            elif kind == _FRAME:
                found.setdefault(name, {})["local_bytes"] = value
    for name, (_, size) in sections.items():
        for prefix, field in ((".nv.shared.", "shared_bytes"), (".nv.constant0.", "constant_bytes")):
            if name.startswith(prefix):
                found.setdefault(name.removeprefix(prefix), {})[field] = size
    return {name: Needs(**values) for name, values in found.items()}


def _sections(cubin: bytes) -> list[tuple[str, tuple[bytes, int]]]:
    (sections_at,) = struct.unpack_from("<Q", cubin, 40)
    entry_bytes, n_sections, names_in = struct.unpack_from("<3H", cubin, 58)
    rows = []
    for index in range(n_sections):
        name, kind = struct.unpack_from("<II", cubin, sections_at + index * entry_bytes)
        offset, size = struct.unpack_from("<QQ", cubin, sections_at + index * entry_bytes + 24)
        rows.append((name, kind, offset, size))
    names = cubin[rows[names_in][2] :]
    return [
        (names[name : names.index(b"\0", name)].decode(), (b"" if kind == 8 else cubin[offset : offset + size], size))
        for name, kind, offset, size in rows
    ]


def _symbols(cubin: bytes) -> dict[int, str]:
    sections = dict(_sections(cubin))
    if ".symtab" not in sections or ".strtab" not in sections:
        return {}
    table, text = sections[".symtab"][0], sections[".strtab"][0]
    names = [struct.unpack_from("<I", table, at)[0] for at in range(0, len(table), 24)]
    return {index: text[name : text.index(b"\0", name)].decode() for index, name in enumerate(names)}


def _attributes(data: bytes) -> list[tuple[int, int, int]]:
    """(attribute, symbol, value) of those entries that give a symbol a value."""
    found, at = [], 0
    while at + 4 <= len(data):
        form, kind, size = struct.unpack_from("<BBH", data, at)
        at += 4
        if form == _SYMBOL_AND_VALUE:
            if size == 8:
                found.append((kind, *struct.unpack_from("<II", data, at)))
            at += size
    return found
