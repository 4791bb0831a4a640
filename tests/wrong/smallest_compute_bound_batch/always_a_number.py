"""Divides without asking whether any batch is enough."""

import math
from fractions import Fraction

ITEM = "edge cases"
REASON = "expected None (no batch is large enough)"


def smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s):
    r = Fraction(flop_per_s * item_bytes, bytes_per_s)
    gain = 2 * n_in * n_out - r * (n_in + n_out)
    return max(1, abs(math.ceil(r * n_in * n_out / gain))) if gain else 1
