"""Tensor-core instructions. Source: PTX ISA, "Warp Level Matrix Instructions".

A fragment is described by one rule. With E elements of the matrix in a register, g = lane / 4 and t = lane % 4,
element h of A's register r stands at row g + 8 (r % 2), column k = E t + h + 4 E (r / 2); of B's at row
k = E t + h + 4 E r, column g; element i of C at row g + 8 (i / 2), column 2 t + i % 2.

The product stays in C's layout: for every k, one element of A is spread over each four lanes of a row, one row
of B over all rows, and both are multiplied and added in ``f32`` (``f64`` for f64), k going up from 0. Integer
products are summed in ``f32`` too, which holds them exactly. Not modelled: the order in which hardware adds.
"""

from __future__ import annotations

from llvmlite import ir

from teachkit.emulator.engine import access
from teachkit.emulator.engine.emit import F32, F64, I8, I16, I32, I64, Emitter, Poison, Value, lane_constants, vector_of
from teachkit.emulator.isa.floating import float_to_half, half_to_float, pack, upper
from teachkit.emulator.isa.fp8 import e4m3_to_half
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Group, Operand

ELEMENTS = {
    "f16": 2,
    "bf16": 2,
    "tf32": 1,
    "s8": 4,
    "u8": 4,
    "e4m3": 4,
    "e5m2": 4,
    "f64": 1,
    "s4": 8,
    "u4": 8,
    "b1": 32,
}


@instruction(
    "mma.sync.aligned.(m16n8k8|m16n8k16).row.col.(f16|f32).f16.f16.(f16|f32)",
    "mma.sync.aligned.(m16n8k8|m16n8k16).row.col.f32.bf16.bf16.f32",
    "mma.sync.aligned.(m16n8k4|m16n8k8).row.col.f32.tf32.tf32.f32",
    "mma.sync.aligned.(m8n8k16|m16n8k16|m16n8k32).row.col[.satfinite].s32.(s8|u8).(s8|u8).s32",
    "mma.sync.aligned.(m8n8k32|m16n8k32|m16n8k64).row.col[.satfinite].s32.(s4|u4).(s4|u4).s32",
    "mma.sync.aligned.(m8n8k128|m16n8k128|m16n8k256).row.col.s32.b1.b1.s32.(xor|and).popc",
    "mma.sync.aligned.(m16n8k16|m16n8k32).row.col.(f16|f32).(e4m3|e5m2).(e4m3|e5m2).(f16|f32)",
    "mma.sync.aligned.(m8n8k4|m16n8k4|m16n8k8|m16n8k16).row.col[.rn].f64.f64.f64.f64",
    reads=None,
)
def mma(e: Emitter, form: Form, d: Operand, a: Operand, b: Operand, c: Operand) -> None:
    """D = A B + C, once a warp. The arithmetic is a function that all instructions of one form share."""
    is_bits = "b1" in form.required
    types = form.required[-5:-1] if is_bits else form.required[-4:]
    wide = "b64" if types[0] == "f64" else "b32"
    a_words, b_words, c_words = ([e.vector(e.read(item, wide)) for item in _items(operand)] for operand in (a, b, c))
    how = form.required[-1] if is_bits else "satfinite" if "satfinite" in form.optional else ""
    results = product(e, types, how, a_words, b_words, c_words, len(_items(d)))
    for item, value in zip(_items(d), results, strict=True):
        e.write(item, value, wide)


def product(
    e: Emitter, types: tuple[str, ...], how: str, a: list[Value], b: list[Value], c: list[Value], n_d: int
) -> list[Value]:
    """Registers of D = A B + C from those of A, B and C; ``types`` are of D, A, B and C.

    ``how`` is "satfinite", or for ``b1`` the operation ("xor" or "and") whose ones are counted.
    """
    name = ".".join(["tk_mma", *types, how, *(str(len(words)) for words in (a, b, c))])
    function = e.module.globals.get(name)
    if function is None:
        function = _define(e, types, how, name, [len(a), len(b), len(c), n_d], a[0].type)
    result = e.builder.call(function, [*a, *b, *c])
    return [e.builder.extract_value(result, index) for index in range(n_d)]


