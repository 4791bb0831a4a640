"""What a traced launch did, step by step: which lanes of which warp ran which instruction, and what they touched.

A *step* is one instruction run by one warp. The steps of one warp stand in the order in which it ran them; between
warps and between blocks no order is claimed, since a GPU promises none.
Not modelled: time; a step has no length.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from teachkit.emulator.ptx.model import SourceLine

LANES = 32
Kind = Literal["load", "store", "atomic"]


@dataclasses.dataclass(frozen=True, slots=True)
class Touch:
    """Memory that one step touched.

    Attributes
    ----------
    place
        Name of the kernel argument whose memory it is; ``"shared"`` for shared memory; empty where it is neither.
    kind
        ``"load"``, ``"store"`` or ``"atomic"``.
    lanes
        Lanes that touched it, 0 to 31, ascending.
    offsets
        Byte offset from the argument's first element (from the start of shared memory) for each of ``lanes``.
    n_bytes
        Bytes a lane.
    element_bytes
        Size of one element of the argument, bytes; 1 where it is not known.
    """

    place: str
    kind: Kind
    lanes: tuple[int, ...]
    offsets: tuple[int, ...]
    n_bytes: int
    element_bytes: int = 1

    def elements(self) -> tuple[int, ...]:
        """Index of the (first) element that each of ``lanes`` touched."""
        return tuple(offset // self.element_bytes for offset in self.offsets)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One instruction run by one warp.

    Attributes
    ----------
    block
        Number of the block in the grid, counted along x first.
    warp
        Number of the warp in its block.
    active
        Lanes that ran the instruction, bit ``i`` for lane ``i``.
    on
        Lanes on which it took effect: ``active`` without those that its guard (``@%p``) switched off.
    opcode, ptx_line, source
        The instruction, where it stands in the PTX, and the line of the kernel's source that it was made from.
    touches
        Global and shared memory that it touched.
    """

    block: int
    warp: int
    active: int
    on: int
    opcode: str
    ptx_line: int
    source: SourceLine | None
    touches: tuple[Touch, ...] = ()

    @property
    def n_on(self) -> int:
        """Lanes on which the instruction took effect."""
        return self.on.bit_count()

    @property
    def at_work(self) -> int:
        """Lanes to draw as busy: those that reach a branch, whichever way they go; else those that are ``on``."""
        return self.active if self.opcode.startswith("bra") else self.on


@dataclasses.dataclass(frozen=True)
class Trace:
    """One launch, step by step.

    Attributes
    ----------
    name, grid, block
        As in :class:`teachkit.emulator.Launch`.
    steps
        All steps; those of one warp in the order in which it ran them.
    sizes
        Argument name -> number of elements in its memory, for arguments that are memory.
    """

    name: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    steps: tuple[Step, ...]
    sizes: dict[str, int]

    @property
    def n_blocks(self) -> int:
        """Blocks of the grid."""
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def n_threads(self) -> int:
        """Threads of a block."""
        return self.block[0] * self.block[1] * self.block[2]

    @property
    def n_warps(self) -> int:
        """Warps of a block."""
        return -(-self.n_threads // LANES)

    @functools.cached_property
    def _by_warp(self) -> dict[tuple[int, int], tuple[Step, ...]]:
        found: dict[tuple[int, int], list[Step]] = {}
        for step in self.steps:
            found.setdefault((step.block, step.warp), []).append(step)
        return {key: tuple(steps) for key, steps in found.items()}

    def of_warp(self, block: int = 0, warp: int = 0) -> tuple[Step, ...]:
        """The steps of one warp, in order; none if there is no such warp."""
        return self._by_warp.get((block, warp), ())

    def lanes(self, block: int = 0, warp: int = 0) -> npt.NDArray[np.bool_]:
        """Which lanes of a warp were at work at each of its steps (:attr:`Step.at_work`).

        Returns
        -------
        numpy.ndarray
            bool ``[n_steps, 32]``.
        """
        masks = np.array([step.at_work for step in self.of_warp(block, warp)], dtype=np.uint32)
        return (masks[:, None] >> np.arange(LANES, dtype=np.uint32) & 1).astype(bool)

    def touched(self, place: str, kind: Kind = "store") -> Iterator[tuple[int, int, int]]:
        """``(element, block, thread)`` for every access of this kind to an argument, once an access."""
        for step in self.steps:
            for touch in step.touches:
                if touch.place == place and touch.kind == kind:
                    width = max(1, touch.n_bytes // touch.element_bytes)
                    for lane, first in zip(touch.lanes, touch.elements(), strict=True):
                        for element in range(first, first + width):
                            yield element, step.block, LANES * step.warp + lane

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.name!r}: {self.n_blocks} blocks of {self.n_threads} threads, "
            f"{len(self.steps):,} steps of {self.n_blocks * self.n_warps} warps>"
        )
