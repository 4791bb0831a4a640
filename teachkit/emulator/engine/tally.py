"""What generated code counts, and the trace of global memory that it leaves for the model of the caches.

A counter is one addition to memory. Where 32 lanes touch one run of memory, as they nearly always do, what follows
from that is worked out when the launch is over: see :class:`teachkit.emulator.sites.Site`.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

from teachkit.emulator.engine.context import (
    LANES,
    RUN_SLOT,
    SECTOR_BYTES,
    TRACE_COUNT_SHIFT,
    TRACE_SECTOR_SHIFT,
    offset,
)
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I8, I32, I64, POINTER, Value, lane_constants
from teachkit.emulator.ptx.model import Instruction

_BANK_BYTES = 4


def add(e: Emitter, slot: int, amount: Value) -> None:
    """Add a scalar to a counter."""
    b = e.builder
    pointer = b.gep(e.scratch["sites"], [I64(8 * slot)], source_etype=I8)
    b.store(b.add(b.load(pointer, typ=I64, align=8), amount), pointer, align=8)


def add_lanes(e: Emitter, slot: int, lanes: Value) -> None:
    """Add the number of ``lanes``, of 32 bits."""
    add(e, slot, e.builder.zext(e.intrinsic("llvm.ctpop", lanes), I64))


def plain(e: Emitter, instruction: Instruction) -> None:
    """An instruction without counters of its own is worth its block's; a guarded one counts its lanes."""
    if e.guard is None:
        e.sites.plain(instruction)
        return
    slot = e.sites.guard(instruction)
    if e.sites.counting:
        add_lanes(e, slot, e.lanes())


def run_in_shared(e: Emitter, site: int) -> None:
    """All 32 lanes touch one run of shared memory."""
    add(e, site + RUN_SLOT, I64(1))


def from_sector(e: Emitter, address: Value, low: Value, lane_bytes: int) -> Value:
    """Where an address would lie if its allocation, which starts at ``low``, began with a sector, as on a GPU.

    ``malloc``, which gives NumPy its memory, promises multiples of 16 only. No access may come to lie in two sectors.
    """
    misplaced = e.once(f"before {low.ref} {lane_bytes}", lambda: e.builder.and_(low, I64(SECTOR_BYTES - lane_bytes)))
    return e.builder.sub(address, misplaced)


def run_in_global(e: Emitter, site: int, first: Value, n_bytes: int, store: bool) -> None:
    """All 32 lanes touch global memory, and with it every sector of ``n_bytes`` from ``first``.

    ``first`` is counted :func:`from_sector`.
    """
    runs_in_global(e, [site], first, 0, n_bytes, store)


def runs_in_global(e: Emitter, sites: Sequence[int], first: Value, step: int, n_bytes: int, store: bool) -> None:
    """The same of a power of two of ``sites``, each ``step`` bytes further than the one before."""
    b = e.builder
    n, shift = len(sites), SECTOR_BYTES.bit_length() - 1
    if n > 1:
        first = b.add(e.vector(first, n), lane_constants(I64, [step * i for i in range(n)]))
    sector = b.lshr(first, e.constant(first, shift))
    more = b.sub(b.lshr(b.add(first, e.constant(first, n_bytes - 1)), e.constant(first, shift)), sector)
    for i, site in enumerate(sites):
        add(e, site + RUN_SLOT, I64(1))
        add(e, site + RUN_SLOT + 1, b.extract_element(more, I32(i)) if n > 1 else more)
    # Added, not or-ed, though no two bits meet: so the processor does it in one instruction.
    places = b.shl(sector, e.constant(sector, TRACE_SECTOR_SHIFT))
    records = b.add(places, b.shl(more, e.constant(more, TRACE_COUNT_SHIFT)))
    if store:
        records = b.add(records, e.constant(records, 1))
    cursor_slot = b.gep(e.context, [I64(offset("trace_cursor"))], source_etype=I8)
    cursor = b.load(cursor_slot, typ=POINTER)
    b.store(records, cursor, align=8)
    b.store(b.gep(cursor, [I64(8 * n)], source_etype=I8), cursor_slot)


def passes(space: str, store: bool, stride: int, lane_bytes: int) -> int:
    """Times that 32 lanes, ``stride`` bytes apart, keep shared memory or the L1 cache busy: ``tk_wavefronts``' rule.

    Stores to global memory count none, as in hardware counters.
    """
    if space == "global" and store:
        return 0
    n_words = max(1, lane_bytes // _BANK_BYTES)
    if stride == 0:
        return n_words
    total = 0
    for first in range(0, LANES, LANES // n_words):
        words = {(lane * stride) // _BANK_BYTES // n_words for lane in range(first, first + LANES // n_words)}
        total += max(collections.Counter(word % (LANES // n_words) for word in words).values())
    return total
