"""Counts rows and weights, not what is written."""

import math
from fractions import Fraction

ITEM = "correct"
REASON = "expected"


def smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s):
    r = Fraction(flop_per_s * item_bytes, bytes_per_s)
    gain = 2 * n_in * n_out - r * n_in
    return max(1, math.ceil(r * n_in * n_out / gain)) if gain > 0 else None
