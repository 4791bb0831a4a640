"""Rounds up: where both are equally fast at a whole number, it returns the tie."""

import math

ITEM = "edge cases"
REASON = "expected 2,049 pixels, got 2,048"


def crossover(cpu_pixels_per_s, gpu_bytes_per_s, link_bytes_per_s, launch_s, is_on_gpu):
    gain = 1 / cpu_pixels_per_s - 6 / gpu_bytes_per_s - (0 if is_on_gpu else 6 / link_bytes_per_s)
    return max(1, math.ceil(launch_s / gain)) if gain > 0 else None
