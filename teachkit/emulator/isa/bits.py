"""Counted and reversed bits, masks, sign extension from any bit, permuted bytes, and 24-bit products.

Source: PTX ISA, "popc", "clz", "bfind", "brev", "bmsk", "szext", "prmt", "mul24", "mad24".
"""

from __future__ import annotations

import functools

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once
from teachkit.emulator.engine.shapes import I1, I8, I32, I64, WIDTHS, Value, element_of
from teachkit.emulator.isa.table import Form, instruction


@instruction("popc.(b32|b64)", reads=("T",), writes="u32")
@written_once
def popc(e: Emitter, form: Form, a: Value) -> Value:
    return _to_u32(e, e.intrinsic("llvm.ctpop", a))


@instruction("brev.(b32|b64)", reads=("T",))
def brev(e: Emitter, form: Form, a: Value) -> Value:
    return e.intrinsic("llvm.bitreverse", a)


@instruction("clz.(b32|b64)", reads=("T",), writes="u32")
@written_once
def clz(e: Emitter, form: Form, a: Value) -> Value:
    return _to_u32(e, count_leading(e, a))


@instruction("bfind[.shiftamt].(u32|s32|u64|s64)", reads=("T",), writes="u32")
@written_once
def bfind(e: Emitter, form: Form, a: Value) -> Value:
    """Position of the highest bit that differs from the sign, all ones where there is none."""
    b, width = e.builder, WIDTHS[form.type]
    if form.is_signed:
        a = b.xor(a, b.ashr(a, e.constant(a, width - 1)))
    leading = _to_u32(e, count_leading(e, a))
    found = leading if "shiftamt" in form.optional else b.sub(e.constant(leading, width - 1), leading)
    none = b.icmp_unsigned("==", leading, e.constant(leading, width))
    return e.select(none, e.constant(leading, -1), found)


def count_leading(e: Emitter, a: Value) -> Value:
    """Zeros above the highest bit that is set; the width where there is none."""
    return e.intrinsic("llvm.ctlz", a, I1(0))


def _to_u32(e: Emitter, value: Value) -> Value:
    return value if element_of(value.type).width == 32 else e.cast("trunc", value, I32)


@instruction("bmsk.(clamp|wrap).b32", reads=("u32", "u32"), writes="b32")
def bmsk(e: Emitter, form: Form, start: Value, length: Value) -> Value:
    """``length`` ones from bit ``start`` up."""
    b = e.builder
    if form.required[0] == "wrap":
        start, length = (b.and_(v, e.constant(v, 31)) for v in (start, length))
    else:
        start, length = (e.intrinsic("llvm.umin", v, e.constant(v, 32)) for v in (start, length))
    wide_length, wide_start = (e.cast("zext", v, I64) for v in (length, start))
    ones = b.sub(b.shl(e.constant(wide_length, 1), wide_length), e.constant(wide_length, 1))
    return e.cast("trunc", b.shl(ones, wide_start), I32)


@instruction("szext.(clamp|wrap).(u32|s32)", reads=("T", "u32"))
def szext(e: Emitter, form: Form, a: Value, position: Value) -> Value:
    """The low ``position`` bits, extended by their highest bit or by zeros."""
    b = e.builder
    if form.required[0] == "wrap":
        position = b.and_(position, e.constant(position, 31))
    position = e.intrinsic("llvm.umin", position, e.constant(position, 32))
    wide = e.cast("zext", a, I64)
    left = e.cast("zext", b.sub(e.constant(position, 32), position), I64)
    raised = e.cast("trunc", b.shl(wide, left), I32)  # nothing is left of it where the field is empty
    narrow = e.cast("trunc", e.intrinsic("llvm.umin", left, e.constant(left, 31)), I32)
    shift = b.ashr if form.type == "s32" else b.lshr
    return shift(raised, narrow)


# The bytes that each mode of prmt picks for the values 0 to 3 of its selector, as the selector without a mode.
_PERMUTATIONS = {
    "f4e": (0x3210, 0x4321, 0x5432, 0x6543),  # four forwards from a byte
    "b4e": (0x5670, 0x6701, 0x7012, 0x0123),  # four backwards
    "rc8": (0x0000, 0x1111, 0x2222, 0x3333),  # one byte everywhere
    "ecl": (0x3210, 0x3211, 0x3222, 0x3333),  # what lies below a byte becomes that byte
    "ecr": (0x0000, 0x1110, 0x2210, 0x3210),  # what lies above it does
    "rc16": (0x1010, 0x3232, 0x1010, 0x3232),  # one half twice
}


