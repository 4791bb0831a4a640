"""The loop of the cache model, compiled by Numba and kept on disk where there is a folder to write to."""

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


N_SECTORS = np.array([bin(mask).count("1") for mask in range(16)], dtype=np.int64)


@_compiled
def _way_of(tags: Any, used: Any, row: int, line: int, clock: int) -> int:
    """The way that holds ``line``, else the one used longest ago; marks it as used now."""
    oldest = 0
    for way in range(tags.shape[1]):
        if tags[row, way] == line:
            used[row, way] = clock
            return way
        if used[row, way] < used[row, oldest]:
            oldest = way
    used[row, oldest] = clock
    return oldest


@_compiled
def replay(
    trace: Any,
    l1_tags: Any,
    l1_valid: Any,
    l1_used: Any,
    l2_tags: Any,
    l2_valid: Any,
    l2_dirty: Any,
    l2_used: Any,
    n_sms: int,
    l1_sets: int,
    l2_sets: int,
    first: Any,
    last: Any,
    base: Any,
    home: Any,
    touched: Any,
    state: Any,
) -> None:
    """Send every record of ``trace`` through the caches, a line of four sectors at a time.

    Allocations lie where ``home`` says, not where the host put them.

    ``state`` accumulates DRAM sectors read and written, L1 look-ups and hits, L2 look-ups and hits, the clock, and
    lines looked up in L1 (in a row of the same line, one).
    """
    sm = np.int64(0)
    clock = state[6]
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
            for which in range(len(first)):
                if first[which] <= at <= last[which]:
                    place = base[which] + at - first[which]
                    for i in range(n_sectors):
                        touched[place + i] |= (1 + is_store) | is_atomic
                    at += home[which] - first[which]
                    break
            end = at + n_sectors
            while at < end:
                line = at >> 2
                stop = min(end, (line + 1) << 2)
                wanted = ((1 << (stop - at)) - 1) << (at & 3)
                at = stop
                clock += 1
                if is_store == 0 and is_atomic == 0:
                    if line != last_line:
                        state[7] += 1
                        last_line = line
                    state[2] += N_SECTORS[wanted]
                    row = sm * l1_sets + line % l1_sets
                    way = _way_of(l1_tags, l1_used, row, line, clock)
                    if l1_tags[row, way] != line:
                        l1_tags[row, way] = line
                        l1_valid[row, way] = 0
                    held = np.int64(l1_valid[row, way])
                    state[3] += N_SECTORS[wanted & held]
                    l1_valid[row, way] = held | wanted
                    wanted &= ~held
                    if wanted == 0:
                        continue
                state[4] += N_SECTORS[wanted]
                row = line % l2_sets
                way = _way_of(l2_tags, l2_used, row, line, clock)
                if l2_tags[row, way] != line:
                    state[1] += N_SECTORS[l2_dirty[row, way]]
                    l2_tags[row, way] = line
                    l2_valid[row, way] = 0
                    l2_dirty[row, way] = 0
                held = np.int64(l2_valid[row, way])
                state[5] += N_SECTORS[wanted & held]
                if is_store == 0 or is_atomic == 1:
                    state[0] += N_SECTORS[wanted & ~held]
                l2_valid[row, way] = held | wanted
                if is_store:
                    l2_dirty[row, way] |= wanted
    state[6] = clock
