"""Divides everything by the number of workers."""

import math

ITEM = "correct"
REASON = "speedup: expected"


def amdahl(serial_us, parallel_us, n_workers):
    limit = math.inf if serial_us == 0 else (serial_us + parallel_us) / serial_us
    workers = None if serial_us == 0 else max(1, -(-9 * parallel_us // serial_us))
    return {"speedup": float(n_workers), "limit": limit, "workers_for_90_percent": workers}
