"""What the monitor does about an access of a warp: bounds, races, bytes that nobody wrote.

Lanes whose access is out of bounds are taken out, so that a launch goes on to its next finding.
"""

from __future__ import annotations

from typing import Any

from teachkit.emulator.checks.clocks import epoch_of
from teachkit.emulator.checks.copies import hold_back, is_committed
from teachkit.emulator.checks.layout import (
    ENTRY_READER,
    GLOBAL,
    IS_ASYNC,
    IS_ATOMIC,
    IS_STORE,
    IS_STRONG,
    LANES,
    LOCAL,
    SHARED,
    UNFENCED_BLOCK,
    UNFENCED_GPU,
    Area,
    Found,
    Table,
)
from teachkit.emulator.checks.memory import compiled, halves, octets, words
from teachkit.emulator.checks.places import interval_of, place_of, shadow_of
from teachkit.emulator.checks.releases import synchronise
from teachkit.emulator.checks.shadow import (
    check_write,
    entry_of,
    epoch_in,
    own_read,
    read_piece,
    report,
    same_bytes,
    stamp_write,
    warp_of,
)

_STAMPED = -1  # a piece that the instruction under way writes


@compiled
def in_bounds(
    table: Any, area: Any, addresses: Any, lanes: Any, low: Any, high: Any, site: Any, n_bytes: Any, warp: Any
) -> Any:
    """The lanes that may go on. The others are reported, the first of each kind with how many there are."""
    outside = misaligned = 0
    hint = -1
    for lane in range(LANES):
        if lanes >> lane & 1:
            address = addresses[lane]
            inside = low <= address <= high - n_bytes
            if high == 0:  # the argument is not known: any allocation of the launch will do
                hint = interval_of(table, address, hint)
                inside = hint >= 0 and address <= words(table[Table.INTERVALS_AT])[4 * hint + 1] - n_bytes
            begins_inside = inside or low <= address < high
            if not inside and not (begins_inside and address & (n_bytes - 1)):
                outside |= 1 << lane
            elif address & (n_bytes - 1):
                misaligned |= 1 << lane
    if table[Table.MEMORY]:
        if outside:
            _tell(table, area, Found.OUT_OF_BOUNDS.value, site, warp, outside, addresses, low, n_bytes)
        if misaligned:
            _tell(table, area, Found.MISALIGNED.value, site, warp, misaligned, addresses, low, n_bytes)
    return lanes & ~outside & ~misaligned


@compiled
def _tell(
    table: Any, area: Any, kind: Any, site: Any, warp: Any, lanes: Any, addresses: Any, low: Any, n_bytes: Any
) -> None:
    space = words(table[Table.ATTRIBUTES_AT])[site] & 7
    for lane in range(LANES):
        if lanes >> lane & 1:
            address = addresses[lane] - (area[Area.SHARED_AT] if space == SHARED else 0)
            report(table, area, kind, site, warp, lane, 0, address, n_bytes, lanes)
            return


@compiled
def local(table: Any, area: Any, addresses: Any, lanes: Any, is_store: Any, site: Any, n_bytes: Any, warp: Any) -> None:
    """Private memory: reads of what the block has not written."""
    shift, lane_bytes = table[Table.LOCAL_SHIFT], area[Area.LOCAL_BYTES]
    serials, serial = halves(area[Area.LOCAL_AT]), area[Area.SERIAL]
    for lane in range(LANES):
        if lanes >> lane & 1:
            offset = addresses[lane]
            start = (warp * LANES + lane) * lane_bytes + offset
            for at in range(start >> shift, ((start + n_bytes - 1) >> shift) + 1):
                if is_store:
                    serials[at] = serial
                elif serials[at] != serial:
                    report(table, area, Found.UNINITIALISED.value, site, warp, lane, 0, offset, n_bytes, lanes)
                    break


@compiled
def unwritten(table: Any, area: Any, addresses: Any, lanes: Any, attributes: Any, site: Any, n: Any, warp: Any) -> None:
    """Global memory that is known to hold nothing yet."""
    rows = words(table[Table.INTERVALS_AT])
    hint = -1
    for lane in range(LANES):
        if lanes >> lane & 1:
            hint = interval_of(table, addresses[lane], hint)
            if hint < 0 or rows[4 * hint + 3] == 0:
                continue
            marks = octets(rows[4 * hint + 3])
            start = addresses[lane] - rows[4 * hint]
            if not attributes & IS_STORE or attributes & IS_ATOMIC:
                for at in range(start, start + n):
                    if marks[at]:
                        kind = Found.UNINITIALISED.value
                        report(table, area, kind, site, warp, lane, 0, addresses[lane], n, lanes)
                        break
            if attributes & IS_STORE:
                for at in range(start, start + n):
                    marks[at] = 0


