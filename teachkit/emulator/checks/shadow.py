"""What was done last to each piece of memory, and whether an access may follow it.

Every piece has the last write and up to two reads since, from different warps or blocks where there are such. A piece
is as large as the kernel's smallest access to that memory, so that accesses never share one without overlapping.

Compilers of block programs (Triton) let several threads load copies of one element, of a scalar for example, and one
of them store it again. The others drop what they loaded, so a load does not race with the store that follows it in
the program: one by a thread of the same block that loaded the element by the same instruction.
"""

from __future__ import annotations

from typing import Any

from teachkit.emulator.checks.clocks import CLOCK_BITS, have_met, is_ordered
from teachkit.emulator.checks.layout import (
    ENTRY_EPOCH,
    ENTRY_GPU,
    ENTRY_PENDING,
    ENTRY_READER,
    ENTRY_SITE,
    ENTRY_STRONG,
    GLOBAL,
    IS_ASYNC,
    IS_ATOMIC,
    IS_GPU,
    IS_STRONG,
    LANES,
    MAX_EPOCH,
    MAX_SITE,
    N_FIELDS,
    SPACE_MASK,
    Area,
    Field,
    Found,
    Table,
)
from teachkit.emulator.checks.memory import compiled, octets, words


@compiled
def entry_of(epoch: Any, site: Any, lane: Any, attributes: Any) -> Any:
    """An access in one word."""
    entry = epoch << ENTRY_EPOCH | min(site, MAX_SITE) << ENTRY_SITE | lane
    entry |= int((attributes & IS_STRONG) != 0) << ENTRY_STRONG
    entry |= int((attributes & IS_GPU) != 0) << ENTRY_GPU
    return entry | int((attributes & IS_ASYNC) != 0) << ENTRY_PENDING


@compiled
def epoch_in(entry: Any) -> Any:
    """The epoch of an entry, 0 for none."""
    return entry >> ENTRY_EPOCH & MAX_EPOCH


@compiled
def _reader(site: Any) -> Any:
    """A load's site in the few bits that a write has for it."""
    return 1 + site % 255


@compiled
def warp_of(table: Any, entry: Any) -> Any:
    """The warp of the launch that made an entry."""
    return words(table[Table.EPOCHS_AT])[epoch_in(entry)] >> CLOCK_BITS


@compiled
def is_past(table: Any, area: Any, warp: Any, lane: Any, entry: Any) -> Any:
    """Whether the access of ``entry`` surely comes before what the lane does now."""
    made = words(table[Table.EPOCHS_AT])[epoch_in(entry)]
    n_warps = table[Table.N_WARPS]
    if made >> CLOCK_BITS == area[Area.BLOCK] * n_warps + warp:
        other, clock = entry & (LANES - 1), made & ((1 << CLOCK_BITS) - 1)
        return other == lane or have_met(table, area, warp, lane, other, clock)
    return is_ordered(table, area, warp, epoch_in(entry))


@compiled
def races(table: Any, area: Any, warp: Any, lane: Any, attributes: Any, entry: Any) -> Any:
    """Whether two accesses, one of them a write, are in no order. Two strong ones of a common scope do not race."""
    if entry >> ENTRY_STRONG & 1 and attributes & IS_STRONG:
        if entry >> ENTRY_GPU & 1 and attributes & IS_GPU:
            return False
        if warp_of(table, entry) // table[Table.N_WARPS] == area[Area.BLOCK]:
            return False
    return not is_past(table, area, warp, lane, entry)


@compiled
def stamp_read(table: Any, area: Any, reads: Any, n: Any, first: Any, at: Any, warp: Any, entry: Any) -> None:
    """Note a read; of those that nothing orders, two are kept, from different blocks or warps if possible."""
    lane = entry & (LANES - 1)
    for slot in (at, n + at):
        old = reads[slot]
        if epoch_in(old) < first or old == 0:
            reads[slot] = entry
            return
        if is_past(table, area, warp, lane, old):
            # A strong read does not take the place of a plain one that nothing has ended yet.
            is_same_epoch = epoch_in(old) == epoch_in(entry)
            if not (is_same_epoch and not old >> ENTRY_STRONG & 1):
                reads[slot] = entry
            return
    n_warps = table[Table.N_WARPS]
    a, b, mine = warp_of(table, reads[at]), warp_of(table, reads[n + at]), warp_of(table, entry)
    if a // n_warps == b // n_warps and (mine // n_warps != a // n_warps or (a == b and mine != a)):
        reads[n + at] = entry