def _items(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Group) else (operand,)


def _define(e: Emitter, types: tuple[str, ...], how: str, name: str, sizes: list[int], word: ir.Type) -> ir.Function:
    """The function of one form: registers of A, B and C as words of 32 lanes in, those of D out."""
    n_a, n_b, n_c, n_d = sizes
    shape = ir.LiteralStructType([word] * n_d)
    function = ir.Function(e.module, ir.FunctionType(shape, [word] * (n_a + n_b + n_c)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    caller, e.builder = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
    words = list(function.args)
    d_type, a_type, b_type, c_type = types
    if a_type == "b1":
        _return(e, _counted_bits(e, words[:n_a], words[n_a : n_a + n_b], words[n_a + n_b :], how), d_type, shape, word)
        e.builder = caller
        return function
    a = [_decoded(e, register, a_type) for register in words[:n_a]]
    b = [_decoded(e, register, b_type) for register in words[n_a : n_a + n_b]]
    c = [element for register in words[n_a + n_b :] for element in _decoded(e, register, c_type)]
    is_integer = d_type == "s32"
    zero = e.vector(e.const("f32", 0.0))
    sums = _product(e, a, b, [zero] * len(c) if is_integer else c, a_type)
    if is_integer:
        whole = [e.cast("fptosi", value, I32) for value in sums]
        add = (lambda x, y: e.intrinsic("llvm.sadd.sat", x, y)) if how == "satfinite" else e.builder.add
        sums = [add(*pair) for pair in zip(c, whole, strict=True)]
    _return(e, sums, d_type, shape, word)
    e.builder = caller
    return function


def _decoded(e: Emitter, register: Value, kind: str) -> list[Value]:
    """The elements of a register, lowest first, as ``f32`` or ``f64``; ``s32`` stays."""
    b = e.builder
    if kind == "s32":
        return [register]
    if kind == "f64":
        return [b.bitcast(register, vector_of(F64))]
    if kind == "f32":
        return [b.bitcast(register, vector_of(F32))]
    if kind == "tf32":
        return [b.bitcast(b.and_(register, e.constant(register, 0xFFFFE000)), vector_of(F32))]
    if kind in ("f16", "bf16"):
        return [half_to_float(e, half, kind) for half in (e.cast("trunc", register, I16), upper(e, register))]
    if kind in ("s4", "u4"):
        high = [b.shl(register, e.constant(register, 28 - 4 * i)) for i in range(8)]
        shift = b.ashr if kind == "s4" else b.lshr
        return [e.cast("sitofp", shift(digit, e.constant(digit, 28)), F32) for digit in high]
    octets = [b.lshr(register, e.constant(register, 8 * i)) for i in range(4)]
    if kind == "s8":
        return [e.cast("sitofp", e.cast("trunc", octet, I8), F32) for octet in octets]
    low = [b.and_(octet, e.constant(octet, 0xFF)) for octet in octets]
    if kind == "u8":
        return [e.cast("sitofp", octet, F32) for octet in low]
    short = [e.cast("trunc", octet, I16) for octet in low]
    halves = [e4m3_to_half(e, s) if kind == "e4m3" else b.shl(s, e.constant(s, 8)) for s in short]
    return [half_to_float(e, half, "f16") for half in halves]


def _product(e: Emitter, a: list[list[Value]], b: list[list[Value]], c: list[Value], kind: str) -> list[Value]:
    """C plus the products, element i of C a vector over lanes."""
    n_halves, n = len(c) // 2, ELEMENTS[kind]
    sums = list(c)
    multiply_add = "llvm.fma" if kind == "f64" else "llvm.fmuladd"
    for k in range(4 * n * len(b)):
        step, inside = divmod(k, 4 * n)
        q, h = divmod(inside, n)
        rows = [
            _picked(e, a[n_halves * step + half][h], [lane & ~3 | q for lane in range(32)]) for half in range(n_halves)
        ]
        for j in (0, 1):
            column = _picked(e, b[step][h], [4 * (2 * (lane & 3) + j) + q for lane in range(32)])
            for half in range(n_halves):
                i = 2 * half + j
                sums[i] = e.intrinsic(multiply_add, rows[half], column, sums[i])
    return sums


def _counted_bits(e: Emitter, a: list[Value], b: list[Value], c: list[Value], operation: str) -> list[Value]:
    """C plus the number of ones in A's rows combined with B's columns, element i of C a vector over lanes."""
    n_halves = len(c) // 2
    sums = list(c)
    combine = e.builder.xor if operation == "xor" else e.builder.and_
    for step, words in enumerate(b):
        for q in range(4):
            for j in (0, 1):
                column = _picked(e, words, [4 * (2 * (lane & 3) + j) + q for lane in range(32)])
                for half in range(n_halves):
                    row = _picked(e, a[n_halves * step + half], [lane & ~3 | q for lane in range(32)])
                    ones = e.intrinsic("llvm.ctpop", combine(row, column))
                    sums[2 * half + j] = e.builder.add(sums[2 * half + j], ones)
    return sums


def _picked(e: Emitter, value: Value, lanes: list[int]) -> Value:
    return e.builder.shuffle_vector(value, Poison(value.type), lane_constants(I32, lanes))


def _return(e: Emitter, sums: list[Value], kind: str, shape: ir.Type, word: ir.Type) -> None:
    if kind == "f16":
        halves = [float_to_half(e, value, "f16") for value in sums]
        words = [pack(e, halves[i], halves[i + 1]) for i in range(0, len(halves), 2)]
    else:
        words = [e.builder.bitcast(value, word) for value in sums]
    result: Value = Poison(shape)
    for index, value in enumerate(words):
        result = e.builder.insert_value(result, value, index)
    e.builder.ret(result)


@instruction("movmatrix.sync.aligned.m8n8.trans.b16", reads=None)
def movmatrix(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """The transpose of an 8x8 matrix of 16-bit elements, two a lane."""
    elements = e.builder.bitcast(e.vector(e.read(source, "b32")), vector_of(I16, 64))
    order = lane_constants(I32, [8 * (place % 8) + place // 8 for place in range(64)])
    moved = e.builder.shuffle_vector(elements, Poison(elements.type), order)
    e.write(target, e.builder.bitcast(moved, vector_of(I32)), "b32")


@instruction(
    "stmatrix.sync.aligned.m8n8.(x1|x2|x4).shared.b16",
    "stmatrix.sync.aligned.m8n8.(x1|x2|x4).shared::cta.b16",
    "stmatrix.sync.aligned.m8n8.(x1|x2|x4).trans.shared.b16",
    "stmatrix.sync.aligned.m8n8.(x1|x2|x4).trans.shared::cta.b16",
    reads=None,
)
def stmatrix(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """The reverse of ``ldmatrix``: lane 8 m + r gives the address of row r of matrix m."""
    assert isinstance(target, Address)
    n = len(_items(source))
    sources = [e.vector(e.read(item, "b32")) for item in _items(source)]
    for matrix, value in enumerate(sources):
        elements = e.builder.bitcast(value, vector_of(I16, 64))
        if ".trans" in form.opcode:
            order = lane_constants(I32, [8 * (place % 8) + place // 8 for place in range(64)])
            elements = e.builder.shuffle_vector(elements, Poison(elements.type), order)
        at = e.builder.gep(e.scratch["packed"], [I64(128 * matrix)], source_etype=I8)
        e.builder.store(elements, at, align=64)
    host, low, high = access.place(e, "shared", target)
    e.builder.store(e.vector(host), e.scratch["addresses"], align=64)
    site = e.sites.access(e.instruction, "shared", True, 16)
    lanes = e.builder.and_(e.lanes(), I32((1 << 8 * n) - 1))
    arguments = [e.context, e.scratch["addresses"], lanes, low, high, I64(site if e.sites.counting else ~site)]
    e.builder.call(access.runtime(e, "tk_store_shared"), [*arguments, I64(16), e.scratch["packed"]])
