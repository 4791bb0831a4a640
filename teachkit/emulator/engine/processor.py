"""What the processor that code is compiled for can do by itself."""

from __future__ import annotations

import functools

import llvmlite.binding as llvm

from teachkit.emulator.engine.jit import target_machine

_WIDEN = """define float @widen(half %x) {
  %y = fpext half %x to float
  ret float %y
}"""


@functools.cache
def converts_half() -> bool:
    """Whether it has instructions between half and single precision.

    Where it has none (x86-64 before F16C), LLVM emits calls of functions that this process does not contain.
    """
    assembly = target_machine().emit_assembly(llvm.parse_assembly(_WIDEN))
    return "__extendhfsf2" not in assembly and "__gnu_h2f_ieee" not in assembly
