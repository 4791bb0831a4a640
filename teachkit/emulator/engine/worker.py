"""The memory that one thread needs to run blocks: shared and local memory, warp frames, counters, a trace."""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from teachkit.emulator.cache_model import Trace
from teachkit.emulator.engine.context import (
    FRAME_PARKED,
    FRAME_PARKED_AT,
    FRAME_REGISTERS,
    FRAME_RESUME,
    FRAME_STATUS,
    LANES,
    Context,
)

if TYPE_CHECKING:
    from teachkit.emulator.engine.program import Program

Dims = tuple[int, int, int]

TRACE_LIMIT_BYTES = 64 << 20  # after which the caches are replayed and the trace starts anew
_KEPT_TRACE_BYTES = 1 << 20  # of an idle worker


def aligned(n_bytes: int, align: int = 1024) -> tuple[npt.NDArray[np.uint8], int]:
    """Memory and an aligned address inside it."""
    memory = np.zeros(n_bytes + align, dtype=np.uint8)
    start = memory.ctypes.data
    return memory, -(-start // align) * align


class Worker:
    """The memory one thread needs to run blocks of a program."""

    def __init__(self, program: Program, block: Dims, shared_bytes: int) -> None:
        self.block, self.shared_bytes = block, shared_bytes
        self.patience = 0  # loop iterations of its block, before others start beside it
        n_threads = block[0] * block[1] * block[2]
        n_warps = -(-n_threads // LANES)
        self.context = c = Context()
        self._memory: list[Any] = []
        c.shared, c.shared_bytes = self._room(max(shared_bytes, 1) + LANES), shared_bytes
        c.reserved_bytes = program.reserved_bytes
        # Dynamic memory comes in larger pieces than asked for; compilers know, and read whole vectors at its end.
        is_dynamic = shared_bytes > program.shared_bytes
        c.shared_end = c.shared + (-(-shared_bytes // 16) * 16 if is_dynamic else shared_bytes)
        self._own_shared = c.shared, c.shared_end
        c.cluster_nctaid = 1, 1, 1
        c.frames, c.frame_bytes = self._room(n_warps * program.frame_bytes), program.frame_bytes
        if program.waits.size:
            c.masks_at, c.n_masks = program.masks_at, program.n_masks
            c.waits, c.scan = program.waits.ctypes.data, program.waits.size - 1
            c.copies = self._room(n_warps * program.frame_bytes)
        c.staging = self._room(1024)
        c.local = self._room(n_warps * LANES * program.local_bytes)
        c.thread_ids = self._thread_ids(block, n_warps)
        c.n_warps = n_warps
        c.last_warp_mask = (1 << (n_threads - LANES * (n_warps - 1))) - 1
        c.ntid = block
        c.trace_reserve, c.trace_limit = max(program.trace_reserve, 16), TRACE_LIMIT_BYTES
        self.counts = np.zeros(program.n_slots, dtype=np.int64)
        c.sites = self.counts.ctypes.data if program.mode.counting else None

    def leave_cluster(self) -> None:
        """Have a shared memory of its own again."""
        c = self.context
        c.shared, c.shared_end = self._own_shared
        c.cluster_nctaid, c.is_cluster, c.cluster, c.cluster_lanes = (1, 1, 1), 0, None, None

    def _room(self, n_bytes: int) -> int:
        memory, address = aligned(n_bytes)
        self._memory.append(memory)
        return address

    def _thread_ids(self, block: Dims, n_warps: int) -> int:
        ids = np.arange(n_warps * LANES, dtype=np.int32)
        table = np.stack([ids % block[0], ids // block[0] % block[1], ids // (block[0] * block[1])])
        self._memory.append(np.ascontiguousarray(table, dtype=np.int32))
        return int(self._memory[-1].ctypes.data)

    def fits(self, block: Dims, shared_bytes: int) -> bool:
        """Whether the worker was made for such blocks."""
        return self.block == block and self.shared_bytes == shared_bytes

    def frames(self) -> bytes:
        """All that the warps of an unfinished block hold; which of their lanes are parked is left out."""
        c = self.context
        held = ctypes.string_at(c.frames, c.n_warps * c.frame_bytes)
        if not c.n_masks:
            return held
        frames = np.frombuffer(bytearray(held), np.uint8).reshape(c.n_warps, c.frame_bytes)
        masks = frames[:, c.masks_at : c.masks_at + 12 * c.n_masks].view(np.uint32).reshape(-1, 3, c.n_masks)
        masks[:, 0] |= masks[:, 1] | masks[:, 2]
        masks[:, 1:] = 0
        frames[:, :FRAME_STATUS] = frames[:, FRAME_PARKED:FRAME_REGISTERS] = 0
        return frames.tobytes()

    def shared(self) -> bytes:
        """What the block holds in shared memory."""
        return ctypes.string_at(self.context.shared, self.shared_bytes)

    def warps(self) -> list[tuple[int, int]]:
        """Status of each warp, and the number of the place where it goes on, or where lanes of it wait."""
        c = self.context
        heads = (ctypes.cast(c.frames + w * c.frame_bytes, ctypes.POINTER(ctypes.c_int32)) for w in range(c.n_warps))
        found = []
        for head in heads:
            place = head[FRAME_RESUME // 4]
            if c.n_masks and place == c.scan:
                place = head[FRAME_PARKED_AT // 4]
            found.append((head[FRAME_STATUS // 4], place))
        return found

    @property
    def trace(self) -> Trace:
        """The trace so far, where it lies: until the next block begins."""
        n_bytes = self.trace_bytes
        if not n_bytes:
            return np.empty(0, np.uint64)
        begin = ctypes.cast(self.context.trace_begin or 0, ctypes.POINTER(ctypes.c_uint64))
        return np.ctypeslib.as_array(begin, (n_bytes // 8,))

    def restart_trace(self) -> None:
        """Begin a new trace."""
        self.context.trace_cursor = self.context.trace_begin

    @property
    def trace_bytes(self) -> int:
        """Length of the trace so far."""
        return (self.context.trace_cursor or 0) - (self.context.trace_begin or 0)

    def rest(self) -> None:
        """Let go of what is too much to keep while idle."""
        c = self.context
        if (c.trace_end or 0) - (c.trace_begin or 0) > _KEPT_TRACE_BYTES:
            self._free_trace()

    def _free_trace(self) -> None:
        c = self.context
        if c.trace_begin:
            _libc().free(ctypes.c_void_p(c.trace_begin))
        c.trace_begin = c.trace_cursor = c.trace_end = None

    def __del__(self) -> None:
        self._free_trace()
        if self.context.tensor_room:
            _libc().free(ctypes.c_void_p(self.context.tensor_room))
            self.context.tensor = self.context.tensor_room = None


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
