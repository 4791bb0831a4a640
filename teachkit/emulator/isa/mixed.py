"""sm_100: sums and products of 16-bit floats that are widened, exactly, on their way into ``f32`` arithmetic.

The result is rounded once, as in ``f32``. Source: PTX ISA, "Mixed Precision Floating-Point Instructions".
"""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import Value
from teachkit.emulator.isa.directed import directed
from teachkit.emulator.isa.floating import apply
from teachkit.emulator.isa.formats import half_to_float
from teachkit.emulator.isa.table import Form, instruction


def _run(e: Emitter, form: Form, operation: str, *values: Value) -> Value:
    """LLVM's ``operation`` on ``f32``, in the direction that the form names."""
    mode = next((word for word in (*form.optional, *form.required) if word in ("rz", "rm", "rp")), "")
    if mode:
        return apply(e, form, lambda *v: directed(e, operation, mode, *v), *values)
    if operation == "fma":
        return apply(e, form, lambda *v: e.intrinsic("llvm.fma", *v), *values)
    return apply(e, form, getattr(e.builder, operation), *values)


@instruction("add[.rn|.rz|.rm|.rp][.sat].f32.(f16|bf16)", reads=("T", "f32"), writes="f32")
def add(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _run(e, form, "fadd", half_to_float(e, a, form.type), b)


@instruction("sub[.rn|.rz|.rm|.rp][.sat].f32.(f16|bf16)", reads=("T", "f32"), writes="f32")
def sub(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _run(e, form, "fsub", half_to_float(e, a, form.type), b)


@instruction("fma.(rn|rz|rm|rp)[.sat].f32.(f16|bf16)", reads=("T", "T", "f32"), writes="f32")
def fma(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return _run(e, form, "fma", *(half_to_float(e, value, form.type) for value in (a, b)), c)
