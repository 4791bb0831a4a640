"""The tensor-core product of Volta: four products of 8x4 and 4x8 at once, each by the eight lanes of a quad pair.

Source: PTX ISA, "Matrix Fragments for mma.m8n8k4 with .f16 floating point type". Lanes 4 q to 4 q + 3 and 16 more hold
the matrices of product q. Products are summed in ``f32``, k going up from 0. Not modelled: the order in which hardware
adds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32, Poison, Value, lane_constants
from teachkit.emulator.isa.fragments import decoded
from teachkit.emulator.isa.products import items_of, registers_of, return_all
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand

_Layout = Callable[[int, int], tuple[int, int]]  # lane and number of an element to its row and column
_N_K = 4


def _upper(lane: int) -> int:
    return lane // 16 * 4


A: dict[str, _Layout] = {
    "row": lambda lane, i: (lane % 4 + _upper(lane), i),
    "col": lambda lane, i: (i + _upper(lane), lane % 4),
}
B: dict[str, _Layout] = {
    "row": lambda lane, i: (lane % 4, i + _upper(lane)),
    "col": lambda lane, i: (i, lane % 4 + _upper(lane)),
}
C: dict[str, _Layout] = {
    "f16": lambda lane, i: (lane % 4 + _upper(lane), i),
    "f32": lambda lane, i: ((lane & 1) + (i & 2) + _upper(lane), (i & 4) + (lane & 2) + (i & 1)),
}


@instruction(
    "mma.sync.aligned.m8n8k4.(row|col).(row|col).(f16|f32).f16.f16.f16",
    "mma.sync.aligned.m8n8k4.(row|col).(row|col).f32.f16.f16.f32",
    reads=None,
)
def mma_quadpairs(e: Emitter, form: Form, d: Operand, a: Operand, b: Operand, c: Operand) -> None:
    """D = A B + C for each quad pair."""
    groups = [[e.vector(e.read(item, "b32")) for item in items_of(operand)] for operand in (a, b, c)]
    words = [word for group in groups for word in group]
    name = ".".join(["tk_mma_quadpairs", *form.required])
    function = e.module.globals.get(name)
    if function is None:
        function = _define(e, form.required, name, len(groups[2]), len(items_of(d)), words[0].type)
    result = e.builder.call(function, words)
    for index, item in enumerate(items_of(d)):
        e.write(item, e.builder.extract_value(result, index), "b32")


def _define(e: Emitter, kinds: tuple[str, ...], name: str, n_c: int, n_d: int, word: ir.Type) -> ir.Function:
    a_layout, b_layout, d_type, _, _, c_type = kinds
    shape = ir.LiteralStructType([word] * n_d)
    function = ir.Function(e.module, ir.FunctionType(shape, [word] * (4 + n_c)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    caller, e.builder = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
    a = _Matrix(e, function.args[:2], "f16", A[a_layout])
    b = _Matrix(e, function.args[2:4], "f16", B[b_layout])
    c = _Matrix(e, function.args[4:], c_type, C[c_type])
    sums = []
    for i in range(8):
        places = [C[d_type](lane, i) for lane in range(LANES)]
        total = c.at(tuple(places))
        for k in range(_N_K):
            left = a.at(tuple((row, k) for row, _ in places))
            right = b.at(tuple((k, column) for _, column in places))
            total = e.intrinsic("llvm.fmuladd", left, right, total)
        sums.append(total)
    return_all(e, registers_of(e, sums, d_type, [], ""))
    e.builder = caller
    return function


class _Matrix:
    """The four matrices of a warp in their lanes' registers."""

    def __init__(self, e: Emitter, registers: Sequence[Value], kind: str, layout: _Layout) -> None:
        self._e = e
        self._elements = [element for register in registers for element in decoded(e, register, kind)]
        self._places = {
            (lane % 16 // 4, *layout(lane, i)): (i, lane) for lane in range(LANES) for i in range(len(self._elements))
        }
        self.at = functools.cache(self._at)

    def _at(self, wanted: tuple[tuple[int, int], ...]) -> Value:
        """For each lane the element of a row and column of its quad pair's matrix."""
        e = self._e
        found = [self._places[lane % 16 // 4, *place] for lane, place in enumerate(wanted)]
        lanes = [lane for _, lane in found]
        first, *others = sorted({i for i, _ in found})
        result = self._moved(first, lanes)
        for number in others:
            here = lane_constants(ir.IntType(1), [int(i == number) for i, _ in found])
            result = e.builder.select(here, self._moved(number, lanes), result)
        return result

    def _moved(self, number: int, lanes: list[int]) -> Value:
        value = self._elements[number]
        return self._e.builder.shuffle_vector(value, Poison(value.type), lane_constants(I32, lanes))
