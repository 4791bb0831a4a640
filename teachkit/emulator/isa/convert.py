"""Conversions between types. Source: PTX ISA, "cvt"."""

from __future__ import annotations

from teachkit.emulator.engine import indexed, ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import written_once_where
from teachkit.emulator.engine.shapes import F32, F64, I64, WIDTHS, Value, like
from teachkit.emulator.isa.bits import count_leading
from teachkit.emulator.isa.floating import flush, relu
from teachkit.emulator.isa.formats import double_to_float_odd, float_to_half, half_to_float, pack
from teachkit.emulator.isa.table import Form, instruction

INTEGERS = "s8|u8|s16|u16|s32|u32|s64|u64"
FLOATS = "f16|bf16|f32|f64"
_TO_WHOLE = {"rni": "llvm.roundeven", "rzi": "llvm.trunc", "rmi": "llvm.floor", "rpi": "llvm.ceil"}


@instruction(f"cvt[.sat].({INTEGERS}).({INTEGERS})", reads=None)
def integer_to_integer(e: Emitter, form: Form, target: object, source: object) -> None:
    to, of = form.required[-2:]
    value = e.read(source, of)  # type: ignore[arg-type]
    if "sat" in form.optional:
        value = _clamp(e, value, of, to)
    if WIDTHS[to] > WIDTHS[of]:
        wide = e.cast("sext" if of.startswith("s") else "zext", value, ir.IntType(WIDTHS[to]))
        value = indexed.widened(wide, value, is_signed=of.startswith("s"))
    elif WIDTHS[to] < WIDTHS[of]:
        value = e.cast("trunc", value, ir.IntType(WIDTHS[to]))
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
        e.write(target, rounded_integer(e, value, of.startswith("s"), "rn", to), to)  # type: ignore[arg-type]
        return
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
    result_type = like(value.type, ir.IntType(bits))
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


@instruction(
    "cvt[.ftz][.sat].f32.(f16|bf16)",
    "cvt[.ftz][.sat].f64.(f16|bf16|f32)",
    "cvt[.ftz][.sat].f32.f32",
    "cvt[.sat].f64.f64",
    reads=None,
)
def widen(e: Emitter, form: Form, target: object, source: object) -> None:
    to, of = form.required[-2:]
    value = _read_float(e, source, of)
    if "ftz" in form.optional and of == "f32":
        value = flush(e, value)
    if to == "f64" and of != "f64":
        value = e.cast("fpext", value, F64)
    e.write(target, _saturate(e, form, value), to)  # type: ignore[arg-type]


@instruction("cvt.rn[.ftz][.sat][.relu].(f16|bf16).f32", "cvt.rn[.sat].(f16|bf16).f64", reads=None)
def narrow_to_half(e: Emitter, form: Form, target: object, source: object) -> None:
    to, of = form.required[-2:]
    value = e.read(source, of)  # type: ignore[arg-type]
    e.write(target, _narrowed(e, form, value), to)  # type: ignore[arg-type]


@written_once_where(lambda form, _: form.required[-2:] != ("f16", "f32"))  # which processors have an instruction for
def _narrowed(e: Emitter, form: Form, value: Value) -> Value:
    to, of = form.required[-2:]
    if of == "f64":
        value = double_to_float_odd(e, value)
    if "ftz" in form.optional:
        value = flush(e, value)
    return float_to_half(e, _saturate(e, form, value), to)


@instruction("cvt.rn[.relu].(f16x2|bf16x2).f32", reads=None)
def narrow_pair(e: Emitter, form: Form, target: object, high: object, low: object) -> None:
    """The first source becomes the upper half."""
    values = e.alike(e.read(low, "f32"), e.read(high, "f32"))  # type: ignore[arg-type]
    e.write(target, _pair(e, form, *values), form.required[-2])  # type: ignore[arg-type]


@written_once_where(lambda form, _: form.required[-2] != "f16x2")
def _pair(e: Emitter, form: Form, *values: Value) -> Value:
    kind = form.required[-2].removesuffix("x2")
    if "relu" in form.optional:
        values = tuple(relu(e, v) for v in values)
    return pack(e, *(float_to_half(e, v, kind) for v in values))


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
    "cvt.(rni|rzi|rmi|rpi).bf16.bf16",
    reads=None,
)
def round_to_whole(e: Emitter, form: Form, target: object, source: object) -> None:
    rounding, to, of = form.required
    value = _read_float(e, source, of)
    if "ftz" in form.optional:
        value = flush(e, value)
    value = _saturate(e, form, e.intrinsic(_TO_WHOLE[rounding], value))
    e.write(target, float_to_half(e, value, to) if to.endswith("f16") else value, to)  # type: ignore[arg-type]


