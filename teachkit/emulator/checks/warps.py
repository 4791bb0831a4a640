"""What the monitor does when a warp starts, ends, meets others at a barrier, or exchanges values between lanes."""

from __future__ import annotations

from typing import Any

from teachkit.emulator.checks.clocks import arrive, clear, depart, fence, meet, tick
from teachkit.emulator.checks.copies import wait
from teachkit.emulator.checks.layout import (
    LANES,
    N_BARRIERS,
    UNFENCED_BLOCK,
    UNFENCED_GPU,
    UNRELEASED,
    Area,
    Event,
    Found,
    Table,
)
from teachkit.emulator.checks.memory import compiled, halves, words
from teachkit.emulator.checks.shadow import report

ALL = (1 << LANES) - 1
N_MODES = 4  # up, down, bfly, idx; more: no lane reads another's register


@compiled
def begin_block(table: Any, area: Any, block: Any, last_warp_lanes: Any) -> None:
    """Forget the block before."""
    n_warps = table[Table.N_WARPS]
    area[Area.BLOCK] = block
    area[Area.FIRST_EPOCH] = table[Table.N_EPOCHS]
    area[Area.SERIAL] += 1
    clocks, fenced = halves(area[Area.CLOCKS_AT]), halves(area[Area.FENCED_AT])
    for i in range(n_warps * n_warps):
        clocks[i] = fenced[i] = fenced[n_warps * n_warps + i] = 0
    for number in range(N_BARRIERS):
        clear(table, area, number)
    for warp in range(n_warps):
        clocks[warp * n_warps + warp] = words(area[Area.SYNCED_AT])[warp] = 1
        halves(area[Area.KNOWN_AT])[warp] = halves(area[Area.LAST_AT])[warp] = 0
        words(area[Area.EPOCH_AT])[warp] = words(area[Area.EXITED_AT])[warp] = 0
        words(area[Area.STARTED_AT])[warp] = last_warp_lanes if warp == n_warps - 1 else ALL
        words(area[Area.WAITING_AT])[warp] = -1
        words(area[Area.GROUP_AT])[warp] = words(area[Area.N_COPIES_AT])[warp] = 0
        words(area[Area.TO_TELL_AT])[warp] = 0
        words(area[Area.STRONG_SITE_AT])[warp] = -1
    if area[Area.HAS_RELEASES]:
        area[Area.HAS_RELEASES] = 0
        releases = halves(area[Area.RELEASES_AT])
        for i in range(area[Area.N_ENTRIES]):
            releases[i] = 0


@compiled
def _first(lanes: Any) -> Any:
    for lane in range(LANES):
        if lanes >> lane & 1:
            return lane
    return 0


@compiled
def _tell(table: Any, area: Any, kind: Any, site: Any, warp: Any, lanes: Any) -> None:
    """A finding about ``lanes``, of which the first is named."""
    if table[Table.SYNC]:
        report(table, area, kind, site, warp, _first(lanes), 0, 0, 0, lanes)


@compiled
def at_barrier(
    table: Any, area: Any, warp: Any, number: Any, is_whole: Any, lanes: Any, site: Any, is_aligned: Any
) -> None:
    """Lanes of a warp begin to wait. Where others of them wait for a lock, these are held until those come as well."""
    waiting, sites = words(area[Area.WAITING_AT]), words(area[Area.WAIT_SITE_AT])
    if waiting[warp] >= 0:
        before = words(area[Area.WAIT_LANES_AT])[warp]
        if sites[warp] == site:
            lanes |= before
        elif is_aligned:
            _tell(table, area, Found.DIVERGENT_BARRIER.value, site, warp, before)
    waiting[warp], words(area[Area.WHOLE_AT])[warp] = number, is_whole
    words(area[Area.WAIT_LANES_AT])[warp], sites[warp] = lanes, site
    arrive(table, area, warp, number)