@compiled
def read_piece(
    table: Any, area: Any, shadow: Any, at: Any, warp: Any, entry: Any, attributes: Any, is_shared: Any
) -> Any:
    """Check and note a read of one piece. Returns the kind of finding (0: none) and the other party."""
    writes, reads, n, first = shadow
    lane = entry & (LANES - 1)
    write = writes[at]
    if epoch_in(write) < first:
        write = 0
    kind = 0
    if write == 0:
        if is_shared and table[Table.INIT]:
            kind = Found.UNINITIALISED.value
    elif write >> ENTRY_PENDING & 1:
        kind = Found.COPY_NOT_WAITED.value
    elif table[Table.RACE] and races(table, area, warp, lane, attributes, write):
        is_dropped = write >> ENTRY_READER == _reader(entry >> ENTRY_SITE & MAX_SITE)
        is_own = warp_of(table, write) // table[Table.N_WARPS] == area[Area.BLOCK]
        kind = 0 if is_dropped and is_own else Found.READ_AFTER_WRITE.value
    if table[Table.RACE]:
        stamp_read(table, area, reads, n, first, at, warp, entry & ~(1 << ENTRY_PENDING))
    return kind, write


@compiled
def check_write(
    table: Any, area: Any, shadow: Any, at: Any, warp: Any, lane: Any, attributes: Any, memory: Any, data: Any, g: Any
) -> Any:
    """Check a write of one piece of ``g`` bytes against what was there. Stores of what is there already are benign."""
    writes, reads, n, first = shadow
    write = writes[at]
    if write > 0 and epoch_in(write) >= first:
        if write >> ENTRY_PENDING & 1:
            return Found.COPY_NOT_WAITED.value, write
        if table[Table.RACE] and races(table, area, warp, lane, attributes, write):
            if attributes & IS_ATOMIC:
                return Found.READ_AFTER_WRITE.value, write
            if not same_bytes(memory, data, g):
                return Found.WRITE_AFTER_WRITE.value, write
    own = own_read(table, area, shadow, at, warp, lane, attributes)
    for slot in (at, n + at):
        read = reads[slot]
        if read == 0 or epoch_in(read) < first:
            continue
        is_dropped = own != 0 and _reader(read >> ENTRY_SITE & MAX_SITE) == own
        if is_dropped and warp_of(table, read) // table[Table.N_WARPS] == area[Area.BLOCK]:
            continue
        if races(table, area, warp, lane, attributes, read):
            return Found.WRITE_AFTER_READ.value, read
    return 0, 0


@compiled
def own_read(table: Any, area: Any, shadow: Any, at: Any, warp: Any, lane: Any, attributes: Any) -> Any:
    """Which load of its own a lane's write comes after, 0 for none."""
    _, reads, n, first = shadow
    if not table[Table.REPLICATED] or attributes & SPACE_MASK != GLOBAL:
        return 0
    for slot in (at, n + at):
        read = reads[slot]
        if read == 0 or epoch_in(read) < first or read & (LANES - 1) != lane:
            continue
        if warp_of(table, read) == area[Area.BLOCK] * table[Table.N_WARPS] + warp:
            return _reader(read >> ENTRY_SITE & MAX_SITE)
    return 0


@compiled
def stamp_write(shadow: Any, at: Any, entry: Any) -> None:
    """Note a write, with which the reads before it are settled."""
    writes, reads, n, _ = shadow
    writes[at] = entry
    for slot in (at, n + at):
        if reads[slot]:
            reads[slot] = 0


@compiled
def same_bytes(a: Any, b: Any, n: Any) -> Any:
    """Whether ``n`` bytes at two addresses are equal."""
    left, right = octets(a), octets(b)
    different = 0
    for i in range(n):
        different |= left[i] ^ right[i]
    return different == 0


@compiled
def report(
    table: Any,
    area: Any,
    kind: Any,
    site: Any,
    warp: Any,
    lane: Any,
    entry: Any,
    address: Any,
    n_bytes: Any,
    lanes: Any,
) -> None:
    """Note a finding; one of a kind and place is kept, with how often it was met."""
    table[Table.N_TOTAL] += 1
    other_site = other_block = other_thread = -1
    if entry > 0:
        who = warp_of(table, entry)
        n_warps = table[Table.N_WARPS]
        other_site, other_block = entry >> ENTRY_SITE & MAX_SITE, who // n_warps
        other_thread = who % n_warps * LANES + (entry & (LANES - 1))
    rows = words(table[Table.FINDINGS_AT])
    n = table[Table.N_FINDINGS]
    for i in range(n):
        row = i * N_FIELDS
        is_known = rows[row + Field.KIND] == kind and rows[row + Field.SITE] == site
        if is_known and rows[row + Field.OTHER_SITE] == other_site:
            rows[row + Field.COUNT] += 1
            return
    if n >= table[Table.MAX_FINDINGS]:
        return
    table[Table.N_FINDINGS] = n + 1
    row = n * N_FIELDS
    rows[row + Field.KIND], rows[row + Field.SITE], rows[row + Field.OTHER_SITE] = kind, site, other_site
    rows[row + Field.BLOCK], rows[row + Field.THREAD] = area[Area.BLOCK], warp * LANES + lane
    rows[row + Field.OTHER_BLOCK], rows[row + Field.OTHER_THREAD] = other_block, other_thread
    rows[row + Field.ADDRESS], rows[row + Field.N_BYTES] = address, n_bytes
    rows[row + Field.LANES], rows[row + Field.COUNT] = lanes, 1
