"""What comes before what: vector clocks of the warps of a block, and releases that carry them to other blocks.

A warp's own clock ticks where what it did so far may become known to others: at barriers, fences and releases. An
*epoch* is one tick of one warp, numbered through the launch. Inside a block every warp knows how far it can rely on
each other warp. Between blocks that knowledge travels with releases: each is a record of its block's clocks and of
the releases before it, so the question "is this access ordered before me" is a search through records.
Source: C. Flanagan, S. Freund, "FastTrack" (PLDI 2009), for epochs; PTX ISA, "Memory Consistency Model".
"""

from __future__ import annotations

from typing import Any

from teachkit.emulator.checks.layout import (
    N_BARRIERS,
    N_PARTIAL,
    UNFENCED_BLOCK,
    UNFENCED_GPU,
    UNRELEASED,
    Area,
    Overflow,
    Table,
)
from teachkit.emulator.checks.memory import compiled, halves, words

CLOCK_BITS = 24


@compiled
def epoch_of(table: Any, area: Any, warp: Any) -> Any:
    """Number of the warp's current epoch, given out when it is first needed."""
    epochs = words(area[Area.EPOCH_AT])
    if epochs[warp] == 0:
        number = table[Table.N_EPOCHS]
        if number >= table[Table.MAX_EPOCHS]:
            table[Table.OVERFLOW] |= Overflow.EPOCHS
            table[Table.RACE] = 0
            return number - 1
        n_warps = table[Table.N_WARPS]
        clock = halves(area[Area.CLOCKS_AT])[warp * n_warps + warp]
        words(table[Table.EPOCHS_AT])[number] = (area[Area.BLOCK] * n_warps + warp) << CLOCK_BITS | clock
        table[Table.N_EPOCHS] = number + 1
        epochs[warp] = number
    return epochs[warp]


@compiled
def tick(table: Any, area: Any, warp: Any) -> None:
    """A new epoch of the warp: what it does from now on is not covered by what others know of it."""
    own = warp * table[Table.N_WARPS] + warp
    halves(area[Area.CLOCKS_AT])[own] += 1
    words(area[Area.EPOCH_AT])[warp] = 0
    words(area[Area.SYNCED_AT])[warp] = halves(area[Area.CLOCKS_AT])[own]


@compiled
def meet(table: Any, area: Any, warp: Any, lanes: Any) -> None:
    """``bar.warp.sync`` of some lanes: a new epoch, but the others are in no order with them."""
    synced, clock = words(area[Area.SYNCED_AT])[warp], halves(area[Area.CLOCKS_AT])[warp * table[Table.N_WARPS] + warp]
    tick(table, area, warp)
    if words(area[Area.STARTED_AT])[warp] & ~words(area[Area.EXITED_AT])[warp] & ~lanes:
        halves(area[Area.PARTIAL_AT])[warp * N_PARTIAL + clock % N_PARTIAL] = lanes
        words(area[Area.SYNCED_AT])[warp] = synced


@compiled
def have_met(table: Any, area: Any, warp: Any, lane: Any, other: Any, clock: Any) -> Any:
    """Whether ``lane`` knows what ``other`` of its warp did at an earlier ``clock``, from itself or from a third."""
    now = halves(area[Area.CLOCKS_AT])[warp * table[Table.N_WARPS] + warp]
    if clock >= now:
        return False
    if clock < words(area[Area.SYNCED_AT])[warp] or now - clock > N_PARTIAL:
        return True
    partial, told = halves(area[Area.PARTIAL_AT]), 1 << other
    for at in range(clock, now):
        lanes = partial[warp * N_PARTIAL + at % N_PARTIAL]
        if lanes & told:
            told |= lanes
    return told >> lane & 1 != 0


@compiled
def join(target: Any, at: Any, source: Any, start: Any, n: Any) -> None:
    """Elementwise maximum of ``n`` clocks into ``target``."""
    for i in range(n):
        target[at + i] = max(target[at + i], source[start + i])


