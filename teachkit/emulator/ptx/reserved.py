"""Shared memory that a block has besides its kernel's: what the toolkit keeps to itself, on sm_80 and later.

Cooperative groups of several warps meet there. It is laid out in front of the kernel's own, as on a GPU, for kernels
that ask where it is.
Source: PTX ISA, "%reserved_smem_offset_begin, %reserved_smem_offset_end, %reserved_smem_offset_cap,
%reserved_smem_offset_<2>".
"""

from __future__ import annotations

from collections.abc import Iterable

from teachkit.emulator.ptx.model import Instruction, Register, Variable

N_BYTES = 1024
PREFIX = "%reserved_smem_offset_"
# Where the first part ends and that of cooperative groups begins, 288 bytes at least, is for the driver to say.
VALUES = {PREFIX + "begin": 0, PREFIX + "0": 0, PREFIX + "1": 512, PREFIX + "end": N_BYTES, PREFIX + "cap": N_BYTES}


def reserved(body: Iterable[object]) -> list[Variable]:
    """What stands for that memory among the variables of a kernel with this body: none where it does not ask."""
    asks = any(
        isinstance(operand, Register) and operand.name in VALUES
        for item in body
        if isinstance(item, Instruction) and item.opcode.startswith("mov.")
        for operand in item.operands
    )
    return [Variable("reserved shared memory", "shared", "b8", N_BYTES, N_BYTES)] if asks else []
