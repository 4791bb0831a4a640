"""Divides by a serial part of 0."""

ITEM = "edge cases"
REASON = "ZeroDivisionError"


def amdahl(serial_us, parallel_us, n_workers):
    total_us = serial_us + parallel_us
    speedup = total_us / (serial_us + parallel_us / n_workers)
    workers = max(1, -(-9 * parallel_us // serial_us))
    return {"speedup": speedup, "limit": total_us / serial_us, "workers_for_90_percent": workers}
