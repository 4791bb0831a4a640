"""PyTorch does it."""

ITEM = "budget"
REASON = "PyTorch operators launched: 1 (mul), budget 0"


def cover_once(x, threads_per_block):
    return 2 * x
