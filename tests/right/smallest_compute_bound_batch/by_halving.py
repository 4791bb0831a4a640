"""Looks for it between powers of two."""


def smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s):
    def enough(b):
        n_bytes = item_bytes * (b * n_in + n_in * n_out + b * n_out)
        return 2 * b * n_in * n_out * bytes_per_s >= n_bytes * flop_per_s

    if 2 * n_in * n_out * bytes_per_s <= item_bytes * (n_in + n_out) * flop_per_s:
        return None
    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
