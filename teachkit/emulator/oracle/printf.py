"""What CUDA's host-side functions do for a kernel: print, and stop at a failed assertion."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.memory_map import LOCAL_WINDOW
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Group, Instruction, Symbol

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_CONVERSION = re.compile(r"%([-+ #0]*\d*(?:\.\d+)?)(hh|h|ll|l|z|j)?([diouxXcsfFeEgGaAp%])")
_LONG = ("ll", "l", "z", "j")


def vprintf(machine: Machine, item: Instruction, mask: Array) -> None:
    """Format each lane's arguments as C would; returns the number of arguments."""
    returns, arguments = _variables(item)
    formats, packs = (_parameter(machine, name) for name in arguments)
    for lane in np.flatnonzero(mask):
        text = _text(machine, int(formats[lane]), int(lane))
        machine.launch.printed.append(_formatted(machine, text, int(packs[lane]), int(lane)))
    if returns:
        machine.local[np.flatnonzero(mask)[:, None], machine.columns(returns[0], 4)[mask]] = 0


def assert_failed(machine: Machine, item: Instruction, mask: Array) -> None:
    """Note the first failing lane and end the failing ones."""
    _, arguments = _variables(item)
    lane = int(np.flatnonzero(mask)[0])
    message, file, line, function = (int(_parameter(machine, name)[lane]) for name in arguments[:4])
    where = f"{_text(machine, file, lane)}:{line & 0xFFFFFFFF}: {_text(machine, function, lane)}"
    machine.launch.printed.append(f"{where}: assertion `{_text(machine, message, lane)}` failed")
    machine.fault("assert", item, lane)
    machine.next[mask] = np.iinfo(np.int64).max


def _variables(item: Instruction) -> tuple[list[str], list[str]]:
    groups = [[x.name for x in g.items if isinstance(x, Symbol)] for g in item.operands if isinstance(g, Group)]
    return (groups[0], groups[1]) if len(groups) > 1 else ([], groups[0])


def _parameter(machine: Machine, name: str) -> Array:
    """A call parameter of up to 8 bytes, uint64 [n_threads]."""
    n_bytes = machine.activations.n_bytes(name) or machine.launch.layout.n_bytes(name)
    octets = np.zeros((machine.n_threads, 8), np.uint8)
    octets[:, :n_bytes] = machine.local[np.arange(machine.n_threads)[:, None], machine.columns(name, n_bytes)]
    return octets.view(np.uint64)[:, 0]


def _octets(machine: Machine, address: int, n_bytes: int, lane: int) -> bytes:
    if LOCAL_WINDOW <= address < LOCAL_WINDOW + machine.local.shape[1]:
        at = address - LOCAL_WINDOW
        return machine.local[lane, at : at + n_bytes].tobytes()
    return machine.memory.load(np.array([address], np.uint64), n_bytes).tobytes()


def _text(machine: Machine, address: int, lane: int) -> str:
    octets = bytearray()
    while (one := _octets(machine, address + len(octets), 1, lane)) != b"\0":
        octets += one
    return octets.decode(errors="replace")


def _formatted(machine: Machine, text: str, pack: int, lane: int) -> str:
    at = 0

    def take(n_bytes: int) -> bytes:
        nonlocal at
        at = -(-at // n_bytes) * n_bytes
        octets = _octets(machine, pack + at, n_bytes, lane)
        at += n_bytes
        return octets

    def convert(match: re.Match[str]) -> str:
        flags, size, kind = match[1], match[2], match[3]
        if kind == "%":
            return "%"
        if kind in "fFeEgGaA":
            (number,) = struct.unpack("<d", take(8))
            return str(number.hex() if kind in "aA" else f"%{flags}{kind}" % number)
        if kind == "s":
            return f"%{flags}s" % _text(machine, int.from_bytes(take(8), "little"), lane)
        if kind == "p":
            return f"0x{int.from_bytes(take(8), 'little'):x}"
        value = int.from_bytes(take(8 if size in _LONG else 4), "little", signed=kind in "di")
        return chr(value) if kind == "c" else f"%{flags}{'d' if kind == 'u' else kind}" % value

    return _CONVERSION.sub(convert, text)
