"""Tensor-core products with a sparse A: of each few neighbours in a row of A only some are stored, with their places.

Source: PTX ISA, "Matrix multiply-accumulate operation using mma.sp instruction with sparse matrix A". The stored
elements are fragments as of a dense A of half the width. Of four columns two are stored (tf32: of two one), and four
bits of metadata say which: the lower two the place of the first, the upper two that of the second (tf32: 0100 or 1110).
Rows of 16 and 32 bits an element keep the metadata of sixteen bits' worth of chunks in a lane, row g in its lower half
and row g + 8 in its upper; rows of bytes keep those of 32 bits' worth in a lane, row g + 8 in the lane after.
Only elements of B at those places are read, so an infinity elsewhere does not show. Not modelled: metadata that PTX
leaves undefined (both places the same); and 4-bit elements.
"""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import F32, I32, Poison, Value, lane_constants, vector_of
from teachkit.emulator.isa.fragments import ELEMENTS, decoded
from teachkit.emulator.isa.products import items_of, registers_of, return_all
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Immediate, Operand

_SP = "mma.(sp|sp::ordered_metadata).sync.aligned"


@instruction(
    f"{_SP}.(m16n8k16|m16n8k32).row.col.f16.f16.f16.f16",
    f"{_SP}.(m16n8k16|m16n8k32).row.col.f32.f16.f16.f32",
    f"{_SP}.(m16n8k16|m16n8k32).row.col.f32.bf16.bf16.f32",
    f"{_SP}.(m16n8k8|m16n8k16).row.col.f32.tf32.tf32.f32",
    f"{_SP}.(m16n8k32|m16n8k64).row.col[.satfinite].s32.(s8|u8).(s8|u8).s32",
    reads=None,
)
def mma_sp(
    e: Emitter, form: Form, d: Operand, a: Operand, b: Operand, c: Operand, metadata: Operand, selector: Operand
) -> None:
    """D = A B + C with a sparse A; ``selector`` is the number of the lane, or pair of lanes, with the metadata."""
    n_k = int(form.required[1].rpartition("k")[2])
    first = _first_lane(form.required[3], n_k, selector)
    if first is None:
        raise e.unsupported(f"sparsity selector {selector!r}")
    groups = [[e.vector(e.read(item, "b32")) for item in items_of(operand)] for operand in (a, b, c)]
    words = [*groups[0], *groups[1], *groups[2], e.vector(e.read(metadata, "b32"))]
    how = "satfinite" if "satfinite" in form.optional else ""
    types = form.required[2:]
    name = ".".join(["tk_mma_sp", *types, how, str(n_k), str(first)])
    function = e.module.globals.get(name)
    if function is None:
        function = _define(e, types, how, name, [len(group) for group in groups], first, words[0].type)
    result = e.builder.call(function, words)
    for index, item in enumerate(items_of(d)):
        e.write(item, e.builder.extract_value(result, index), "b32")


def _n_lanes(kind: str, n_k: int) -> int:
    """How many of a row's four lanes hold its metadata."""
    bits = n_k * (2 if kind == "tf32" else 1)  # for each of two rows
    return bits * 2 // 32


def _first_lane(kind: str, n_k: int, selector: Operand) -> int | None:
    n = _n_lanes(kind, n_k)
    if not isinstance(selector, Immediate) or not 0 <= selector.value < 4 // n:
        return None
    return selector.value * n


def _define(
    e: Emitter, types: tuple[str, ...], how: str, name: str, sizes: list[int], first: int, word: ir.Type
) -> ir.Function:
    """The function of one form: registers of A, B, C and the metadata in, those of D out."""
    n_a, n_b, n_c = sizes
    n_d = 2 if types[0] == "f16" else 4
    shape = ir.LiteralStructType([word] * n_d)
    function = ir.Function(e.module, ir.FunctionType(shape, [word] * (n_a + n_b + n_c + 1)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    caller, e.builder = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
    *words, metadata = function.args
    a = [decoded(e, register, types[1]) for register in words[:n_a]]
    b = [decoded(e, register, types[2]) for register in words[n_a : n_a + n_b]]
    c = [element for register in words[n_a + n_b :] for element in decoded(e, register, types[3])]
    is_integer = types[0] == "s32"
    sums = _sums(e, types[1], a, b, [ir.Splat(vector_of(F32), F32(0.0))] * 4 if is_integer else c, metadata, first)
    return_all(e, registers_of(e, sums, types[0], c, how))
    e.builder = caller
    return function


def _sums(
    e: Emitter, kind: str, a: list[list[Value]], b: list[list[Value]], c: list[Value], metadata: Value, first: int
) -> list[Value]:
    """C plus the products, element i of C a vector over lanes, stored elements of A from the left to the right."""
    n = ELEMENTS[kind]  # of a register
    n_wide, n_stored = (2, 1) if kind == "tf32" else (4, 2)  # columns of a chunk, and those that are stored
    sums = list(c)
    for chunk in range(4 * n * len(b) // n_wide):
        columns = [[_column(e, b, n, n_wide * chunk + place, j) for place in range(n_wide)] for j in (0, 1)]
        for half in (0, 1):
            lane, at = _where(kind, chunk, half)
            places = _of_row(e, metadata, first + lane)
            for stored in range(n_stored):
                step, inside = divmod(n_stored * chunk + stored, 4 * n)
                row = _of_row(e, a[2 * step + half][inside % n], inside // n)
                bits = [_bit(e, places, at + 2 * stored + digit) for digit in (0, 1)]
                for j in (0, 1):
                    i = 2 * half + j
                    sums[i] = e.intrinsic("llvm.fmuladd", row, _chosen(e, bits, columns[j]), sums[i])
    return sums


def _where(kind: str, chunk: int, half: int) -> tuple[int, int]:
    """Lane, of those with metadata, and first bit of a chunk's places, for row g or (``half`` 1) row g + 8."""
    if ELEMENTS[kind] == 4:
        return half + 2 * (chunk // 8), 4 * (chunk % 8)
    return chunk // 4, 16 * half + 4 * (chunk % 4)


def _chosen(e: Emitter, bits: list[Value], columns: list[Value]) -> Value:
    low, high = bits
    if len(columns) == 2:  # the places are those of halves of an element
        return e.select(high, columns[1], columns[0])
    return e.select(high, e.select(low, columns[3], columns[2]), e.select(low, columns[1], columns[0]))


def _bit(e: Emitter, value: Value, at: int) -> Value:
    alone = e.builder.and_(value, e.constant(value, 1 << at))
    return e.builder.icmp_unsigned("!=", alone, e.constant(alone, 0))


def _column(e: Emitter, b: list[list[Value]], n: int, k: int, j: int) -> Value:
    """B's row ``k`` in the even (``j`` 0) or odd columns of C."""
    step, inside = divmod(k, 4 * n)
    return _picked(e, b[step][inside % n], [4 * (2 * (lane & 3) + j) + inside // n for lane in range(LANES)])


def _of_row(e: Emitter, value: Value, t: int) -> Value:
    """What lane ``t`` of each four has, in all four."""
    return _picked(e, value, [lane & ~3 | t for lane in range(LANES)])


def _picked(e: Emitter, value: Value, lanes: list[int]) -> Value:
    return e.builder.shuffle_vector(value, Poison(value.type), lane_constants(I32, lanes))
