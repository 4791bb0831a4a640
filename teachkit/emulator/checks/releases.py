"""What atomics and volatile accesses tell and learn: releases of a place, and who comes after them."""

from __future__ import annotations

from typing import Any

from teachkit.emulator.checks.clocks import add_edge, both, has_fenced, new_record, publish, reaches_record, tick
from teachkit.emulator.checks.layout import (
    IS_ATOMIC,
    IS_GPU,
    IS_RELEASE,
    IS_STORE,
    LANES,
    UNFENCED_BLOCK,
    UNFENCED_GPU,
    UNRELEASED,
    Area,
    Table,
)
from teachkit.emulator.checks.memory import compiled, halves, words
from teachkit.emulator.checks.places import place_of


@compiled
def told_by(attributes: Any) -> Any:
    """What of a warp's accesses a strong store of its makes known, if it is one that releases."""
    if attributes & IS_RELEASE == 0:
        return UNRELEASED
    return UNRELEASED | UNFENCED_BLOCK | (UNFENCED_GPU if attributes & IS_GPU else 0)


@compiled
def synchronise(
    table: Any, area: Any, addresses: Any, lanes: Any, attributes: Any, is_shared: Any, site: Any, warp: Any
) -> None:
    """Atomics and volatile accesses: take over what was released at the place, then release what may be."""
    releases = halves(area[Area.RELEASES_AT] if is_shared else table[Table.RELEASES_AT])
    known, last = halves(area[Area.KNOWN_AT]), halves(area[Area.LAST_AT])
    to_tell, told = words(area[Area.TO_TELL_AT]), told_by(attributes)
    is_store = attributes & IS_STORE != 0
    hint = -1
    gives = is_store and (attributes & IS_RELEASE != 0 or has_fenced(table, area, warp))
    if gives and not to_tell[warp] & told:  # nothing new since the warp's last release: a spin on a lock, say
        gives = False
        for lane in range(LANES):
            if lanes >> lane & 1:
                at, hint = place_of(table, area, is_shared, addresses[lane], hint)
                if at >= 0 and (releases[at] != known[warp] or (last[warp] and releases[at] != last[warp])):
                    gives = True
    record = 0
    if gives:
        record = new_record(table, area[Area.BLOCK])
        if record == 0:
            return
        publish(table, area, warp, record, attributes & IS_RELEASE, attributes & IS_GPU)
        add_edge(table, record, known[warp])
    takes = not is_store or attributes & IS_ATOMIC != 0
    for lane in range(LANES):
        if not lanes >> lane & 1:
            continue
        at, hint = place_of(table, area, is_shared, addresses[lane], hint)
        if at < 0:
            continue
        before = releases[at]
        if record:
            add_edge(table, record, before)
        elif takes and before and before != known[warp] and not reaches_record(table, known[warp], before):
            known[warp] = both(table, known[warp], before)
        if record:
            releases[at] = record
    if record:
        if takes:
            known[warp] = record
        last[warp] = record
        to_tell[warp] &= ~told
        area[Area.HAS_RELEASES] |= is_shared
        tick(table, area, warp)
    sites = words(area[Area.STRONG_SITE_AT])
    if sites[warp] != site:  # one that a warp repeats is a spin
        sites[warp] = site
        to_tell[warp] |= UNFENCED_BLOCK | UNFENCED_GPU