@compiled
def is_ordered(table: Any, area: Any, warp: Any, epoch: Any) -> Any:
    """Whether everything in ``epoch``, which another warp's, comes before what ``warp`` does now."""
    n_warps = table[Table.N_WARPS]
    made = words(table[Table.EPOCHS_AT])[epoch]
    who, clock = made >> CLOCK_BITS, made & ((1 << CLOCK_BITS) - 1)
    block, other = who // n_warps, who % n_warps
    is_own = block == area[Area.BLOCK]
    if is_own and halves(area[Area.CLOCKS_AT])[warp * n_warps + other] >= clock:
        return True
    known = halves(area[Area.KNOWN_AT])[warp]
    return known != 0 and _reaches(table, known, block, other, clock, is_own)


@compiled
def _reaches(table: Any, start: Any, block: Any, other: Any, clock: Any, is_own: Any) -> Any:
    """Whether a release that ``start`` came after covers ``clock`` of warp ``other`` of ``block``."""
    if table[Table.OVERFLOW] & Overflow.RECORDS:
        return True
    table[Table.SEARCH] += 1
    search, n_warps = table[Table.SEARCH], table[Table.N_WARPS]
    stamps, stack = halves(table[Table.STAMPS_AT]), halves(table[Table.STACK_AT])
    blocks, clocks = words(table[Table.RECORD_BLOCK_AT]), halves(table[Table.RECORD_CLOCKS_AT])
    first, edges = words(table[Table.RECORD_FIRST_AT]), halves(table[Table.EDGES_AT])
    stack[0], n = start, 1
    stamps[start] = search
    while n:
        n -= 1
        record = stack[n]
        if blocks[record] == block and clocks[(2 * record + is_own) * n_warps + other] >= clock:
            return True
        for edge in range(first[record], first[record + 1]):
            before = edges[edge]
            if stamps[before] != search:
                stamps[before] = search
                stack[n] = before
                n += 1
    return False


@compiled
def new_record(table: Any, block: Any) -> Any:
    """An empty record of a release; :func:`add_edge` may be called until the next one is made. 0 when full."""
    number = table[Table.N_RECORDS]
    if number >= table[Table.MAX_RECORDS]:
        table[Table.OVERFLOW] |= Overflow.RECORDS
        return 0
    table[Table.N_RECORDS] = number + 1
    words(table[Table.RECORD_BLOCK_AT])[number] = block
    first = words(table[Table.RECORD_FIRST_AT])
    first[number] = first[number + 1] = table[Table.N_EDGES]
    return number


@compiled
def add_edge(table: Any, record: Any, before: Any) -> None:
    """``record`` comes after ``before``."""
    first = words(table[Table.RECORD_FIRST_AT])
    edges = halves(table[Table.EDGES_AT])
    n = table[Table.N_EDGES]
    for edge in range(first[record], n):
        if edges[edge] == before:
            return
    if before == 0 or record == 0 or before == record:
        return
    if n >= table[Table.MAX_EDGES]:
        table[Table.OVERFLOW] |= Overflow.RECORDS
        return
    edges[n] = before
    table[Table.N_EDGES] = first[record + 1] = n + 1


@compiled
def both(table: Any, a: Any, b: Any) -> Any:
    """A record that comes after two."""
    if a == b or b == 0:
        return a
    if a == 0:
        return b
    record = new_record(table, -1)
    add_edge(table, record, a)
    add_edge(table, record, b)
    return record


@compiled
def fence(table: Any, area: Any, warp: Any, is_gpu: Any) -> None:
    """What the warp knows and did so far may be published by a later plain atomic or volatile store."""
    n_warps = table[Table.N_WARPS]
    clocks, fenced = halves(area[Area.CLOCKS_AT]), halves(area[Area.FENCED_AT])
    for scope in range(2):
        if scope == 1 or is_gpu:
            join(fenced, (scope * n_warps + warp) * n_warps, clocks, warp * n_warps, n_warps)
    to_tell, covered = words(area[Area.TO_TELL_AT]), UNFENCED_BLOCK | (UNFENCED_GPU if is_gpu else 0)
    if to_tell[warp] & covered:
        to_tell[warp] = to_tell[warp] & ~covered | UNRELEASED
    tick(table, area, warp)


