"""In which order machines of different width work through a frame, pixel by pixel.

Modelled: a step, in which every lane of the machine finishes one pixel; how many lanes there are.
Not modelled: time. A step of one machine is not as long as a step of another, and no machine waits for memory here.
Source: NVIDIA, white paper "NVIDIA A100 Tensor Core GPU Architecture" (2020): 4 warp schedulers in an SM, 108 SMs.
"""

from __future__ import annotations

import dataclasses
import random

from teachkit.emulator.steps import LANES, Trace

WARPS_PER_STEP = 4  # schedulers of an SM


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    """One machine at work.

    Attributes
    ----------
    title
        What machine it is.
    steps
        Pixels finished in each step.
    """

    title: str
    steps: tuple[tuple[int, ...], ...]

    @property
    def n_lanes(self) -> int:
        """Pixels of the fullest step."""
        return max(len(step) for step in self.steps)


def cpu_schedule(n_pixels: int, *, n_cores: int = 1, n_lanes: int = 1) -> Schedule:
    """Cores that each take one piece of the frame, and go through it with vectors of ``n_lanes``."""
    share = -(-n_pixels // n_cores)
    pieces = [range(start, min(start + share, n_pixels)) for start in range(0, n_pixels, share)]
    steps = [tuple(pixel for piece in pieces for pixel in piece[at : at + n_lanes]) for at in range(0, share, n_lanes)]
    cores = "1 core" if n_cores == 1 else f"{n_cores} cores"
    width = "one pixel at a time" if n_lanes == 1 else f"vectors of {n_lanes} lanes"
    return Schedule(f"CPU, {cores}, {width}", tuple(steps))


def pixels_of_warps(trace: Trace, place: str, n_pixels: int) -> list[list[tuple[int, ...]]]:
    """Pixels that each warp of each block stores, as the trace shows them: ``[block][warp]``.

    ``place`` is the argument that the kernel writes; of several planes the first, ``[n_pixels]``, counts.
    """
    found: list[list[set[int]]] = [[set() for _ in range(trace.n_warps)] for _ in range(trace.n_blocks)]
    for element, block, thread in trace.touched(place):
        if element < n_pixels:
            found[block][thread // LANES].add(element)
    return [[tuple(sorted(warp)) for warp in block] for block in found]


def gpu_schedule(blocks: list[list[tuple[int, ...]]], n_sms: int, *, seed: int | None = None) -> Schedule:
    """SMs that each take the next block when they have finished one, four warps of it at a time.

    Parameters
    ----------
    blocks : from :func:`pixels_of_warps`.
    n_sms : multiprocessors; each works on one block here.
    seed : shuffles the order of the blocks, which a GPU does not promise anyway.
    """
    order = list(range(len(blocks)))
    if seed is not None:
        random.Random(seed).shuffle(order)
    queues: list[list[tuple[int, ...]]] = [[] for _ in range(min(n_sms, len(blocks)))]
    for block in order:
        sm = min(range(len(queues)), key=lambda number: len(queues[number]))
        warps = [warp for warp in blocks[block] if warp]
        for at in range(0, len(warps), WARPS_PER_STEP):
            queues[sm].append(tuple(pixel for warp in warps[at : at + WARPS_PER_STEP] for pixel in warp))
    n_steps = max(len(queue) for queue in queues)
    steps = [tuple(pixel for queue in queues if at < len(queue) for pixel in queue[at]) for at in range(n_steps)]
    sms = "1 SM" if n_sms == 1 else f"{n_sms} SMs"
    return Schedule(f"GPU, {sms}" + (", blocks in another order" if seed is not None else ""), tuple(steps))
