"""What the 64 bits of a barrier in shared memory say. The layout is the engine's; PTX leaves it open."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Barrier:
    """What the word says."""

    pending: int
    expected: int
    owed_bytes: int
    phase: int

    @classmethod
    def of(cls, word: int) -> Barrier:
        """From 64 bits."""
        return cls(word & 0xFFFFF, word >> 20 & 0xFFFFF, word >> 40 & 0x1FFFFF, word >> 63)

    def word(self) -> int:
        """To 64 bits."""
        owed = (self.owed_bytes & 0x1FFFFF) << 40
        return self.pending & 0xFFFFF | (self.expected & 0xFFFFF) << 20 | owed | self.phase << 63

    def settle(self) -> None:
        """Begin the next phase if nothing is missing."""
        if self.pending & 0xFFFFF == 0 and self.owed_bytes & 0x1FFFFF == 0:
            self.phase ^= 1
            self.pending = self.expected
