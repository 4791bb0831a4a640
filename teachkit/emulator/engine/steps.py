"""The instructions of a kernel with what each reads and writes: looked up once, for analyses that go round in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from teachkit.emulator.engine.flow import Block, base, defined, used
from teachkit.emulator.ptx.model import Instruction


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """``mnemonic``: ``ld`` of ``ld.global.b32``. ``writes`` and ``reads`` are names of registers."""

    instruction: Instruction
    mnemonic: str
    writes: list[str]
    reads: list[str]


def steps_of(blocks: Iterable[Block]) -> list[Step]:
    """Of all blocks, in their order."""
    return [Step(i, base(i), defined(i), used(i)) for block in blocks for i in block.instructions]
