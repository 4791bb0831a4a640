"""The frame of a suspended warp: where its registers and masks lie, and which of them must be saved.

To be saved are registers that will be read and that the frame does not hold yet.

Where far more vectors live across blocks than the processor has registers, they stay in the frame all the time:
LLVM would keep them in memory anyway, and to find that out takes it longer than anything else, because each of
them needs a choice between old and new wherever blocks meet, and a move at every place where a warp waits. Under
masks the same holds of many scalars and predicates. The masks themselves are always there: nearly every block writes
one that a later block reads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import FRAME_REGISTERS, LANES
from teachkit.emulator.engine.emit import RESIDENT_ALIGN, Emitter, Resident
from teachkit.emulator.engine.flow import Block, defined, is_barrier, pauses
from teachkit.emulator.engine.shapes import I1, I8, I32, I64, WIDTHS, Value, vector_of

MANY_VECTORS = 40  # each is 4 to 8 registers of AVX2, of which there are 16
MANY_SCALARS = 16  # as many registers of a word


class FrameLayout:
    """Places of the registers ``names`` and of one mask a block, three where lanes park; ``n_bytes`` of all of them."""

    def __init__(
        self,
        types: Mapping[str, str],
        names: Collection[str],
        is_scalar: Callable[[str], bool],
        n_blocks: int,
        is_masked: bool = False,
        parks: bool = False,
    ) -> None:
        self.types, self.is_scalar, self._is_masked = types, is_scalar, is_masked
        self.slots: dict[str, int] = {}
        at = FRAME_REGISTERS
        for name in sorted(names):
            size = self._slot_bytes(name)
            at = -(-at // size) * size
            self.slots[name] = at
            at += size
        self.masks_at = -(-at // 4) * 4
        n_masks = 3 * n_blocks if parks else n_blocks  # of lanes that run, that are parked, that are held
        self.n_bytes = -(-(self.masks_at + 4 * n_masks) // 64) * 64

    @functools.cached_property
    def residents(self) -> dict[str, Resident]:
        """Registers that stay in the frame."""
        wide = [name for name in self.slots if not self.is_scalar(name) and self.width(name) >= 8]
        others = set(self.slots).difference(wide) if self._is_masked else ()
        chosen = (*(wide if len(wide) > MANY_VECTORS else ()), *(others if len(others) > MANY_SCALARS else ()))
        return {name: self._resident(name) for name in sorted(chosen)}

    def _resident(self, name: str) -> Resident:
        width = self.width(name)
        if self.is_scalar(name):
            return Resident(ir.IntType(width), -(-width // 8))
        return Resident(vector_of(ir.IntType(width)), RESIDENT_ALIGN) if width > 1 else Resident(I32, 4, is_mask=True)

    def width(self, name: str) -> int:
        """Bits of a register in one lane."""
        return WIDTHS[self.types[name]]

    def _slot_bytes(self, name: str) -> int:
        width = self.width(name)
        if self.is_scalar(name):
            return max(width // 8, 4)
        return max(width, 1) * LANES // 8 if width > 1 else 4


class Frame:
    """The code that moves registers between a warp's frame, at ``pointer``, and where the emitter keeps them."""

    def __init__(self, layout: FrameLayout, e: Emitter, pointer: Value) -> None:
        self._layout, self._e, self.pointer = layout, e, pointer
        self.residents = layout.residents

    def at(self, offset: int) -> Value:
        """Address of a place in the frame."""
        return self._e.builder.gep(self.pointer, [I64(offset)], source_etype=I8)

    def restore(self, name: str) -> None:
        """Take a register out of the frame."""
        if name in self.residents:
            return
        self._e.builder.store(self._load(name), self._e.registers[name])

    def _load(self, name: str) -> Value:
        b, at = self._e.builder, self.at(self._layout.slots[name])
        width = self._layout.width(name)
        if self._layout.is_scalar(name):
            value = b.load(at, typ=I32 if width < 32 else ir.IntType(width))
            return b.trunc(value, ir.IntType(width)) if width < 32 else value
        if width == 1:
            return b.bitcast(b.load(at, typ=I32), vector_of(I1))
        return b.load(at, typ=vector_of(ir.IntType(width)), align=16)

    def save(self, name: str) -> None:
        """Put a register into the frame."""
        if name in self.residents:
            return
        b, at = self._e.builder, self.at(self._layout.slots[name])
        width = self._layout.width(name)
        value = b.load(self._e.registers[name])
        if self._layout.is_scalar(name):
            b.store(b.zext(value, I32) if width < 32 else value, at)
        elif width == 1:
            b.store(b.bitcast(value, I32), at)
        else:
            b.store(value, at, align=16)

    def mask(self, index: int) -> Value:
        """Where the mask of a block is."""
        return self.at(self._layout.masks_at + 4 * index)


def held_at_end(blocks: list[Block]) -> list[frozenset[str]]:
    """For each block, the registers whose frame slot still equals them at its end.

    A warp that resumes at a block has all that is live there in its frame; a register stays held until it is
    written. So a value that lives across several barriers is saved once. Valid where no lanes are masked off,
    since there a block is entered from its predecessors alone.
    """
    predecessors: list[list[int]] = [[] for _ in blocks]
    for block in blocks:
        last = block.instructions[-1] if block.instructions else None
        if last is None or not (is_barrier(last) or pauses(last)) or last.guard is not None:
            for successor in block.successors:
                predecessors[successor].append(block.index)
    everything = frozenset().union(*(block.live_in for block in blocks))
    written = [frozenset(name for i in block.instructions for name in defined(i)) for block in blocks]
    held = [everything - w for w in written]
    changed = True
    while changed:
        changed = False
        for block in blocks:
            ways = [held[p] for p in predecessors[block.index]]
            if block.is_resume_point:
                ways.append(block.live_in)
            at_start = frozenset.intersection(*ways) if ways and block.index else frozenset()
            at_end = at_start - written[block.index]
            if at_end != held[block.index]:
                held[block.index] = at_end
                changed = True
    return held
