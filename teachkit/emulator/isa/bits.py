"""Masks, sign extension from any bit, and 24-bit products. Source: PTX ISA, "bmsk", "szext", "mul24", "mad24"."""

from __future__ import annotations

from teachkit.emulator.engine.emit import I32, I64, Emitter, Value
from teachkit.emulator.isa.table import Form, instruction


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


@instruction("mul24.(lo|hi).(u32|s32)")
def mul24(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    """The low or the high 32 of the 48 bits of a product of 24-bit numbers."""
    build = e.builder
    shift = build.ashr if form.type == "s32" else build.lshr
    low = [shift(build.shl(v, e.constant(v, 8)), e.constant(v, 8)) for v in (a, b)]
    wide = [e.cast("sext" if form.type == "s32" else "zext", v, I64) for v in low]
    product = build.mul(*wide)
    if form.required[0] == "hi":
        product = build.lshr(product, e.constant(product, 16))
    return e.cast("trunc", product, I32)


@instruction("mad24.(lo|hi).(u32|s32)", reads=("T", "T", "T"))
def mad24(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return e.builder.add(mul24(e, form, a, b), c)


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
