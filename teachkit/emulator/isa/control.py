"""Names of the instructions that end a block. ``engine.translate`` gives them their meaning, because a branch
is about where the warp goes on, not about values."""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand


@instruction(
    "bra[.uni]",
    "brx.idx[.uni]",
    "ret[.uni]",
    "exit",
    "trap",
    "bar.sync",
    "bar.warp.sync",
    "barrier.sync[.aligned]",
    "bar.cta.sync",
    reads=None,
)
def control(e: Emitter, form: Form, *operands: Operand) -> None:
    """Nothing to compute. ``bar.warp.sync``: the lanes of a warp run in step."""


@instruction("nanosleep.u32", "griddepcontrol.(wait|launch_dependents)", reads=None)
def pause(e: Emitter, form: Form, *operands: Operand) -> None:
    """No effect on results."""