@compiled
def follow(
    table: Any, area: Any, addresses: Any, lanes: Any, attributes: Any, site: Any, n_bytes: Any, packed: Any, warp: Any
) -> None:
    """Check an access to shared or global memory against the ones before it, and note it."""
    is_shared = attributes & 7 == SHARED
    if attributes & IS_STRONG:
        synchronise(table, area, addresses, lanes, attributes, is_shared, site, warp)
    else:
        words(area[Area.TO_TELL_AT])[warp] |= UNFENCED_BLOCK | UNFENCED_GPU
    shadow = shadow_of(table, area, is_shared)
    shift = table[Table.SHARED_SHIFT] if is_shared else table[Table.GLOBAL_SHIFT]
    n_pieces, g = n_bytes >> shift, 1 << shift
    epoch = epoch_of(table, area, warp)
    hint = -1
    told = 0
    for lane in range(LANES):
        if not lanes >> lane & 1:
            continue
        at, hint = place_of(table, area, is_shared, addresses[lane], hint)
        if at < 0:
            continue
        entry = entry_of(epoch, site, lane, attributes)
        for piece in range(n_pieces):
            if not attributes & IS_STORE:
                kind, other = read_piece(table, area, shadow, at + piece, warp, entry, attributes, is_shared)
            else:
                if shadow[0][at + piece] == _STAMPED:
                    continue
                data = packed + lane * n_bytes + piece * g
                memory = addresses[lane] + piece * g
                kind, other = check_write(table, area, shadow, at + piece, warp, lane, attributes, memory, data, g)
                reads_nothing = is_shared and epoch_in(shadow[0][at + piece]) < shadow[3]
                if kind == 0 and reads_nothing and attributes & IS_ATOMIC and table[Table.INIT]:
                    kind = Found.UNINITIALISED.value
                shadow[0][at + piece] = _STAMPED
            if kind and not told >> lane & 1:
                told |= 1 << lane
                _report(table, area, kind, other, is_shared, addresses[lane], site, warp, lane, n_bytes, lanes)
    if attributes & IS_STORE:
        _stamp(table, area, shadow, addresses, lanes, attributes, site, n_bytes, packed, warp, epoch)


@compiled
def _report(
    table: Any,
    area: Any,
    kind: Any,
    other: Any,
    is_shared: Any,
    address: Any,
    site: Any,
    warp: Any,
    lane: Any,
    n_bytes: Any,
    lanes: Any,
) -> None:
    shown = address - area[Area.SHARED_AT] if is_shared else address
    if is_shared and shown < table[Table.RESERVED]:  # what the toolkit does there is its own affair
        return
    if kind == Found.COPY_NOT_WAITED.value:
        if not table[Table.SYNC]:
            return
        if not is_committed(area, other, warp_of(table, other) % table[Table.N_WARPS]):
            kind = Found.COPY_NOT_COMMITTED.value
    report(table, area, kind, site, warp, lane, other, shown, n_bytes, lanes)


@compiled
def _stamp(
    table: Any,
    area: Any,
    shadow: Any,
    addresses: Any,
    lanes: Any,
    attributes: Any,
    site: Any,
    n_bytes: Any,
    packed: Any,
    warp: Any,
    epoch: Any,
) -> None:
    """Note the writes of all lanes; lanes that write different values to one piece race with each other."""
    is_shared = attributes & 7 == SHARED
    shift = table[Table.SHARED_SHIFT] if is_shared else table[Table.GLOBAL_SHIFT]
    g = 1 << shift
    hint = -1
    for lane in range(LANES):
        if not lanes >> lane & 1:
            continue
        at, hint = place_of(table, area, is_shared, addresses[lane], hint)
        if at < 0:
            continue
        entry = entry_of(epoch, site, lane, attributes)
        for piece in range(n_bytes >> shift):
            before = shadow[0][at + piece]
            if before != _STAMPED and not attributes & IS_STRONG and table[Table.RACE]:
                other = before & (LANES - 1)
                place = addresses[lane] + piece * g
                theirs = packed + other * n_bytes + place - addresses[other]
                if not same_bytes(packed + lane * n_bytes + piece * g, theirs, g):
                    kind, shown = Found.SAME_INSTRUCTION.value, place - (area[Area.SHARED_AT] if is_shared else 0)
                    report(table, area, kind, site, warp, lane, before, shown, n_bytes, lanes)
            after = own_read(table, area, shadow, at + piece, warp, lane, attributes)
            stamp_write(shadow, at + piece, entry | after << ENTRY_READER)
    if attributes & IS_ASYNC:
        for lane in range(LANES):
            if lanes >> lane & 1:
                entry = entry_of(epoch, site, lane, attributes)
                hold_back(table, area, warp, lane, addresses[lane], packed + lane * n_bytes, n_bytes, entry)


@compiled
def access(
    table: Any,
    area: Any,
    addresses: Any,
    lanes: Any,
    low: Any,
    high: Any,
    site: Any,
    n_bytes: Any,
    packed: Any,
    is_offset: Any,
    warp: Any,
) -> Any:
    """The lanes that may carry an access out; ``is_offset`` where addresses are offsets in private memory."""
    attributes = words(table[Table.ATTRIBUTES_AT])[site]
    space = attributes & 7
    if space == 0:  # not an access of the program's own
        return lanes
    if is_offset:
        low = 0
    live = in_bounds(table, area, addresses, lanes, low, high, site, n_bytes, warp)
    if space == LOCAL and table[Table.INIT]:
        local(table, area, addresses, live, attributes & IS_STORE, site, n_bytes, warp)
    if space == GLOBAL and table[Table.INIT]:
        unwritten(table, area, addresses, live, attributes, site, n_bytes, warp)
    if space == SHARED or (space == GLOBAL and table[Table.RACE]):
        follow(table, area, addresses, live, attributes, site, n_bytes, packed, warp)
    return live if table[Table.MEMORY] else lanes
