"""The blocks of a launch that no thread has taken yet.

Threads either take one after the other from a counter that they share, or pieces of the grid: neighbouring blocks use
neighbouring memory, and what a processor has fetched ahead should be of use to itself. A block that may wait for
another should not have to wait until a thread gets there, so of such kernels blocks are taken one by one.
"""

from __future__ import annotations

import ctypes
import threading


class Piece:
    """Consecutive blocks for one thread, or with ``is_shared`` all that are left: ``next`` to ``end`` - 1."""

    def __init__(self, next_block: ctypes.c_int64, end: int, *, is_shared: bool) -> None:
        self.next, self.end, self.is_shared = next_block, end, is_shared

    @property
    def n_left(self) -> int:
        """Blocks that have not begun."""
        return max(0, self.end - self.next.value)


class Queue:
    """Blocks 0 to ``n_blocks`` - 1 in order. All threads of a launch use it."""

    def __init__(self, n_blocks: int) -> None:
        self._n_blocks = n_blocks
        self._next = ctypes.c_int64(0)  # of a shared piece, the threads' code counts it up
        self._lock = threading.Lock()
        self._least = self._n_shares = 0

    @property
    def n_left(self) -> int:
        """Blocks that nobody has taken."""
        with self._lock:
            return max(0, self._n_blocks - self._next.value)

    @property
    def is_split(self) -> bool:
        """Whether threads take pieces."""
        return self._n_shares > 0

    def split(self, n_threads: int, least: int) -> None:
        """From now on threads take pieces: large ones at first, later ``least`` blocks."""
        self._n_shares, self._least = 2 * n_threads, max(1, least)

    def take(self, end: int) -> Piece | None:
        """Blocks for a thread, of those below ``end``; None where there is none."""
        with self._lock:
            first = self._next.value
            if first >= end:
                return None
            if not self._n_shares:
                return Piece(self._next, end, is_shared=True)
            self._next.value = min(end, first + max(self._least, (end - first) // self._n_shares))
            return Piece(ctypes.c_int64(first), self._next.value, is_shared=False)

    def claim(self, n_blocks: int, end: int) -> int | None:
        """The first of the next ``n_blocks``, None where there is none below ``end``."""
        with self._lock:
            first = self._next.value
            if first >= end:
                return None
            self._next.value = first + n_blocks
            return first
