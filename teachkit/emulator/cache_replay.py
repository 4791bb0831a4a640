"""The loop of the cache model, compiled by Numba and kept on disk where there is a folder to write to.

What costs time is memory: a set is one short array in the order of use, an entry one number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True)(function)
    except RuntimeError:  # no writable folder for Numba's cache
        compiled = numba.njit(function)
    return compiled


_inlined: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(inline="always")


@_compiled
def marks_of(trace: Any) -> Any:
    """Where blocks begin in a trace."""
    marks = [position for position in range(len(trace)) if trace[position] >> np.uint64(63)]
    return np.array(marks, np.int64)


# An entry of a cache: which of its four sectors are dirty, which are there, and its line.
_VALID, _TAG = 4, 8
EMPTY = -1 << _TAG
_COUNTS = 0x4332322132212110  # of the bits of each mask of four, four bits each


@_inlined
def _n_bits(mask: Any) -> Any:
    return (_COUNTS >> (4 * mask)) & 15


@_inlined
def _to_front(cache: Any, first: int, n_ways: int, line: int) -> Any:
    """Make room for a line at the front of the set that begins at ``first``, which is in the order of use.

    Returns the line's own entry, or if it was not there the one that has dropped out at the end.
    """
    entry = cache[first]
    place = first + 1
    while entry >> _TAG != line and place < first + n_ways:
        entry, cache[place] = cache[place], entry
        place += 1
    return entry


@_compiled
def replay(
    trace: Any,
    l1: Any,
    l1_sets: int,
    l2: Any,
    l2_sets: int,
    n_sms: int,
    first: Any,
    last: Any,
    base: Any,
    home: Any,
    touched: Any,
    state: Any,
) -> None:
    """Send every record of ``trace`` through the caches, a line of four sectors at a time.

    Allocations lie where ``home`` says, not where the host put them.

    ``state`` accumulates DRAM sectors read and written, L1 look-ups and hits, L2 look-ups and hits, and lines looked up
    in L1 (in a row of the same line, one).
    """
    l1_ways, l2_ways = len(l1) // (n_sms * l1_sets), len(l2) // l2_sets
    read, written, l1_lookups, l1_hits, l2_lookups, l2_hits, n_lines = state
    sm, interval = np.int64(0), 0
    last_line = np.int64(-1)
    position = 0
    while position < len(trace):
        record = trace[position]
        position += 1
        if record >> np.uint64(63):
            sm = np.int64(record & np.uint64(0xFFFFFFFF)) % n_sms
            last_line = np.int64(-1)
            continue
        is_store = np.int64(record & np.uint64(1))
        n_sectors = np.int64((record >> np.uint64(1)) & np.uint64(127)) + 1
        is_atomic = np.int64((record >> np.uint64(62)) & np.uint64(1))
        start = np.int64((record & np.uint64((1 << 61) - 1)) >> np.uint64(8))
        n_runs, gap = 1, np.int64(0)
        if (record >> np.uint64(61)) & np.uint64(1):
            n_runs, gap = 32, np.int64(trace[position])
            position += 1
        for run in range(n_runs):
            at = start + run * gap
            if not first[interval] <= at <= last[interval]:
                for which in range(len(first)):
                    if first[which] <= at <= last[which]:
                        interval = which
            if first[interval] <= at <= last[interval]:
                offset = base[interval] + at - first[interval]
                for i in range(n_sectors):
                    touched[offset + i] |= (1 + is_store) | is_atomic
                at += home[interval] - first[interval]
            end = at + n_sectors
            while at < end:
                line = at >> 2
                stop = min(end, (line + 1) << 2)
                wanted = ((1 << (stop - at)) - 1) << (at & 3)
                at = stop
                if is_store == 0 and is_atomic == 0:
                    if line != last_line:
                        n_lines += 1
                        last_line = line
                    l1_lookups += _n_bits(wanted)
                    place = (sm * l1_sets + np.int64(np.uint32(line) % np.uint32(l1_sets))) * l1_ways
                    entry = _to_front(l1, place, l1_ways, line)
                    held = (entry >> _VALID) & 15 if entry >> _TAG == line else 0
                    l1[place] = line << _TAG | (held | wanted) << _VALID
                    l1_hits += _n_bits(wanted & held)
                    wanted &= ~held
                    if wanted == 0:
                        continue
                l2_lookups += _n_bits(wanted)
                place = np.int64(np.uint32(line) % np.uint32(l2_sets)) * l2_ways
                entry = _to_front(l2, place, l2_ways, line)
                if entry >> _TAG != line:
                    written += _n_bits(entry & 15)
                    entry = line << _TAG
                held = (entry >> _VALID) & 15
                l2_hits += _n_bits(wanted & held)
                if is_store == 0 or is_atomic == 1:
                    read += _n_bits(wanted & ~held)
                l2[place] = entry | wanted << _VALID | (wanted if is_store else 0)
    state[:] = np.array([read, written, l1_lookups, l1_hits, l2_lookups, l2_hits, n_lines])
