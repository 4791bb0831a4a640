"""Conversions between types. Source: PTX ISA, "cvt"."""

from __future__ import annotations

from teachkit.emulator.engine.emit import F32, F64, WIDTHS, Emitter, Value, like
from teachkit.emulator.isa.floating import double_to_float_odd, float_to_half, flush, half_to_float, pack
from teachkit.emulator.isa.table import Form, instruction

INTEGERS = "s8|u8|s16|u16|s32|u32|s64|u64"
FLOATS = "f16|bf16|f32|f64"
_TO_WHOLE = {"rni": "llvm.roundeven", "rzi": "llvm.trunc", "rmi": "llvm.floor", "rpi": "llvm.ceil"}


def _int(bits: int) -> object:
    from llvmlite import ir

    return ir.IntType(bits)


@instruction(f"cvt[.sat].({INTEGERS}).({INTEGERS})", reads=None)
def integer_to_integer(e: Emitter, form: Form, target: object, source: object) -> None:
    to, of = form.required[-2:]
    value = e.read(source, of)  # type: ignore[arg-type]
    if "sat" in form.optional:
        value = _clamp(e, value, of, to)
    if WIDTHS[to] > WIDTHS[of]:
        value = e.cast("sext" if of.startswith("s") else "zext", value, _int(WIDTHS[to]))
    elif WIDTHS[to] < WIDTHS[of]:
        value = e.cast("trunc", value, _int(WIDTHS[to]))
    e.write(target, value, to)  # type: ignore[arg-type]


def _clamp(e: Emitter, value: Value, of: str, to: str) -> Value:
    """Limit to the range of ``to``, as far as ``of`` reaches beyond it."""
    low, high = _range(to)
    of_low, of_high = _range(of)
    signed = of.startswith("s")
    if high < of_high:
        value = e.intrinsic("llvm.smin" if signed else "llvm.umin", value, e.constant(value, high))
    if low > of_low:
        value = e.intrinsic("llvm.smax" if signed else "llvm.umax", value, e.constant(value, low))
    return value


def _range(kind: str) -> tuple[int, int]:
    bits = WIDTHS[kind]
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.startswith("s") else (0, (1 << bits) - 1)


@instruction(f"cvt.rn.({FLOATS}).({INTEGERS})", reads=None)
def integer_to_float(e: Emitter, form: Form, target: object, source: object) -> None:
    to, of = form.required[-2:]
    value = e.read(source, of)  # type: ignore[arg-type]
    kind = "sitofp" if of.startswith("s") else "uitofp"
    if to in ("f32", "f64"):
        e.write(target, e.cast(kind, value, F32 if to == "f32" else F64), to)  # type: ignore[arg-type]
        return
    if WIDTHS[of] == 64:
        raise e.unsupported("64-bit integer to a 16-bit float")
    wide = double_to_float_odd(e, e.cast(kind, value, F64))
    e.write(target, float_to_half(e, wide, to), to)  # type: ignore[arg-type]


@instruction(f"cvt.(rni|rzi|rmi|rpi)[.ftz][.sat].({INTEGERS}).({FLOATS})", reads=None)
def float_to_integer(e: Emitter, form: Form, target: object, source: object) -> None:
    """Round, then clamp to the integer's range; NaN gives 0, or the sign bit where 64 bits are involved."""
    rounding, to, of = form.required
    value = _read_float(e, source, of)
    if "ftz" in form.optional:
        value = flush(e, value)
    whole = e.intrinsic(_TO_WHOLE[rounding], value)
    bits = WIDTHS[to]
    result_type = like(value.type, _int(bits))
    name = "llvm.fptosi.sat" if to.startswith("s") else "llvm.fptoui.sat"
    lanes = f"v{value.type.count}" if hasattr(value.type, "count") else ""
    source_name = "f64" if of == "f64" else "f32"
    result = e.intrinsic(name, whole, returns=result_type, suffix=f"{lanes}i{bits}.{lanes}{source_name}")
    if of == "f64" or bits == 64:
        nan = e.builder.fcmp_unordered("uno", value, value)
        result = e.select(nan, e.constant(result, 1 << (bits - 1)), result)
    e.write(target, result, to)  # type: ignore[arg-type]


