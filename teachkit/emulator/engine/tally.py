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
from teachkit.emulator.engine.shapes import I8, I64, POINTER, Value

_BANK_BYTES = 4


def add(e: Emitter, slot: int, amount: Value) -> None:
    """Add a scalar to a counter."""
    b = e.builder
    pointer = b.gep(e.scratch["sites"], [I64(8 * slot)], source_etype=I8)
    b.store(b.add(b.load(pointer, typ=I64, align=8), amount), pointer, align=8)


def add_lanes(e: Emitter, slot: int, lanes: Value) -> None:
    """Add the number of ``lanes``, of 32 bits."""
    add(e, slot, e.builder.zext(e.intrinsic("llvm.ctpop", lanes), I64))


def run_in_shared(e: Emitter, site: int) -> None:
    """All 32 lanes touch one run of shared memory."""
    add(e, site + RUN_SLOT, I64(1))


def from_sector(e: Emitter, address: Value, low: Value, lane_bytes: int) -> Value:
    """Where an address would lie if its allocation, which starts at ``low``, began with a sector, as on a GPU.

    ``malloc``, which gives NumPy its memory, promises multiples of 16 only. No access may come to lie in two sectors.
    """
    key = f"before {low.ref} {lane_bytes}"
    if key not in e.scratch:
        with e.builder.goto_entry_block():
            e.scratch[key] = e.builder.and_(low, I64(SECTOR_BYTES - lane_bytes))
    return e.builder.sub(address, e.scratch[key])


def runs_in_global(e: Emitter, sites: Sequence[int], first: Value, n_bytes: int, store: bool) -> None:
    """In each of ``sites`` all 32 lanes touch global memory, and with it every sector of ``n_bytes`` from ``first``.

    ``first`` is counted :func:`from_sector`.
    """
    b = e.builder
    shift = I64(SECTOR_BYTES.bit_length() - 1)
    sector = b.lshr(first, shift)
    more = b.sub(b.lshr(b.add(first, I64(n_bytes - 1)), shift), sector)
    for site in sites:
        add(e, site + RUN_SLOT, I64(1))
        add(e, site + RUN_SLOT + 1, more)
    # Added, not or-ed, though no two bits meet: so the processor does it in one instruction.
    record = b.add(b.shl(sector, I64(TRACE_SECTOR_SHIFT)), b.shl(more, I64(TRACE_COUNT_SHIFT)))
    if store:
        record = b.add(record, I64(1))
    cursor_slot = b.gep(e.context, [I64(offset("trace_cursor"))], source_etype=I8)
    cursor = b.load(cursor_slot, typ=POINTER)
    for i in range(len(sites)):
        b.store(record, b.gep(cursor, [I64(8 * i)], source_etype=I8) if i else cursor, align=8)
    b.store(b.gep(cursor, [I64(8 * len(sites))], source_etype=I8), cursor_slot)


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
