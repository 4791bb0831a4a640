"""Arithmetic rounded towards zero, down or up.

The processor's own rounding mode is set around the operation, in a function of its own, so that no other
arithmetic can move between the two changes of mode. Source: PTX ISA, "Rounding Modifiers".
"""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import F64, Value, is_vector
from teachkit.emulator.isa.float_pairs import on_pairs
from teachkit.emulator.isa.floating import apply
from teachkit.emulator.isa.table import Form, instruction

_MODES = {"rz": 0, "rp": 2, "rm": 3}  # as llvm.set.rounding numbers them; 1 is to nearest


def directed(e: Emitter, operation: str, mode: str, *values: Value) -> Value:
    """LLVM's ``operation`` (``fadd``, ``fma``, ``sqrt``...) on floats, rounded in one direction."""
    shape = values[0].type
    element = "f64" if (shape.element if is_vector(values[0]) else shape) == F64 else "f32"
    suffix = f"v{shape.count}{element}" if is_vector(values[0]) else element
    name = f"tk_{mode}_{operation}_{suffix}"
    constrained = f"@llvm.experimental.constrained.{operation}.{suffix}"
    named = ", ".join(f"{shape} %{letter}" for letter in "abc"[: len(values)])
    types = ", ".join([str(shape)] * len(values))
    text = f"""
define internal {shape} @{name}({named}) noinline strictfp {{
  call void @llvm.set.rounding(i32 {_MODES[mode]}) strictfp
  %r = call {shape} {constrained}({named}, metadata !"round.dynamic", metadata !"fpexcept.ignore") strictfp
  call void @llvm.set.rounding(i32 1) strictfp
  ret {shape} %r
}}
"""
    declarations = [
        "declare void @llvm.set.rounding(i32)",
        f"declare {shape} {constrained}({types}, metadata, metadata)",
    ]
    function = helper(e, name, shape, [shape] * len(values), text, declarations)
    return e.builder.call(function, values)


def _run(e: Emitter, form: Form, operation: str, *values: Value) -> Value:
    return apply(e, form, lambda *v: directed(e, operation, form.required[0], *v), *values)


@instruction("add.(rz|rm|rp)[.ftz][.sat].f32", "add.(rz|rm|rp).f64")
def add(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _run(e, form, "fadd", a, b)


@instruction("sub.(rz|rm|rp)[.ftz][.sat].f32", "sub.(rz|rm|rp).f64")
def sub(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _run(e, form, "fsub", a, b)


@instruction("mul.(rz|rm|rp)[.ftz][.sat].f32", "mul.(rz|rm|rp).f64")
def mul(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _run(e, form, "fmul", a, b)


@instruction("fma.(rz|rm|rp)[.ftz][.sat].f32", "fma.(rz|rm|rp).f64", reads=("T", "T", "T"))
@instruction("mad.(rz|rm|rp)[.ftz][.sat].f32", "mad.(rz|rm|rp).f64", reads=("T", "T", "T"))
def fma(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return _run(e, form, "fma", a, b, c)


@instruction("div.(rz|rm|rp)[.ftz].f32", "div.(rz|rm|rp).f64")
def div(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _run(e, form, "fdiv", a, b)


@instruction("rcp.(rz|rm|rp)[.ftz].f32", "rcp.(rz|rm|rp).f64", reads=("T",))
def rcp(e: Emitter, form: Form, a: Value) -> Value:
    return apply(e, form, lambda v: directed(e, "fdiv", form.required[0], e.constant(v, 1.0), v), a)


@instruction("sqrt.(rz|rm|rp)[.ftz].f32", "sqrt.(rz|rm|rp).f64", reads=("T",))
def sqrt(e: Emitter, form: Form, a: Value) -> Value:
    return _run(e, form, "sqrt", a)


@instruction("add.(rz|rm|rp)[.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def add_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, lambda *v: directed(e, "fadd", form.required[0], *v), a, b)


@instruction("sub.(rz|rm|rp)[.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def sub_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, lambda *v: directed(e, "fsub", form.required[0], *v), a, b)


@instruction("mul.(rz|rm|rp)[.ftz].f32x2", reads=("b64", "b64"), writes="b64")
def mul_pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return on_pairs(e, form, lambda *v: directed(e, "fmul", form.required[0], *v), a, b)


@instruction("fma.(rz|rm|rp)[.ftz].f32x2", reads=("b64", "b64", "b64"), writes="b64")
def fma_pair(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return on_pairs(e, form, lambda *v: directed(e, "fma", form.required[0], *v), a, b, c)
