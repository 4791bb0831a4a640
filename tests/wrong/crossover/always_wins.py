"""Believes that a GPU wins if only there is enough to do."""

import math

ITEM = "edge cases"
REASON = "expected None: the GPU never wins"


def crossover(cpu_pixels_per_s, gpu_bytes_per_s, link_bytes_per_s, launch_s, is_on_gpu):
    gain = abs(1 / cpu_pixels_per_s - 6 / gpu_bytes_per_s - (0 if is_on_gpu else 6 / link_bytes_per_s))
    return math.floor(launch_s / gain) + 1 if gain else None
