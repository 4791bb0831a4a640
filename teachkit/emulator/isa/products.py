"""The arithmetic of tensor-core instructions: one function a form, shared by all instructions of a kernel.

The product stays in C's layout. For every k, one element of A is spread over the four lanes of its row, and four
elements of B over all rows; both are multiplied and added in ``f32`` (``f64`` for f64), k going up from 0. Integer
products are summed in ``f32`` too, which holds them exactly. Not modelled: the order in which hardware adds.

A function takes A and B as ``fragments.py`` lays them out, and the places of the registers of C and D. It goes through
the lanes in parts whose sums the processor can keep in registers until they are done.
"""

from __future__ import annotations

from collections.abc import Sequence

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import RESIDENT_ALIGN, Emitter
from teachkit.emulator.engine.processor import has_wide_vectors
from teachkit.emulator.engine.shapes import F32, I8, I32, I64, POINTER, WIDTHS, Poison, Value, vector_of
from teachkit.emulator.isa.formats import float_to_half, pack
from teachkit.emulator.isa.fragments import Columns, Rows, decoded, laid_out, room, size_of_k
from teachkit.emulator.ptx.model import Group, Operand, Register


def product(
    e: Emitter,
    types: tuple[str, ...],
    how: str,
    sizes: Sequence[int],
    words: Sequence[Value],
    names: Sequence[str] | None = None,
) -> list[Value]:
    """Registers of D = A B + C from ``words``, those of A, B and C.

    ``types`` are of D, A, B and C; ``sizes`` are how many registers A, B, C and D have. ``how`` is "satfinite", or for
    ``b1`` the operation ("xor" or "and") whose ones are counted.
    """
    places = [kept(e, str(i), word) for i, word in enumerate(words)]
    word = words[0].type
    results = [room(e, f"d{i}", word) for i in range(sizes[-1])]
    product_in_place(e, types, how, sizes, [*places, *results], names)
    return [e.builder.load(place, typ=word, align=RESIDENT_ALIGN) for place in results]


def product_in_place(
    e: Emitter,
    types: tuple[str, ...],
    how: str,
    sizes: Sequence[int],
    places: list[Value],
    names: Sequence[str] | None = None,
) -> None:
    """The same from memory to memory: ``places`` of the registers of A, B, C and D, ``sizes`` of each.

    D may be any of the others. ``names`` are those of the registers of A and B, where registers are what is multiplied.
    """
    n_a, n_ab = sizes[0], sizes[0] + sizes[1]
    rows = laid_out(e, Rows, types[1], places[:n_a], names and names[:n_a])
    columns = laid_out(e, Columns, types[2], places[n_a:n_ab], names and names[n_a:n_ab])
    product_of(e, types, how, sizes, rows, columns, places[n_ab:])


def product_of(
    e: Emitter,
    types: tuple[str, ...],
    how: str,
    sizes: Sequence[int],
    rows: Value,
    columns: Value,
    places: list[Value],
) -> None:
    """The same of A and B as they are laid out; ``places`` of C and D."""
    name = ".".join(["tk_mma", *types, how, *map(str, sizes[:3])])
    function = e.module.globals.get(name)
    if function is None:
        function = _define(e, types, how, name, sizes)
    e.builder.call(function, [rows, columns, *places])


def kept(e: Emitter, name: str, value: Value) -> Value:
    """Put a value into memory; its place."""
    place = room(e, name, value.type)
    e.builder.store(value, place, align=RESIDENT_ALIGN)
    return place