@compiled
def past_barrier(table: Any, area: Any, warp: Any, is_aligned: Any) -> None:
    """The first warp that goes on takes all along that waited at the same barrier."""
    waiting = words(area[Area.WAITING_AT])
    number = waiting[warp]
    if number < 0:
        return
    n_warps = table[Table.N_WARPS]
    if words(area[Area.WHOLE_AT])[warp]:
        for other in range(n_warps):
            gone = words(area[Area.EXITED_AT])[other]
            if gone:
                site = words(area[Area.WAIT_SITE_AT])[warp]
                _tell(table, area, Found.BARRIER_AFTER_EXIT.value, site, other, gone)
                break
    for other in range(n_warps):
        if waiting[other] == number:
            waiting[other] = -1
            here = words(area[Area.WAIT_LANES_AT])[other] | words(area[Area.EXITED_AT])[other]
            left = words(area[Area.STARTED_AT])[other] & ~here
            if left and is_aligned:
                site = words(area[Area.WAIT_SITE_AT])[other]
                _tell(table, area, Found.DIVERGENT_BARRIER.value, site, other, left)
            words(area[Area.TO_TELL_AT])[other] = UNFENCED_BLOCK | UNFENCED_GPU | UNRELEASED
            depart(table, area, other, number)
    clear(table, area, number)


@compiled
def together(table: Any, area: Any, warp: Any, lanes: Any, mode: Any, buffer: Any, site: Any) -> None:
    """Lanes that exchange values: masks, and for shuffles the operands b and c of every lane, are at ``buffer``."""
    masks = halves(buffer)
    exited, started = words(area[Area.EXITED_AT])[warp], words(area[Area.STARTED_AT])[warp]
    named = unnamed = reading = 0
    for lane in range(LANES):
        if lanes >> lane & 1:
            mask = int(masks[lane]) & ALL
            named |= mask
            if not mask >> lane & 1:
                unnamed |= 1 << lane
            elif mode < N_MODES:
                source = _source(mode, lane, int(masks[LANES + lane]) & ALL, int(masks[2 * LANES + lane]) & ALL)
                if mask >> source & 1 and (exited | ~started) >> source & 1:
                    reading |= 1 << lane
    absent = named & started & ~exited & ~lanes
    if absent:
        _tell(table, area, Found.ABSENT_LANE.value, site, warp, absent)
    if unnamed:
        _tell(table, area, Found.UNNAMED_LANE.value, site, warp, unnamed)
    if reading:
        _tell(table, area, Found.READS_ABSENT_LANE.value, site, warp, reading)


@compiled
def warp_barrier(table: Any, area: Any, warp: Any, lanes: Any, buffer: Any, site: Any) -> None:
    """``bar.warp.sync``; the masks of every lane are at ``buffer``. Who is named and not there may still come."""
    masks = halves(buffer)
    named, unnamed = lanes, 0
    for lane in range(LANES):
        if lanes >> lane & 1:
            mask = int(masks[lane]) & ALL
            named |= mask
            if not mask >> lane & 1:
                unnamed |= 1 << lane
    if unnamed:
        _tell(table, area, Found.UNNAMED_LANE.value, site, warp, unnamed)
    meet(table, area, warp, named)


@compiled
def _source(mode: Any, lane: Any, b: Any, c: Any) -> Any:
    """The lane that a shuffle reads from. Source: PTX ISA, "shfl.sync", semantics."""
    clamp, segment = c & 31, c >> 8 & 31
    most, least, b = lane & segment | clamp & ~segment & 31, lane & segment, b & 31
    if mode == 0:
        return lane - b if lane - b >= most else lane
    source = lane + b if mode == 1 else lane ^ b if mode == 2 else least | b & ~segment & 31
    return source if source <= most else lane


@compiled
def event(table: Any, area: Any, shadow: Any, kind: Any, warp: Any, a: Any, b: Any, lanes: Any, site: Any) -> None:
    """Anything but an access. What ``a`` and ``b`` are is said where the events are emitted."""
    if kind == Event.BARRIER:
        at_barrier(table, area, warp, a, b & 1, lanes, site, b & 2)
    elif kind == Event.RESUME:
        past_barrier(table, area, warp, b & 2)
    elif kind == Event.ARRIVE:
        arrive(table, area, warp, a)
        tick(table, area, warp)
    elif kind == Event.FENCE:
        fence(table, area, warp, a)
    elif kind == Event.WARP_BARRIER:
        warp_barrier(table, area, warp, lanes, a, site)
    elif kind == Event.TOGETHER:
        together(table, area, warp, lanes, a, b, site)
    elif kind == Event.ALIGNED:
        if lanes != ALL:
            _tell(table, area, Found.LANES_OFF.value, site, warp, ALL & ~lanes)
    elif kind == Event.COMMIT:
        words(area[Area.GROUP_AT])[warp] += 1
    elif kind == Event.WAIT:
        wait(table, area, shadow, warp, lanes, a)
    elif kind == Event.EXIT:
        words(area[Area.EXITED_AT])[warp] |= lanes & words(area[Area.STARTED_AT])[warp]
