"""What of a program's traffic still reaches DRAM if there is a cache of a given size.

Modelled: one cache of whole tensors, least recently used goes first; what is written goes to DRAM when it is pushed
out, or at the end if it is a result. A matrix product that does not fit is computed in square tiles, three of which
fill the cache: every tile of the operands is read once for each row or column of tiles.
Not modelled: lines, sets, caches that keep a part of a tensor.

Source
------
Tiles: Hong and Kung, "I/O complexity: the red-blue pebble game", STOC 1981 (traffic of a product falls with the root of
the cache).
"""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict

from teachkit.emulator.counters import Counters
from teachkit.errors import ModelInputError
from teachkit.measure.accesses import Access, Program


def with_cache(program: Program, cache_bytes: float) -> list[Counters]:
    """Return the counters of each operator with the DRAM bytes that a cache leaves.

    Parameters
    ----------
    program : of :func:`teachkit.measure.accesses.record_accesses`.
    cache_bytes : size of the cache; 0 for none.

    Raises
    ------
    ModelInputError
        If the size is negative or no number.

    Examples
    --------
    >>> import torch
    >>> from teachkit.measure.accesses import record_accesses
    >>> x = torch.ones(1000)
    >>> program = record_accesses(lambda: (2 * x).tanh())
    >>> [sum(c.dram_bytes for c in with_cache(program, size)) for size in (0, 1e6)]
    [16000, 8000]
    """
    if not cache_bytes >= 0:
        raise ModelInputError(f"Expected the bytes of a cache, 0 or more, got {cache_bytes!r}.")
    cache = _Cache(cache_bytes)
    moved = [cache.run(access) for access in program.accesses]
    left = cache.write_back(program.results)
    if moved:
        read, written = moved[-1]
        moved[-1] = (read, written + left)
    return [
        dataclasses.replace(access.counters, dram_read_bytes=read, dram_write_bytes=written)
        for access, (read, written) in zip(program.accesses, moved, strict=True)
    ]


class _Cache:
    """Memory number -> (bytes, whether DRAM lacks what was written)."""

    def __init__(self, room: float) -> None:
        self._room = room
        self._held: OrderedDict[int, tuple[int, bool]] = OrderedDict()

    def run(self, access: Access) -> tuple[int, int]:
        """Bytes that one operator reads from DRAM and writes to it."""
        if tiled := _tiled_read_bytes(access, self._room):
            for memory, _ in (*access.reads, *access.writes):
                self._held.pop(memory, None)
            return tiled, sum(n_bytes for _, n_bytes in access.writes)
        read = sum(self._touch(memory, n_bytes, written=False)[0] for memory, n_bytes in access.reads)
        written = 0
        for memory, n_bytes in access.writes:
            written += self._touch(memory, n_bytes, written=True)[1]
        return read, written + self._push_out()

    def write_back(self, results: frozenset[int]) -> int:
        """What is left of the results goes to DRAM; what nobody wants any more does not."""
        return sum(n_bytes for memory, (n_bytes, dirty) in self._held.items() if dirty and memory in results)

    def _touch(self, memory: int, n_bytes: int, *, written: bool) -> tuple[int, int]:
        if n_bytes > self._room:
            self._held.pop(memory, None)
            return (0, n_bytes) if written else (n_bytes, 0)
        held = memory in self._held
        size, dirty = self._held.pop(memory, (0, False))
        self._held[memory] = (max(size, n_bytes), dirty or written)
        return (0 if held or written else n_bytes), 0

    def _push_out(self) -> int:
        written = 0
        while sum(n_bytes for n_bytes, _ in self._held.values()) > self._room:
            _, (n_bytes, dirty) = self._held.popitem(last=False)
            written += n_bytes if dirty else 0
        return written


def _tiled_read_bytes(access: Access, cache_bytes: float) -> int:
    """Bytes read by a product that does not fit; 0 for everything that is no product, or fits."""
    if access.product is None or not cache_bytes:
        return 0
    n_bytes = sum(size for _, size in (*access.reads, *access.writes))
    if n_bytes <= cache_bytes:
        return 0
    n_products, m, n, k = access.product
    tile = max(1.0, math.sqrt(cache_bytes / (3 * access.item_bytes)))
    once = sum(size for _, size in access.reads)
    return max(once, int(access.item_bytes * n_products * m * n * k * (1 / min(tile, m) + 1 / min(tile, n))))
