"""Wants the arithmetic to take longer, not as long."""

import math
from fractions import Fraction

ITEM = "edge cases"
REASON = "expected 200, got 201"


def smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s):
    r = Fraction(flop_per_s * item_bytes, bytes_per_s)
    gain = 2 * n_in * n_out - r * (n_in + n_out)
    return math.floor(r * n_in * n_out / gain) + 1 if gain > 0 else None
