"""How many cores and how much memory this process may use: less than the machine has, inside a container.

Modelled: nothing; it is read from the system: the scheduler's affinity and the limits of control groups, version 2 and
version 1. Not read: limits of groups above that of the process, where the container does not show them.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(root: Path = _CGROUP) -> int:
    """Return the cores that the process may use, 1 or more; a quota of one and a half cores counts as two."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _first(root, "cpu.max", 0), _first(root, "cpu.max", 1)
    if quota is None:
        quota, period = _first(root, "cpu/cpu.cfs_quota_us", 0), _first(root, "cpu/cpu.cfs_period_us", 0)
    if quota and period:
        cores = min(cores, math.ceil(quota / period))
    return max(cores, 1)


def usable_memory_bytes(root: Path = _CGROUP) -> int:
    """Return the memory that the process may use, bytes."""
    import psutil

    total = int(psutil.virtual_memory().total)
    limits = (_first(root, "memory.max", 0), _first(root, "memory/memory.limit_in_bytes", 0))
    return min(total, *(limit for limit in limits if limit)) if any(limits) else total


def _first(root: Path, file: str, index: int) -> int | None:
    """Return one number of a file; ``None`` where there is no file, or no limit ("max", or -1)."""
    try:
        words = (root / file).read_text().split()
    except OSError:
        return None
    return int(words[index]) if len(words) > index and words[index].isdigit() else None
