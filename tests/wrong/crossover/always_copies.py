"""Copies a frame that is there already."""

import math

ITEM = "resident"
REASON = "expected"


def crossover(cpu_pixels_per_s, gpu_bytes_per_s, link_bytes_per_s, launch_s, is_on_gpu):
    gain = 1 / cpu_pixels_per_s - 6 / gpu_bytes_per_s - 6 / link_bytes_per_s
    return math.floor(launch_s / gain) + 1 if gain > 0 else None