def _saturate(e: Emitter, form: Form, value: Value) -> Value:
    """``.sat`` limits to [0, 1] and turns NaN into 0; ``.relu`` to [0, inf) and keeps it."""
    if "relu" in form.optional:
        value = relu(e, value)
    if "sat" in form.optional:
        value = e.intrinsic("llvm.maximumnum", value, e.constant(value, 0.0))
        value = e.intrinsic("llvm.minimumnum", value, e.constant(value, 1.0))
    return value


@instruction(f"cvt.(rz|rm|rp).({FLOATS}).({INTEGERS})", reads=None)
def integer_to_float_directed(e: Emitter, form: Form, target: object, source: object) -> None:
    mode, to, of = form.required
    value = e.read(source, of)  # type: ignore[arg-type]
    bits = rounded_integer(e, value, of.startswith("s"), mode, to)
    e.write(target, bits, f"b{WIDTHS[to]}")  # type: ignore[arg-type]


def rounded_integer(e: Emitter, value: Value, signed: bool, mode: str, to: str) -> Value:
    """An integer as the bits of a float of type ``to``, rounded once in direction ``mode``."""
    b = e.builder
    fraction_bits, bias = {"f16": (10, 15), "bf16": (7, 127), "f32": (23, 127), "f64": (52, 1023)}[to]
    wide = e.cast("sext" if signed else "zext", value, I64)
    negative = b.icmp_signed("<", wide, e.constant(wide, 0)) if signed else None
    size = wide if negative is None else e.select(negative, b.neg(wide), wide)
    leading = count_leading(e, size)
    zero = b.icmp_unsigned("==", size, e.constant(size, 0))
    # The number with its top bit raised to bit 63: the fraction's bits, then those that rounding decides on.
    raised = b.shl(size, e.select(zero, e.constant(size, 0), leading))
    drop = 63 - fraction_bits
    kept = b.lshr(raised, e.constant(raised, drop))
    rest = b.and_(raised, e.constant(raised, (1 << drop) - 1))
    inexact = b.icmp_unsigned("!=", rest, e.constant(rest, 0))
    half = 1 << drop - 1
    no = e.select(inexact, e.constant(rest, 0), e.constant(rest, 0))
    yes = e.cast("zext", inexact, I64)
    if mode == "rn":
        odd = b.and_(kept, e.constant(kept, 1))
        up = b.icmp_unsigned(">", b.add(rest, odd), e.constant(rest, half))
        step = e.cast("zext", up, I64)
    elif mode == "rz" or (negative is None and mode == "rm"):
        step = no
    elif negative is None:
        step = yes
    else:
        step = e.select(negative, *((yes, no) if mode == "rm" else (no, yes)))
    exponent = b.sub(e.constant(leading, 63 + bias - 1), leading)  # less one, for the fraction's leading bit
    bits = b.add(b.shl(exponent, e.constant(exponent, fraction_bits)), b.add(kept, step))
    bits = e.select(zero, e.constant(bits, 0), bits)
    if to == "f16":  # the one type that integers overflow
        largest = 0x7BFF
        away = {"rn": e.constant(bits, 0x7C00), "rz": e.constant(bits, largest)}.get(mode)
        if away is None:
            outward = mode == "rp"
            up_or_down = [e.constant(bits, 0x7C00 if outward else largest), e.constant(bits, largest + outward)]
            away = up_or_down[0]
            if negative is not None:
                away = e.select(negative, e.constant(bits, largest if outward else 0x7C00), away)
        bits = e.select(b.icmp_unsigned(">", bits, e.constant(bits, largest)), away, bits)
    if negative is not None:
        sign = e.select(negative, e.constant(bits, 1 << WIDTHS[to] - 1), e.constant(bits, 0))
        bits = b.or_(bits, sign)
    return e.cast("trunc", bits, ir.IntType(WIDTHS[to])) if WIDTHS[to] < 64 else bits


