"""Tensor-core instructions, and those that move their fragments. Source: PTX ISA, "Warp Level Matrix Instructions"."""

from __future__ import annotations

import re

from teachkit.emulator.engine import apart
from teachkit.emulator.engine.addresses import place_of
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I8, I16, I32, I64, Poison, lane_constants, vector_of
from teachkit.emulator.isa.fragments import ELEMENTS
from teachkit.emulator.isa.products import items_of, kept, names_of, place_of_register, product, product_in_place
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Operand


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
    how = form.required[-1] if is_bits else "satfinite" if "satfinite" in form.optional else ""
    wide = "b64" if types[0] == "f64" else "b32"
    sources, results = [items_of(operand) for operand in (a, b, c)], items_of(d)
    sizes = [len(items) for items in (*sources, results)]
    if sizes != _sizes(form.opcode, types):
        raise e.unsupported(f"{sizes} registers of A, B, C and D, not {_sizes(form.opcode, types)}")
    targets = [place for item in results if (place := place_of_register(e, item, wide)) is not None]
    operands = [item for items in sources for item in items]
    names = names_of([*sources[0], *sources[1]])
    if e.active is None and e.guard is None and len(targets) == len(results):
        places = [
            place_of_register(e, item, wide) or kept(e, str(i), e.vector(e.read(item, wide)))
            for i, item in enumerate(operands)
        ]
        product_in_place(e, types, how, sizes, [*places, *targets], names)
        return
    words = [e.vector(e.read(item, wide)) for item in operands]
    for item, value in zip(results, product(e, types, how, sizes, words, names), strict=True):
        e.write(item, value, wide)


def _sizes(opcode: str, types: tuple[str, ...]) -> list[int]:
    """Registers that a lane has of A, B, C and D."""
    m, n, k = (int(size) for size in re.findall(r"\d+", re.search(r"m\d+n\d+k\d+", opcode)[0]))  # type: ignore[index]
    d_type, a_type, b_type, c_type = types
    return [
        n_elements // LANES // ELEMENTS.get(kind, 1)
        for n_elements, kind in ((m * k, a_type), (n * k, b_type), (m * n, c_type), (m * n, d_type))
    ]


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
    n = len(items_of(source))
    sources = [e.vector(e.read(item, "b32")) for item in items_of(source)]
    for matrix, value in enumerate(sources):
        elements = e.builder.bitcast(value, vector_of(I16, 64))
        if ".trans" in form.opcode:
            order = lane_constants(I32, [8 * (place % 8) + place // 8 for place in range(64)])
            elements = e.builder.shuffle_vector(elements, Poison(elements.type), order)
        at = e.builder.gep(e.scratch["packed"], [I64(128 * matrix)], source_etype=I8)
        e.builder.store(elements, at, align=64)
    place = place_of(e, "shared", target)
    site = e.sites.access(e.instruction, "shared", True, 16)
    lanes = e.builder.and_(e.lanes(), I32((1 << 8 * n) - 1))
    apart.call(e, "store", "shared", place, lanes, 16, site, e.scratch["packed"])
