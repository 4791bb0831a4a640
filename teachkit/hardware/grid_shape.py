"""How a grid lies on a GPU: how many rounds its blocks need, and how many SMs have work.

Modelled: blocks of one kernel, dealt evenly; what fits on an SM is the business of ``occupancy``.
Not modelled: kernels that share the GPU.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from teachkit.hardware.occupancy import Occupancy, occupancy
from teachkit.hardware.spec import GpuSpec


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """How a grid lies on a GPU.

    ``n_waves`` are the rounds in which it passes through, ``sm_share`` the share of SMs that have work (0 to 1),
    ``n_blocks`` its blocks, 0 where they are not known.
    """

    n_waves: float
    sm_share: float
    note: str
    n_blocks: int = 0


def shape_of(
    spec: GpuSpec,
    grid: Sequence[int] | None,
    block: Sequence[int] | None,
    n_registers: int | None = None,
    shared_bytes: int = 0,
) -> Shape:
    """Lay a grid on a GPU.

    Parameters
    ----------
    spec
        The GPU.
    grid, block
        Blocks, and threads a block, in each dimension; ``None`` where they are not known: then one wave fills the GPU.
    n_registers
        Registers a thread; ``None`` where not known.
    shared_bytes
        Shared memory a block.

    Raises
    ------
    OccupancyError
        If a block does not fit.
    """
    if grid is None or block is None:
        return Shape(1.0, 1.0, "one wave: the grid is not known")
    n_blocks = math.prod(grid)
    fits: Occupancy = occupancy(spec, math.prod(block), n_registers or 0, shared_bytes)
    note = f"{fits.n_blocks_per_sm} blocks on an SM, limited by {fits.limiter}"
    if n_registers is None:
        note += "; registers not known"
    # The SM with the most blocks decides: 109 blocks on 108 SMs take as long as 216.
    share = n_blocks / (spec.n_sms * math.ceil(n_blocks / spec.n_sms)) if n_blocks else 1.0
    return Shape(max(n_blocks / (spec.n_sms * fits.n_blocks_per_sm), 1.0), share, note, n_blocks)
