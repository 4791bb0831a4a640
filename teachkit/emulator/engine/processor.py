"""What the processor that code is compiled for can do by itself."""

from __future__ import annotations

import functools

import llvmlite.binding as llvm

from teachkit.emulator.engine.jit import target_machine

_WIDEN = """define float @widen(half %x) {
  %y = fpext half %x to float
  ret float %y
}"""

_ADD = """define <16 x i32> @add(<16 x i32> %x) {
  %y = add <16 x i32> %x, %x
  ret <16 x i32> %y
}"""


@functools.cache
def has_wide_vectors() -> bool:
    """Whether it has vectors of 512 bits (AVX-512), and with them shuffles that pick from two registers at will."""
    return "zmm" in target_machine().emit_assembly(llvm.parse_assembly(_ADD))


@functools.cache
def converts_half() -> bool:
    """Whether it has instructions between half and single precision.

    Where it has none (x86-64 before F16C), LLVM emits calls of functions that this process does not contain.
    """
    assembly = target_machine().emit_assembly(llvm.parse_assembly(_WIDEN))
    return "__extendhfsf2" not in assembly and "__gnu_h2f_ieee" not in assembly
