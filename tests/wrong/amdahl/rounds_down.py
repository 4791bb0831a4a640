"""Rounds the workers down, so that they miss the 90 percent."""

import math

ITEM = "workers"
REASON = "workers_for_90_percent: expected"


def amdahl(serial_us, parallel_us, n_workers):
    speedup = (serial_us + parallel_us) / (serial_us + parallel_us / n_workers)
    if serial_us == 0:
        return {"speedup": speedup, "limit": math.inf, "workers_for_90_percent": None}
    workers = max(1, 9 * parallel_us // serial_us)
    return {"speedup": speedup, "limit": (serial_us + parallel_us) / serial_us, "workers_for_90_percent": workers}
