"""What CUDA's host-side functions do for a kernel: print, and stop at a failed assertion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.c_printf import formatted
from teachkit.emulator.oracle.memory_map import LOCAL_WINDOW
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Group, Instruction, Symbol

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine


def vprintf(machine: Machine, item: Instruction, mask: Array) -> None:
    """Format each lane's arguments as C would; returns the number of arguments."""
    returns, arguments = _variables(item)
    formats, packs = (_parameter(machine, name) for name in arguments)
    results = np.full(machine.n_threads, -1, np.int32)  # without a format
    for lane in np.flatnonzero(mask & (formats != 0)):

        def string_at(address: int, thread: int = int(lane)) -> bytes:
            return _string(machine, address, thread)

        def read(at: int, n_bytes: int, start: int = int(packs[lane]), thread: int = int(lane)) -> bytes:
            return _octets(machine, start + at, n_bytes, thread)

        text, results[lane] = formatted(string_at(int(formats[lane])), read, string_at)
        machine.launch.printed.append(text)
    if returns:
        octets = results[mask].view(np.uint8).reshape(-1, 4)
        machine.local[np.flatnonzero(mask)[:, None], machine.columns(returns[0], 4)[mask]] = octets


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


def _string(machine: Machine, address: int, lane: int) -> bytes:
    octets = bytearray()
    while (one := _octets(machine, address + len(octets), 1, lane)) != b"\0":
        octets += one
    return bytes(octets)


def _text(machine: Machine, address: int, lane: int) -> str:
    return _string(machine, address, lane).decode(errors="replace")
