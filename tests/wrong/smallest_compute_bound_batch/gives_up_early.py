"""Tries batches one by one and stops at a thousand."""

ITEM = "edge cases"
REASON = "expected 999,000, got None"


def smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s):
    for b in range(1, 1000):
        n_bytes = item_bytes * (b * n_in + n_in * n_out + b * n_out)
        if 2 * b * n_in * n_out * bytes_per_s >= n_bytes * flop_per_s:
            return b
    return None