@compiled
def publish(table: Any, area: Any, warp: Any, record: Any, is_release: Any, is_gpu: Any) -> None:
    """Fill a record with what the warp has fenced; with all that it knows if it is a release itself."""
    n_warps = table[Table.N_WARPS]
    clocks, fenced = halves(area[Area.CLOCKS_AT]), halves(area[Area.FENCED_AT])
    into = halves(table[Table.RECORD_CLOCKS_AT])
    for scope in range(2):
        at = (2 * record + scope) * n_warps
        join(into, at, fenced, (scope * n_warps + warp) * n_warps, n_warps)
        if is_release and (scope == 1 or is_gpu):
            join(into, at, clocks, warp * n_warps, n_warps)


@compiled
def has_fenced(table: Any, area: Any, warp: Any) -> Any:
    """Whether the warp has anything that a plain atomic would publish."""
    n_warps = table[Table.N_WARPS]
    fenced = halves(area[Area.FENCED_AT])
    found = 0
    for other in range(n_warps):
        found |= fenced[(n_warps + warp) * n_warps + other] | fenced[warp * n_warps + other]
    return found != 0


@compiled
def arrive(table: Any, area: Any, warp: Any, number: Any) -> None:
    """Add what the warp knows to a barrier."""
    n_warps = table[Table.N_WARPS]
    at_barrier, clocks = halves(area[Area.BARRIER_CLOCKS_AT]), halves(area[Area.CLOCKS_AT])
    fenced, known = halves(area[Area.FENCED_AT]), halves(area[Area.BARRIER_KNOWN_AT])
    join(at_barrier, number * n_warps, clocks, warp * n_warps, n_warps)
    for scope in range(2):
        at = ((scope + 1) * N_BARRIERS + number) * n_warps
        join(at_barrier, at, fenced, (scope * n_warps + warp) * n_warps, n_warps)
    known[number] = both(table, known[number], halves(area[Area.KNOWN_AT])[warp])


@compiled
def depart(table: Any, area: Any, warp: Any, number: Any) -> None:
    """Give a warp what all who came to the barrier know."""
    n_warps = table[Table.N_WARPS]
    at_barrier, clocks = halves(area[Area.BARRIER_CLOCKS_AT]), halves(area[Area.CLOCKS_AT])
    fenced, known = halves(area[Area.FENCED_AT]), halves(area[Area.KNOWN_AT])
    join(clocks, warp * n_warps, at_barrier, number * n_warps, n_warps)
    for scope in range(2):
        at = ((scope + 1) * N_BARRIERS + number) * n_warps
        join(fenced, (scope * n_warps + warp) * n_warps, at_barrier, at, n_warps)
    known[warp] = both(table, known[warp], halves(area[Area.BARRIER_KNOWN_AT])[number])
    tick(table, area, warp)


@compiled
def clear(table: Any, area: Any, number: Any) -> None:
    """Forget what was brought to a barrier."""
    n_warps = table[Table.N_WARPS]
    at_barrier = halves(area[Area.BARRIER_CLOCKS_AT])
    for part in range(3):
        for other in range(n_warps):
            at_barrier[(part * N_BARRIERS + number) * n_warps + other] = 0
    halves(area[Area.BARRIER_KNOWN_AT])[number] = 0


@compiled
def reaches_record(table: Any, start: Any, wanted: Any) -> Any:
    """Whether ``start`` came after the release ``wanted``. Later records have higher numbers."""
    if wanted > start or table[Table.OVERFLOW] & Overflow.RECORDS:
        return False
    table[Table.SEARCH] += 1
    search = table[Table.SEARCH]
    stamps, stack = halves(table[Table.STAMPS_AT]), halves(table[Table.STACK_AT])
    first, edges = words(table[Table.RECORD_FIRST_AT]), halves(table[Table.EDGES_AT])
    stack[0], n = start, 1
    stamps[start] = search
    while n:
        n -= 1
        record = stack[n]
        if record == wanted:
            return True
        for edge in range(first[record], first[record + 1]):
            before = edges[edge]
            if before >= wanted and stamps[before] != search:
                stamps[before] = search
                stack[n] = before
                n += 1
    return False