@instruction(f"prmt.b32[.{'|.'.join(_PERMUTATIONS)}]", reads=("b32", "b32", "u32"), writes="b32")
def prmt(e: Emitter, form: Form, a: Value, b: Value, selector: Value) -> Value:
    """Pick each byte of the result from the eight bytes (b, a); bit 3 of a selector repeats the byte's sign."""
    number = selector.number if isinstance(selector, ir.Constant) else None
    if number is None or number & 0x8888 or form.optional:
        return _permuted(e, form, *e.alike(a, b, selector))
    return _moved(e, number, *e.alike(a, b))


def _moved(e: Emitter, selector: int, *sources: Value) -> Value:
    """The bytes that a selector names, those together that come from one source and move as far."""
    build, masks = e.builder, dict[tuple[int, int], int]()
    for byte in range(4):
        picked = selector >> 4 * byte & 7
        move = (picked // 4, byte - picked % 4)
        masks[move] = masks.get(move, 0) | 0xFF << 8 * byte
    parts = []
    for (source, n_bytes), mask in masks.items():
        value = sources[source]
        shift = build.shl if n_bytes > 0 else build.lshr
        moved = shift(value, e.constant(value, 8 * abs(n_bytes))) if n_bytes else value
        parts.append(build.and_(moved, e.constant(moved, mask)))
    return functools.reduce(build.or_, parts)


@written_once
def _permuted(e: Emitter, form: Form, a: Value, b: Value, selector: Value) -> Value:
    build = e.builder
    both = build.or_(build.shl(e.cast("zext", b, I64), e.constant(e.cast("zext", b, I64), 32)), e.cast("zext", a, I64))
    for mode in form.optional:
        case = e.cast("zext", build.and_(selector, e.constant(selector, 3)), I64)
        table = e.constant(case, sum(digits << 16 * i for i, digits in enumerate(_PERMUTATIONS[mode])))
        selector = e.cast("trunc", build.lshr(table, build.shl(case, e.constant(case, 4))), I32)
    result = e.constant(a, 0)
    for byte in range(4):
        nibble = build.and_(build.lshr(selector, e.constant(selector, 4 * byte)), e.constant(selector, 15))
        distance = build.shl(build.and_(nibble, e.constant(nibble, 7)), e.constant(nibble, 3))
        picked = e.cast("trunc", build.lshr(both, e.cast("zext", distance, I64)), I8)
        sign = build.ashr(picked, e.constant(picked, 7))
        repeat = build.icmp_unsigned("!=", build.and_(nibble, e.constant(nibble, 8)), e.constant(nibble, 0))
        chosen = e.cast("zext", e.select(repeat, sign, picked), I32)
        result = build.or_(result, build.shl(chosen, e.constant(chosen, 8 * byte)))
    return result


@instruction("mul24.(lo|hi).(u32|s32)")
def mul24(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    """The low or the high 32 of the 48 bits of a product of 24-bit numbers."""
    return _product_24(e, form, a, b, from_bit=16 if form.required[0] == "hi" else 0)


def _product_24(e: Emitter, form: Form, a: Value, b: Value, from_bit: int) -> Value:
    build = e.builder
    shift = build.ashr if form.type == "s32" else build.lshr
    low = [shift(build.shl(v, e.constant(v, 8)), e.constant(v, 8)) for v in (a, b)]
    wide = [e.cast("sext" if form.type == "s32" else "zext", v, I64) for v in low]
    product = build.mul(*wide)
    return e.cast("trunc", build.lshr(product, e.constant(product, from_bit)), I32)


@instruction("mad24.(lo|hi).(u32|s32)", reads=("T", "T", "T"))
def mad24(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return e.builder.add(mul24(e, form, a, b), c)


@instruction("mad24.hi.sat.s32", reads=("T", "T", "T"))
def mad24_sat(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return e.intrinsic("llvm.sadd.sat", _product_24(e, form, a, b, from_bit=16), c)


@instruction("min.relu.s32", "min.s32.relu", reads=("s32", "s32"), writes="s32")
def min_relu(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    """The smaller, and no less than zero."""
    smaller = e.intrinsic("llvm.smin", a, b)
    return e.intrinsic("llvm.smax", smaller, e.constant(smaller, 0))


@instruction("max.relu.s32", "max.s32.relu", reads=("s32", "s32"), writes="s32")
def max_relu(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    """The larger, and no less than zero."""
    larger = e.intrinsic("llvm.smax", a, b)
    return e.intrinsic("llvm.smax", larger, e.constant(larger, 0))