@instruction(
    "cvt.(rz|rm|rp)[.ftz][.sat].f32.f64", "cvt.rz[.relu].(f16|bf16).f32", "cvt.(rm|rp).(f16|bf16).f32", reads=None
)
def narrow_directed(e: Emitter, form: Form, target: object, source: object) -> None:
    to, of = form.required[-2:]
    mode = next(m for m in form.opcode.split(".") if m in ("rz", "rm", "rp"))
    result = _narrow(e, e.read(source, of), mode, to)  # type: ignore[arg-type]
    if to != "f32":
        if "relu" in form.optional:
            value = half_to_float(e, result, to)
            result = e.select(
                e.builder.fcmp_ordered("<=", value, e.constant(value, 0.0)), e.constant(result, 0), result
            )
        e.write(target, result, to)  # type: ignore[arg-type]
        return
    if "ftz" in form.optional:
        result = flush(e, result)
    e.write(target, _saturate(e, form, result), to)  # type: ignore[arg-type]


@instruction("cvt.rz[.relu].(f16x2|bf16x2).f32", reads=None)
def narrow_pair_to_zero(e: Emitter, form: Form, target: object, high: object, low: object) -> None:
    pair = form.required[-2]
    values = e.alike(e.read(low, "f32"), e.read(high, "f32"))  # type: ignore[arg-type]
    if "relu" in form.optional:
        values = [relu(e, v) for v in values]
    e.write(target, pack(e, *(_narrow(e, v, "rz", pair[:-2]) for v in values)), pair)  # type: ignore[arg-type]


@instruction("cvt[.rn|.rz|.rm|.rp].bf16.f16", "cvt[.rn|.rz|.rm|.rp].f16.bf16", reads=None)
def half_to_other_half(e: Emitter, form: Form, target: object, source: object) -> None:
    """To nearest where nothing is said: ``ptxas`` makes the same instruction of both spellings."""
    to, of = form.required
    value = _read_float(e, source, of)
    mode = next(iter(form.optional - {"rn"}), "")
    e.write(target, _narrow(e, value, mode, to) if mode else float_to_half(e, value, to), to)  # type: ignore[arg-type]


def _narrow(e: Emitter, value: Value, mode: str, to: str) -> Value:
    """Round to nearest, then step back where that went the wrong way. 16-bit results are bits."""
    b = e.builder
    if to == "f32":
        near = e.cast("fptrunc", value, F32)
        bits, back = e.bits(near), e.cast("fpext", near, F64)
    else:
        bits = float_to_half(e, value, to)
        back = half_to_float(e, bits, to)
    above, below = b.fcmp_ordered(">", back, value), b.fcmp_ordered("<", back, value)
    negative = b.icmp_signed("<", bits, e.constant(bits, 0))
    none, one, minus = (e.constant(bits, n) for n in (0, 1, -1))
    # A float's bits count its size upwards, whatever its sign.
    down = e.select(above, e.select(negative, one, minus), none)
    up = e.select(below, e.select(negative, minus, one), none)
    toward_zero = e.select(negative, up, down)
    stepped = b.add(bits, {"rm": down, "rp": up, "rz": toward_zero}[mode])
    return b.bitcast(stepped, near.type) if to == "f32" else stepped


@instruction("cvt.(rna|rn|rz)[.relu][.satfinite].tf32.f32", reads=None)
def to_tf32(e: Emitter, form: Form, target: object, source: object) -> None:
    """tf32 keeps 10 bits of fraction in a float's place."""
    b = e.builder
    bits = e.read(source, "b32")  # type: ignore[arg-type]
    mode, dropped = form.required[0], (1 << 13) - 1
    more = {
        "rna": lambda: e.constant(bits, 1 << 12),
        "rn": lambda: b.add(
            e.constant(bits, dropped >> 1), b.and_(b.lshr(bits, e.constant(bits, 13)), e.constant(bits, 1))
        ),
        "rz": lambda: e.constant(bits, 0),
    }[mode]()
    rounded = b.and_(b.add(bits, more), e.constant(bits, ~dropped))
    exponent = b.and_(bits, e.constant(bits, 0x7F800000))
    result = e.select(b.icmp_unsigned("==", exponent, e.constant(bits, 0x7F800000)), bits, rounded)
    if "relu" in form.optional:
        is_nan = b.icmp_unsigned(">", b.shl(result, e.constant(result, 1)), e.constant(result, 0xFF000000))
        result = e.select(b.icmp_signed("<", result, e.constant(result, 0)), e.constant(result, 0), result)
        result = e.select(is_nan, e.constant(result, 0x7FFFFFFF), result)
    e.write(target, result, "b32")  # type: ignore[arg-type]
