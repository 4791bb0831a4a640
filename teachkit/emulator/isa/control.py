"""Names of the instructions that end a block. ``engine.translate`` gives them their meaning, because a branch
is about where the warp goes on, not about values."""

from __future__ import annotations

from teachkit.emulator.engine import barriers
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand


@instruction(
    "bra[.uni]",
    "brx.idx[.uni]",
    "ret[.uni]",
    "exit",
    "trap",
    "brkpt",
    "bar[.cta].sync",
    "bar.warp.sync",
    "barrier[.cta].sync[.aligned]",
    "bar[.cta].red.popc.u32",
    "bar[.cta].red.(and|or).pred",
    "barrier[.cta].red.popc[.aligned].u32",
    "barrier[.cta].red.(and|or)[.aligned].pred",
    reads=None,
)
def control(e: Emitter, form: Form, *operands: Operand) -> None:
    """Nothing to compute. ``bar.warp.sync``: the lanes of a warp run in step; those that are parked come before."""


@instruction(
    "nanosleep.u32",
    "pmevent[.mask]",
    "griddepcontrol.(wait|launch_dependents)",
    "setmaxnreg.(inc|dec).sync.aligned.u32",
    reads=None,
)
def pause(e: Emitter, form: Form, *operands: Operand) -> None:
    """No effect on results."""


@instruction("bar[.cta].arrive", "barrier[.cta].arrive[.aligned]", reads=None)
def arrive(e: Emitter, form: Form, *operands: Operand) -> None:
    """Tell a barrier that the warp has come this far, without waiting for the others."""
    assert e.instruction is not None
    lanes = e.lanes()
    number, _ = barriers.numbers(e, e.instruction, lanes)
    with e.builder.if_then(e.builder.icmp_unsigned("!=", lanes, I32(0))):
        barriers.arrive(e, number)