def _define(e: Emitter, types: tuple[str, ...], how: str, name: str, sizes: Sequence[int]) -> ir.Function:
    n_places = sizes[2] + sizes[3]
    function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), [POINTER] * (2 + n_places)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    caller, b = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
    e.builder = b
    rows_at, columns_at, *places = function.args
    rows, columns = Rows(e, types[1], rows_at), Columns(e, types[2], columns_at)
    word = ir.IntType(64 if types[0] == "f64" else 32)
    n = (2 if has_wide_vectors() else 1) * 512 // word.width

    first, loop, done = b.block, b.append_basic_block("part"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    at = b.phi(I64)
    at.add_incoming(I64(0), first)
    before = [
        b.load(b.gep(place, [at], source_etype=I8), typ=vector_of(word, n), align=RESIDENT_ALIGN)
        for place in places[: sizes[2]]
    ]
    results = _sums(e, types, how, size_of_k(types[2], sizes[1]), rows, columns, before, at)
    for place, value in zip(places[sizes[2] :], results, strict=True):
        b.store(value, b.gep(place, [at], source_etype=I8), align=RESIDENT_ALIGN)
    following = b.add(at, I64(n * word.width // 8))
    at.add_incoming(following, b.block)
    b.cbranch(b.icmp_unsigned("<", following, I64(LANES * word.width // 8)), loop, done)
    b.position_at_end(done)
    b.ret_void()
    e.builder = caller
    return function


def _sums(
    e: Emitter,
    types: tuple[str, ...],
    how: str,
    n_k: int,
    rows: Rows,
    columns: Columns,
    before: list[Value],
    part: Value,
) -> list[Value]:
    """Registers of D for the lanes of one part, from those of C; ``part`` is how many bytes come before them."""
    d_type, a_type, _, c_type = types
    b, n = e.builder, before[0].type.count
    c = [element for register in before for element in decoded(e, register, c_type)]
    is_bits = a_type == "b1"
    sums = list(c)
    if d_type == "s32" and not is_bits:
        sums = [ir.Splat(vector_of(F32, n), F32(0.0)) for _ in c]
    n_halves = len(c) // 2
    for k in range(n_k):
        halves = [rows.at(k, half, n_halves, part, n) for half in range(n_halves)]
        for j in (0, 1):
            column = columns.at(k, j, n)
            for half, row in enumerate(halves):
                i = 2 * half + j
                if is_bits:
                    combined = (b.xor if how == "xor" else b.and_)(row, column)
                    sums[i] = b.add(sums[i], e.intrinsic("llvm.ctpop", combined))
                else:
                    name = "llvm.fma" if a_type == "f64" else "llvm.fmuladd"
                    sums[i] = e.intrinsic(name, row, column, sums[i])
    if is_bits:
        return sums
    return registers_of(e, sums, d_type, c, how)


def registers_of(e: Emitter, sums: list[Value], d_type: str, c: list[Value], how: str) -> list[Value]:
    """Registers of D from its elements. Of integers ``sums`` are the products alone, and ``c`` the elements of C."""
    if d_type == "f16":
        short = [float_to_half(e, value, "f16") for value in sums]
        return [pack(e, short[i], short[i + 1]) for i in range(0, len(short), 2)]
    if d_type == "s32":
        whole = [e.cast("fptosi", value, I32) for value in sums]
        if how == "satfinite":
            return [e.intrinsic("llvm.sadd.sat", *pair) for pair in zip(c, whole, strict=True)]
        return [e.builder.add(*pair) for pair in zip(c, whole, strict=True)]
    return [e.bits(value) for value in sums]


def return_all(e: Emitter, words: list[Value]) -> None:
    """End a function that gives several registers."""
    result: Value = Poison(ir.LiteralStructType([word.type for word in words]))
    for index, word in enumerate(words):
        result = e.builder.insert_value(result, word, index)
    e.builder.ret(result)


def place_of_register(e: Emitter, operand: Operand, wide: str) -> Value | None:
    """Where the operand's 32 lanes lie side by side in memory, None where they do not.

    A register that is not in the frame is in memory too until LLVM finds that it need not be.
    """
    if not isinstance(operand, Register) or operand.name in e.uniform or operand.name in e.strides:
        return None
    is_wide = operand.name in e.registers and WIDTHS[e.register_types[operand.name]] == WIDTHS[wide]
    return e.registers[operand.name] if is_wide else None


def names_of(items: Sequence[Operand]) -> list[str]:
    """What the registers of a fragment are called."""
    return [item.name if isinstance(item, Register) else str(item) for item in items]


def items_of(operand: Operand) -> tuple[Operand, ...]:
    """The registers of a group, or the one that there is."""
    return operand.items if isinstance(operand, Group) else (operand,)
