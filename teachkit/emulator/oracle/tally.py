"""The counters, straight from their definitions, with set operations on the addresses of each instruction.

Not modelled: caches; ``dram_*`` and the hit rates stay empty.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from teachkit.emulator.counters import Counters
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Instruction, SourceLine

LANES = 32
SECTOR_BYTES = 32
_BANKS = 32
_WORD_BYTES = 4


def warps(mask: Array) -> Array:
    """A lane mask [n_threads] as [n_warps, 32]."""
    return mask.reshape(-1, LANES)


class Tally:
    """Counts by PTX line, and the sectors that the launch touched."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, SourceLine | None], collections.Counter[str]] = collections.defaultdict(
            collections.Counter
        )
        self.max_conflict: dict[tuple[int, SourceLine | None], int] = collections.defaultdict(int)
        self._read: list[Array] = []
        self._written: list[Array] = []

    def begin_block(self) -> None:
        """The next block starts; nothing here depends on which."""

    def add(self, item: Instruction, **amounts: int) -> None:
        """Add to counters of the instruction's line."""
        row = self.rows[item.ptx_line, item.source]
        for name, amount in amounts.items():
            row[name] += int(amount)

    def executed(self, item: Instruction, active: Array, on: Array) -> None:
        """One instruction run by the ``active`` lanes, of which ``on`` are not predicated off."""
        by_warp, on_by_warp = warps(active), warps(on)
        n_warps = by_warp.any(1).sum()
        self.add(item, warp_instructions=n_warps, thread_instructions=on.sum())
        if item.guard is not None and item.opcode.partition(".")[0] == "bra":
            taken, stays = on_by_warp.any(1), (by_warp & ~on_by_warp).any(1)
            self.add(item, branches=n_warps, divergent_branches=(taken & stays).sum())

    def global_access(
        self, item: Instruction, addresses: Array, lanes: Array, n_bytes: int | Array, *, store: bool
    ) -> None:
        """A global load or store by the lanes numbered ``lanes``; ``addresses`` and ``n_bytes`` are theirs."""
        if not lanes.size:
            return
        n_bytes = np.broadcast_to(n_bytes, lanes.shape)
        sectors = _covered(addresses, n_bytes, SECTOR_BYTES)
        pairs = np.unique(np.stack([lanes[sectors[0]] // LANES, sectors[1]]), axis=1)
        kind = "store" if store else "load"
        self.add(
            item,
            **{
                f"global_{kind}_requests": np.unique(lanes // LANES).size,
                f"global_{kind}_sectors": pairs.shape[1],
                f"global_{kind}_bytes": n_bytes.sum(),
            },
        )
        (self._written if store else self._read).append(np.unique(pairs[1]))
        if not store:
            total, _ = _passes(addresses, _phases(lanes, int(n_bytes.max())), n_bytes)
            self.add(item, global_load_wavefronts=total)

    def atomic_access(
        self, item: Instruction, addresses: Array, lanes: Array, n_bytes: int, *, is_global: bool
    ) -> None:
        """An atomic operation or reduction; in global memory it also touches sectors, both ways."""
        if not lanes.size:
            return
        self.add(item, atomic_requests=np.unique(lanes // LANES).size)
        _, counts = np.unique(np.stack([lanes // LANES, addresses.astype(np.int64)]), axis=1, return_counts=True)
        key = item.ptx_line, item.source
        self.max_conflict[key] = max(self.max_conflict[key], int(counts.max()))
        if is_global:
            _, sectors = _covered(addresses, np.broadcast_to(n_bytes, lanes.shape), SECTOR_BYTES)
            self._read.append(np.unique(sectors))
            self._written.append(np.unique(sectors))

    def bulk(self, addresses: Array, n_bytes: int, *, reads: bool, writes: bool) -> None:
        """Elements that a bulk copy touches in global memory: traffic of the launch, and no request of a warp."""
        _, sectors = _covered(addresses, np.broadcast_to(n_bytes, addresses.shape), SECTOR_BYTES)
        if reads:
            self._read.append(np.unique(sectors))
        if writes:
            self._written.append(np.unique(sectors))

    def shared_access(self, item: Instruction, offsets: Array, lanes: Array, n_bytes: int, *, store: bool) -> None:
        """A shared access: 8-byte lanes go in two half-warps, 16-byte lanes in four quarter-warps."""
        if not lanes.size:
            return
        self.wavefronts(item, offsets, _phases(lanes, n_bytes), n_bytes, store=store)

    def wavefronts(self, item: Instruction, offsets: Array, phase: Array, n_bytes: int, *, store: bool) -> None:
        """One wavefront per phase, or as many as the most distinct words that one bank must deliver in it."""
        total, n_phases = _passes(offsets, phase, np.broadcast_to(n_bytes, offsets.shape))
        kind = "store" if store else "load"
        self.add(item, **{f"shared_{kind}_wavefronts": total, "shared_excess_wavefronts": total - n_phases})

    def total(self) -> Counters:
        """The launch's counters."""
        sums: collections.Counter[str] = collections.Counter()
        for row in self.rows.values():
            sums.update(row)
        return _counters(
            sums,
            n_launches=1,
            atomic_max_conflict=max(self.max_conflict.values(), default=0),
            compulsory_read_bytes=_distinct_bytes(self._read),
            compulsory_write_bytes=_distinct_bytes(self._written),
        )

    def by_source(self) -> dict[SourceLine | None, Counters]:
        """Counters of each source line; what only makes sense for a launch stays 0."""
        sums: dict[SourceLine | None, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        most: dict[SourceLine | None, int] = collections.defaultdict(int)
        for (ptx_line, source), row in self.rows.items():
            line = None if source is None else SourceLine(source.file, source.line)
            sums[line].update(row)
            most[line] = max(most[line], self.max_conflict.get((ptx_line, source), 0))
        return {line: _counters(row, atomic_max_conflict=most[line]) for line, row in sums.items()}


def _phases(lanes: Array, n_bytes: int) -> Array:
    """Which phase each lane is served in: all 32 lanes at once, or as many as make 128 bytes."""
    return lanes // (LANES * _WORD_BYTES // max(n_bytes, _WORD_BYTES))


def _passes(addresses: Array, phase: Array, n_bytes: Array) -> tuple[int, int]:
    """(passes through the banks, phases): in each phase the most distinct words that one bank must deliver."""
    which, words = _covered(addresses, n_bytes, _WORD_BYTES)
    distinct = np.unique(np.stack([phase[which], words]), axis=1)
    banks, per_bank = np.unique(np.stack([distinct[0], distinct[1] % _BANKS]), axis=1, return_counts=True)
    phases = np.unique(banks[0])
    return sum(int(per_bank[banks[0] == each].max()) for each in phases), phases.size


def _covered(addresses: Array, n_bytes: Array, unit: int) -> tuple[Array, Array]:
    """(position in ``addresses``, unit number) for every unit of ``unit`` bytes that each access touches."""
    first = addresses.astype(np.int64) // unit
    last = (addresses.astype(np.int64) + n_bytes - 1) // unit
    steps = range(int((last - first).max()) + 1)
    positions = np.arange(addresses.size)
    which = np.concatenate([positions[first + step <= last] for step in steps])
    units = np.concatenate([(first + step)[first + step <= last] for step in steps])
    return which, units


def _distinct_bytes(parts: list[Array]) -> int:
    return SECTOR_BYTES * int(np.unique(np.concatenate(parts)).size) if parts else 0


def _counters(sums: collections.Counter[str], **others: int) -> Counters:
    names = {field.name for field in dataclasses.fields(Counters)}
    assert names.issuperset(sums), set(sums) - names
    return Counters(**dict(sums), **others)
