"""What a launch did, counted as Nsight Compute would count it.

Modelled: nothing but the fields marked "modelled" below; every other field is exact for the PTX that ran.
Not modelled: SASS instruction counts (``ptxas`` may fuse, hoist or drop PTX instructions).
"""

from __future__ import annotations

import dataclasses
from typing import Any

MODELLED_FIELDS = frozenset({"dram_read_bytes", "dram_write_bytes", "l2_hit_rate", "l1_hit_rate", "l1_tag_lookups"})


@dataclasses.dataclass(frozen=True, slots=True)
class Counters:
    """Hardware-like counters of one launch, or the sum over several.

    Every count is per warp instruction over active, predicated-on lanes. A *sector* is 32 bytes of global
    memory; a *wavefront* is one pass through the 32 banks of shared memory. Rates are ``None`` where no
    access was made that could hit.

    Requests, sectors, bytes and wavefronts are those of the load and store unit, as in Nsight Compute's counters of
    it. Bulk copies (``cp.async.bulk``, which copies of tensor descriptors are on sm_90) pass by it, and by L1: they are
    in ``compulsory_*``, ``dram_*`` and what is counted of L2 alone.
    """

    n_launches: int = 0
    global_load_requests: int = 0
    global_store_requests: int = 0
    global_load_sectors: int = 0
    global_store_sectors: int = 0
    global_load_bytes: int = 0
    global_store_bytes: int = 0
    compulsory_read_bytes: int = 0
    compulsory_write_bytes: int = 0
    dram_read_bytes: int = 0
    dram_write_bytes: int = 0
    l1_hit_rate: float | None = None
    l2_hit_rate: float | None = None
    shared_load_wavefronts: int = 0
    shared_store_wavefronts: int = 0
    shared_excess_wavefronts: int = 0
    atomic_requests: int = 0
    atomic_max_conflict: int = 0
    branches: int = 0
    divergent_branches: int = 0
    warp_instructions: int = 0
    thread_instructions: int = 0
    flop_fp64: int = 0
    flop_fp32: int = 0
    flop_fp16: int = 0
    flop_tensor: int = 0
    sfu_ops: int = 0
    int_ops: int = 0
    barriers: int = 0
    local_bytes: int = 0
    l2_lookups: int = 0  # sectors looked up in the L2 model: the weight of l2_hit_rate in a sum
    l1_lookups: int = 0  # likewise for l1_hit_rate
    global_load_wavefronts: int = 0  # passes of global loads through the 32 banks of L1, as of shared memory
    l1_tag_lookups: int = 0  # lines of 128 bytes looked up in the L1 model

    @property
    def dram_bytes(self) -> int:
        """Modelled DRAM traffic in both directions, bytes."""
        return self.dram_read_bytes + self.dram_write_bytes

    @property
    def flop(self) -> int:
        """Floating-point operations of every precision, tensor cores included (fma = 2)."""
        return self.flop_fp64 + self.flop_fp32 + self.flop_fp16 + self.flop_tensor

    def __add__(self, other: Counters) -> Counters:
        if not isinstance(other, Counters):
            return NotImplemented
        total: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name == "atomic_max_conflict":
                total[field.name] = max(mine, theirs)
            elif field.name in ("l1_hit_rate", "l2_hit_rate"):
                lookups = field.name.replace("hit_rate", "lookups")
                total[field.name] = _weighted(mine, getattr(self, lookups), theirs, getattr(other, lookups))
            else:
                total[field.name] = mine + theirs
        return Counters(**total)

    def to_dict(self) -> dict[str, int | float | None]:
        """Every field by name, plus ``dram_bytes`` and ``flop``."""
        return dataclasses.asdict(self) | {"dram_bytes": self.dram_bytes, "flop": self.flop}


def _weighted(rate_a: float | None, n_a: int, rate_b: float | None, n_b: int) -> float | None:
    hits = (rate_a or 0.0) * n_a + (rate_b or 0.0) * n_b
    return hits / (n_a + n_b) if n_a + n_b else None
