"""Asynchronous copies, held back until somebody waits for them: their bytes, and poison where they will land.

Groups are kept per warp, not per lane: a ``cp.async.commit_group`` that only some lanes run closes the group of all.
"""

from __future__ import annotations

from typing import Any

from teachkit.emulator.checks.clocks import epoch_of
from teachkit.emulator.checks.layout import (
    ENTRY_PENDING,
    ENTRY_SITE,
    LANES,
    MAX_COPIES,
    MAX_SITE,
    N_COPY_FIELDS,
    Area,
    Overflow,
    Table,
)
from teachkit.emulator.checks.memory import compiled, octets, words
from teachkit.emulator.checks.shadow import entry_of

POISON = 0xFF  # NaN for floats, -1 for integers


@compiled
def hold_back(table: Any, area: Any, warp: Any, lane: Any, address: Any, data: Any, n_bytes: Any, entry: Any) -> None:
    """Keep a lane's bytes for later and put poison in their place."""
    counts = words(area[Area.N_COPIES_AT])
    if counts[warp] >= MAX_COPIES:
        table[Table.OVERFLOW] |= Overflow.COPIES
        return
    at = (warp * MAX_COPIES + counts[warp]) * N_COPY_FIELDS
    rows, source = words(area[Area.COPIES_AT]), octets(data)
    rows[at] = address
    rows[at + 1] = words(area[Area.GROUP_AT])[warp] << 8 | lane
    rows[at + 2], rows[at + 3] = n_bytes, entry
    kept = octets(area[Area.COPIES_AT] + 8 * (at + 4))
    for i in range(n_bytes):
        kept[i] = source[i]
        source[i] = POISON
    counts[warp] += 1


@compiled
def is_committed(area: Any, entry: Any, warp: Any) -> Any:
    """Whether the copy that made a pending entry is in a group that was closed."""
    rows = words(area[Area.COPIES_AT])
    group = words(area[Area.GROUP_AT])[warp]
    for i in range(words(area[Area.N_COPIES_AT])[warp]):
        at = (warp * MAX_COPIES + i) * N_COPY_FIELDS
        if rows[at + 3] == entry and rows[at + 1] >> 8 >= group:
            return False
    return True


@compiled
def wait(table: Any, area: Any, shadow: Any, warp: Any, lanes: Any, n_left: Any) -> None:
    """Finish the copies of all groups but the last ``n_left``; with -1 those of the open group too."""
    writes = shadow[0]
    rows = words(area[Area.COPIES_AT])
    counts = words(area[Area.N_COPIES_AT])
    shift, base = table[Table.SHARED_SHIFT], area[Area.SHARED_AT]
    last = words(area[Area.GROUP_AT])[warp] - n_left
    kept = 0
    for i in range(counts[warp]):
        at = (warp * MAX_COPIES + i) * N_COPY_FIELDS
        address, group, lane = rows[at], rows[at + 1] >> 8, rows[at + 1] & 0xFF
        if (n_left >= 0 and group >= last) or not lanes >> lane & 1:
            to = (warp * MAX_COPIES + kept) * N_COPY_FIELDS
            for field in range(N_COPY_FIELDS):
                rows[to + field] = rows[at + field]
            kept += 1
            continue
        n_bytes, pending = rows[at + 2], rows[at + 3]
        memory, data = octets(address), octets(area[Area.COPIES_AT] + 8 * (at + 4))
        for k in range(n_bytes):
            memory[k] = data[k]
        done = entry_of(epoch_of(table, area, warp), pending >> ENTRY_SITE & MAX_SITE, lane & (LANES - 1), 0)
        for piece in range((address - base) >> shift, (address - base + n_bytes - 1 >> shift) + 1):
            if writes[piece] == pending:
                writes[piece] = done & ~(1 << ENTRY_PENDING)
    counts[warp] = kept
