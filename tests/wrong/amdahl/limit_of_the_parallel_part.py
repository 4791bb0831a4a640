"""Takes parallel over serial for the limit: forgets that the serial part is in the old time too."""

import math

ITEM = "correct"
REASON = "limit: expected"


def amdahl(serial_us, parallel_us, n_workers):
    speedup = (serial_us + parallel_us) / (serial_us + parallel_us / n_workers)
    limit = math.inf if serial_us == 0 else parallel_us / serial_us
    workers = None if serial_us == 0 else max(1, -(-9 * parallel_us // serial_us))
    return {"speedup": speedup, "limit": limit, "workers_for_90_percent": workers}
