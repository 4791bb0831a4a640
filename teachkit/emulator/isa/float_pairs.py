"""sm_100: arithmetic on two ``f32`` numbers in a register of 64 bits. Source: PTX ISA, ``add.f32x2`` and the like."""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import F32, I32, I64, Value, like
from teachkit.emulator.isa.floating import Operation, flush
from teachkit.emulator.isa.table import Form, instruction


def on_pairs(e: Emitter, form: Form, operation: Operation, *values: Value) -> Value:
    """sm_100: run ``operation`` on both ``f32`` halves of 64-bit registers."""

    def half(value: Value, shift: int) -> Value:
        bits = e.builder.lshr(value, e.constant(value, shift)) if shift else value
        narrow = e.cast("trunc", bits, I32)
        return e.builder.bitcast(narrow, like(narrow.type, F32))

    def one(shift: int) -> Value:
        parts = [half(value, shift) for value in values]
        ftz = "ftz" in form.optional
        result = operation(*([flush(e, p) for p in parts] if ftz else parts))
        return e.cast("zext", e.bits(flush(e, result) if ftz else result), I64)

    high = one(32)
    return e.builder.or_(e.builder.shl(high, e.constant(high, 32)), one(0))


@instruction("add[.rn][.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def add_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, e.builder.fadd, a, b)


@instruction("sub[.rn][.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def sub_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, e.builder.fsub, a, b)


@instruction("mul[.rn][.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def mul_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, e.builder.fmul, a, b)


@instruction("fma.rn[.ftz].f32x2", reads=("b64", "b64", "b64"), writes="b64")
def fma_pair(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return on_pairs(e, form, lambda *v: e.intrinsic("llvm.fma", *v), a, b, c)