def _read_float(e: Emitter, source: object, kind: str) -> Value:
    """A float operand as ``f32`` or ``f64``."""
    value = e.read(source, kind)  # type: ignore[arg-type]
    return half_to_float(e, value, kind) if kind in ("f16", "bf16") else value


@instruction("cvt[.ftz][.sat].f32.(f16|bf16)", "cvt[.ftz].f64.(f16|bf16|f32)", "cvt.f32.f32", reads=None)
def widen(e: Emitter, form: Form, target: object, source: object) -> None:
    to, of = form.required[-2:]
    value = _read_float(e, source, of)
    if "ftz" in form.optional and of == "f32":
        value = flush(e, value)
    if to == "f64":
        value = e.cast("fpext", value, F64)
    e.write(target, _saturate(e, form, value), to)  # type: ignore[arg-type]


@instruction("cvt.rn[.ftz][.sat][.relu].(f16|bf16).f32", "cvt.rn[.sat].(f16|bf16).f64", reads=None)
def narrow_to_half(e: Emitter, form: Form, target: object, source: object) -> None:
    to, of = form.required[-2:]
    value = e.read(source, of)  # type: ignore[arg-type]
    if of == "f64":
        value = double_to_float_odd(e, value)
    if "ftz" in form.optional:
        value = flush(e, value)
    e.write(target, float_to_half(e, _saturate(e, form, value), to), to)  # type: ignore[arg-type]


@instruction("cvt.rn[.relu].(f16x2|bf16x2).f32", reads=None)
def narrow_pair(e: Emitter, form: Form, target: object, high: object, low: object) -> None:
    """The first source becomes the upper half."""
    pair = form.required[-2]
    kind = pair.removesuffix("x2")
    values = e.alike(e.read(low, "f32"), e.read(high, "f32"))  # type: ignore[arg-type]
    if "relu" in form.optional:
        values = [e.intrinsic("llvm.maximumnum", v, e.constant(v, 0.0)) for v in values]
    e.write(target, pack(e, *(float_to_half(e, v, kind) for v in values)), pair)  # type: ignore[arg-type]


@instruction("cvt.rn[.ftz][.sat].f32.f64", reads=None)
def double_to_float(e: Emitter, form: Form, target: object, source: object) -> None:
    value = e.cast("fptrunc", e.read(source, "f64"), F32)  # type: ignore[arg-type]
    if "ftz" in form.optional:
        value = flush(e, value)
    e.write(target, _saturate(e, form, value), "f32")  # type: ignore[arg-type]


@instruction(
    "cvt.(rni|rzi|rmi|rpi)[.ftz][.sat].f32.f32",
    "cvt.(rni|rzi|rmi|rpi)[.sat].f64.f64",
    "cvt.(rni|rzi|rmi|rpi)[.sat].f16.f16",
    reads=None,
)
def round_to_whole(e: Emitter, form: Form, target: object, source: object) -> None:
    rounding, to, of = form.required
    value = _read_float(e, source, of)
    if "ftz" in form.optional:
        value = flush(e, value)
    value = _saturate(e, form, e.intrinsic(_TO_WHOLE[rounding], value))
    e.write(target, float_to_half(e, value, to) if to == "f16" else value, to)  # type: ignore[arg-type]


def _saturate(e: Emitter, form: Form, value: Value) -> Value:
    """``.sat`` limits to [0, 1] and turns NaN into 0; ``.relu`` to [0, inf)."""
    if "sat" in form.optional or "relu" in form.optional:
        value = e.intrinsic("llvm.maximumnum", value, e.constant(value, 0.0))
    if "sat" in form.optional:
        value = e.intrinsic("llvm.minimumnum", value, e.constant(value, 1.0))
    return value
