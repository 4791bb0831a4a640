"""The ridge point itself: forgets that rows and results travel too."""

import math

ITEM = "correct"
REASON = "expected"


def smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s):
    return max(1, math.ceil(flop_per_s * item_bytes / bytes_per_s / 2))
