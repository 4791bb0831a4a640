"""Where data lives: buffers of the launch at their real addresses, and windows for shared and local memory.

Real addresses make sector counts comparable with another executor that works on the same buffers.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from teachkit.emulator.oracle.values import Array

# Above every address that a process can have, so that no buffer can be taken for one of them.
SHARED_WINDOW = 1 << 56
LOCAL_WINDOW = 2 << 56
FUNCTION_WINDOW = 3 << 56
WINDOW_BYTES = 1 << 32


@dataclasses.dataclass(frozen=True, slots=True)
class Buffer:
    """A run of bytes, uint8 [n_bytes], at an address. ``space`` is "global", "const" or "param"."""

    name: str
    address: int
    data: Array
    space: str = "global"
    keep_alive: Any = None


def buffer_of(name: str, value: Any) -> tuple[Buffer, int]:
    """The memory behind an array, tensor or bytearray, and the address of its first element."""
    if hasattr(value, "untyped_storage"):  # a torch tensor; torch itself is not needed here
        import torch

        storage = value.untyped_storage()
        octets = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
        return Buffer(name, storage.data_ptr(), octets, keep_alive=value), value.data_ptr()
    array = np.frombuffer(value, np.uint8) if isinstance(value, (bytearray, memoryview)) else np.asarray(value)
    low, high = np.lib.array_utils.byte_bounds(array)
    octets = np.ndarray((high - low,), np.uint8, buffer=_owner(array), offset=low - _owner_address(array))
    return Buffer(name, low, octets, keep_alive=value), array.__array_interface__["data"][0]


def _owner(array: Array) -> Array:
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return owner if owner.flags.c_contiguous else owner.T


def _owner_address(array: Array) -> int:
    return int(_owner(array).__array_interface__["data"][0])


class Memory:
    """Buffers sorted by address, with checked access lane by lane."""

    def __init__(self, buffers: list[Buffer]) -> None:
        unique = {(buffer.address, buffer.data.size): buffer for buffer in buffers if buffer.data.size}
        self.buffers = sorted(unique.values(), key=lambda buffer: buffer.address)
        self._starts = np.array([buffer.address for buffer in self.buffers], np.uint64)
        self._ends = np.array([buffer.address + buffer.data.size for buffer in self.buffers], np.uint64)

    def find(self, addresses: Array, n_bytes: int) -> Array:
        """Number of the buffer that holds all ``n_bytes`` at each address, -1 where none does."""
        if not self.buffers:
            return np.full(addresses.shape, -1)
        found = np.searchsorted(self._starts, addresses, side="right") - 1
        inside = (found >= 0) & (addresses + np.uint64(n_bytes) <= self._ends[np.maximum(found, 0)])
        return np.where(inside, found, -1)

    def is_in(self, addresses: Array, space: str) -> Array:
        """Whether each address is in a buffer of ``space``."""
        found = self.find(addresses, 1)
        spaces = np.array([buffer.space for buffer in self.buffers] + [""])
        return np.asarray(spaces[found] == space)

    def load(self, addresses: Array, n_bytes: int) -> Array:
        """Bytes [n, n_bytes] at addresses that :meth:`find` has found."""
        result = np.zeros((addresses.size, n_bytes), np.uint8)
        found = self.find(addresses, n_bytes)
        for number in np.unique(found):
            here = found == number
            buffer = self.buffers[number]
            offsets = (addresses[here] - np.uint64(buffer.address)).astype(np.int64)
            result[here] = buffer.data[offsets[:, None] + np.arange(n_bytes)]
        return result

    def store(self, addresses: Array, octets: Array) -> None:
        """The reverse; of several lanes at one address the last one wins."""
        n_bytes = octets.shape[1]
        found = self.find(addresses, n_bytes)
        for number in np.unique(found):
            here = found == number
            buffer = self.buffers[number]
            offsets = (addresses[here] - np.uint64(buffer.address)).astype(np.int64)
            buffer.data[offsets[:, None] + np.arange(n_bytes)] = octets[here]
