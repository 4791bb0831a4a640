"""One row too few, where it does not come out even."""

import math
from fractions import Fraction

ITEM = "correct"
REASON = "expected"


def smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s):
    r = Fraction(flop_per_s * item_bytes, bytes_per_s)
    gain = 2 * n_in * n_out - r * (n_in + n_out)
    return max(1, math.floor(r * n_in * n_out / gain)) if gain > 0 else None
