"""What DRAM and L2 of a GPU deliver, and which share of a launch's traffic a warm L2 answers.

Modelled: rates measured on the GPU, else a share of the data sheet; an L2 of 16 ways whose lines are spread over its
sets by a hash and of which the least recently used goes first. A launch that runs over the same memory again and again
then misses every line of a set that more lines claim than it has ways.
Not modelled: the two halves of the L2 of GA100, GH100 and GB100, which may hold a line twice; other replacement
policies; hints.
"""

from __future__ import annotations

import math

from teachkit.hardware.spec import GpuSpec

ASSUMED_DRAM_FRACTION = 0.86
"""Mean over the GPUs that were measured; a test recomputes it."""

L2_WAYS = 16
"""As in the emulator's cache model."""

_NO_SHARE = 1e-6  # fewer lines than this count as none


def mixed_dram_rate(spec: GpuSpec) -> tuple[float, bool, str]:
    """Bytes a second that reads and writes together reach, whether that was measured, and where it is from."""
    for field in ("dram_triad_bytes_per_s", "dram_copy_bytes_per_s"):
        if (measured := getattr(spec, field)) is not None:
            return measured, True, f"{field}: {spec.source(field)}"
    assumed = ASSUMED_DRAM_FRACTION * spec.dram_bytes_per_s
    return assumed, False, f"assumed: {ASSUMED_DRAM_FRACTION} of the data sheet, as on devices that were measured"


def one_way_dram_rate(spec: GpuSpec) -> float:
    """Bytes a second of reads alone or of writes alone: the bus never turns round, so the faster of both counts."""
    rates = (spec.dram_read_bytes_per_s, spec.dram_write_bytes_per_s, mixed_dram_rate(spec)[0])
    return max(rate for rate in rates if rate is not None)


def dram_seconds(spec: GpuSpec, n_read: float, n_written: float) -> float:
    """Time of DRAM traffic, bytes: up to two bytes of one direction with each of the other at the mixed rate."""
    mixed = min(n_read + n_written, 3 * min(n_read, n_written))
    return mixed / mixed_dram_rate(spec)[0] + (n_read + n_written - mixed) / one_way_dram_rate(spec)


def l2_seconds(spec: GpuSpec, n_read: float, n_written: float) -> float:
    """Time of L2 traffic, bytes, on a GPU whose L2 was measured: what is written goes with as much that is read."""
    read_rate = spec.l2_bytes_per_s or math.inf
    mixed = 2 * min(n_read, n_written) if spec.l2_copy_bytes_per_s is not None else 0.0
    return mixed / (spec.l2_copy_bytes_per_s or math.inf) + (n_read + n_written - mixed) / read_rate


def missed_share(l2_bytes: float, footprint_bytes: float) -> float:
    """Share, 0 to 1, of the lines that a warm L2 does not hold when the same memory is passed over once more.

    Lines fall on sets as balls into bins, so that the neighbours of a line in its set follow Poisson's distribution; it
    misses if they fill the set.

    Examples
    --------
    >>> [round(missed_share(40, footprint), 2) for footprint in (10, 40, 80)]
    [0.0, 0.53, 1.0]
    """
    neighbours = L2_WAYS * footprint_bytes / l2_bytes
    term = math.exp(-neighbours)
    fits = 0.0
    for count in range(L2_WAYS):
        fits += term
        term *= neighbours / (count + 1)
    missed = 1.0 - fits
    return missed if missed > _NO_SHARE else 0.0
