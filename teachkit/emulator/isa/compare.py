"""Comparison and selection. Source: PTX ISA, "Comparison and Selection Instructions"."""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I16, Value
from teachkit.emulator.isa.floating import flush, flush_once
from teachkit.emulator.isa.formats import half_to_float, pack, upper
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand, PredicatePair

INTEGERS = "b16|b32|b64|s16|u16|s32|u32|s64|u64"
FLOATS = "f16|bf16|f32|f64"
INTEGER_TESTS = "eq|ne|lt|le|gt|ge|lo|ls|hi|hs"
FLOAT_TESTS = "eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan"
_SYMBOLS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_UNSIGNED = {"lo": "<", "ls": "<=", "hi": ">", "hs": ">="}


def _compare(e: Emitter, test: str, kind: str, a: Value, b: Value) -> Value:
    build = e.builder
    if not kind.startswith(("f", "bf")):
        if test in _UNSIGNED:
            return build.icmp_unsigned(_UNSIGNED[test], a, b)
        compare = build.icmp_signed if kind.startswith("s") else build.icmp_unsigned
        return compare(_SYMBOLS[test], a, b)
    if kind in ("f16", "bf16"):
        a, b = half_to_float(e, a, kind), half_to_float(e, b, kind)
    if test == "num":
        return build.fcmp_ordered("ord", a, b)
    if test == "nan":
        return build.fcmp_unordered("uno", a, b)
    if test == "ne":
        return build.fcmp_ordered("!=", a, b)
    if test.endswith("u"):
        return build.fcmp_unordered(_SYMBOLS[test[:-1]], a, b)
    return build.fcmp_ordered(_SYMBOLS[test], a, b)


@instruction(
    f"setp.({INTEGER_TESTS}).({INTEGERS})",
    f"setp.({FLOAT_TESTS})[.ftz].({FLOATS})",
    f"setp.({INTEGER_TESTS}).(and|or|xor).({INTEGERS})",
    f"setp.({FLOAT_TESTS}).(and|or|xor)[.ftz].({FLOATS})",
    reads=None,
)
def setp(e: Emitter, form: Form, target: Operand, *sources: Operand) -> None:
    """Compare, and combine with a third, boolean source if there is one; ``p|q`` also gets the opposite."""
    kind = form.type
    a, b = e.alike(e.read(sources[0], kind), e.read(sources[1], kind))
    if "ftz" in form.optional and kind == "f32":
        a, b = flush_once(e, a), flush_once(e, b)
    result = _compare(e, form.required[0], kind, a, b)
    if len(sources) == 2:
        e.write(target, result, "pred")
        return
    combine = {"and": e.builder.and_, "or": e.builder.or_, "xor": e.builder.xor}[form.required[1]]
    third = e.read(sources[2], "pred")
    if isinstance(target, PredicatePair):
        e.write(target.first, combine(*e.alike(result, third)), "pred")
        e.write(target.second, combine(*e.alike(e.builder.not_(result), third)), "pred")
    else:
        e.write(target, combine(*e.alike(result, third)), "pred")


@instruction(
    f"set.({INTEGER_TESTS}).(u32|s32|f32).({INTEGERS})",
    f"set.({FLOAT_TESTS})[.ftz].(u32|s32|f32).({FLOATS})",
    f"set.({INTEGER_TESTS}).(and|or|xor).(u32|s32|f32).({INTEGERS})",
    f"set.({FLOAT_TESTS}).(and|or|xor)[.ftz].(u32|s32|f32).({FLOATS})",
    f"set.({FLOAT_TESTS})[.ftz].(f16|bf16|u16|s16).(f16|bf16)",
    f"set.({FLOAT_TESTS}).(and|or|xor)[.ftz].(f16|bf16|u16|s16).(f16|bf16)",
    reads=None,
)
def set_(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand, *third: Operand) -> None:
    """The comparison, perhaps combined with a third, boolean source, as all ones or zero, or as 1.0 or 0.0."""
    test, *combine, to, kind = form.required
    left, right = e.alike(e.read(a, kind), e.read(b, kind))
    if "ftz" in form.optional and kind == "f32":
        left, right = flush_once(e, left), flush_once(e, right)
    truth = _compare(e, test, kind, left, right)
    if combine:
        join = {"and": e.builder.and_, "or": e.builder.or_, "xor": e.builder.xor}[combine[0]]
        truth = join(*e.alike(truth, e.read(third[0], "pred")))
    if to in ("f16", "bf16", "u16", "s16"):
        one = {"f16": 0x3C00, "bf16": 0x3F80}.get(to, 0xFFFF)
        e.write(target, e.select(truth, e.const("u16", one), e.const("u16", 0)), "b16")
        return
    yes, no = (e.const("f32", 1.0), e.const("f32", 0.0)) if to == "f32" else (e.const("u32", -1), e.const("u32", 0))
    e.write(target, e.select(truth, yes, no), to)


@instruction(f"selp.({INTEGERS}|f32|f64)", reads=("T", "T", "pred"))
def selp(e: Emitter, form: Form, yes: Value, no: Value, condition: Value) -> Value:
    return e.select(condition, yes, no)


@instruction("testp.(finite|infinite|number|notanumber|normal|subnormal).(f32|f64)", reads=("T",), writes="pred")
def testp(e: Emitter, form: Form, a: Value) -> Value:
    b, kind = e.builder, form.type
    size = e.intrinsic("llvm.fabs", a)
    infinity = e.constant(a, float("inf"))
    least = e.constant(a, 2.0**-126 if kind == "f32" else 2.0**-1022)
    finite = b.fcmp_ordered("<", size, infinity)
    is_zero = b.fcmp_ordered("==", size, e.constant(a, 0.0))  # which PTX counts as normal, unlike C
    return {
        "finite": lambda: finite,
        "infinite": lambda: b.fcmp_ordered("==", size, infinity),
        "number": lambda: b.fcmp_ordered("ord", a, a),
        "notanumber": lambda: b.fcmp_unordered("uno", a, a),
        "normal": lambda: b.or_(b.and_(finite, b.fcmp_ordered(">=", size, least)), is_zero),
        "subnormal": lambda: b.and_(b.fcmp_ordered("<", size, least), b.fcmp_ordered(">", size, e.constant(a, 0.0))),
    }[form.required[0]]()


@instruction(f"slct.({INTEGERS}|f32|f64).s32", f"slct[.ftz].({INTEGERS}|f32|f64).f32", reads=None)
def slct(e: Emitter, form: Form, target: Operand, yes: Operand, no: Operand, sign: Operand) -> None:
    """The first source where the third is not negative."""
    to, of = form.required
    third = e.read(sign, of)
    if "ftz" in form.optional:
        third = flush(e, third)
    if of == "s32":
        condition = e.builder.icmp_signed(">=", third, e.constant(third, 0))
    else:
        condition = e.builder.fcmp_ordered(">=", third, e.constant(third, 0.0))
    e.write(target, e.select(condition, e.read(yes, to), e.read(no, to)), to)


@instruction(f"set.({FLOAT_TESTS})[.ftz].(f16x2|bf16x2|u32|s32).(f16x2|bf16x2)", reads=None)
def set_pair(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand) -> None:
    """Each half compared: 1.0 or 0.0, or all ones or zero in 16 bits."""
    test, to, kind = form.required
    left, right = e.alike(e.read(a, "b32"), e.read(b, "b32"))
    element = kind.removesuffix("x2")
    one = {"f16x2": 0x3C00, "bf16x2": 0x3F80}.get(to, 0xFFFF)
    lower_truth = _compare(e, test, element, *(e.cast("trunc", v, I16) for v in (left, right)))
    upper_truth = _compare(e, test, element, upper(e, left), upper(e, right))
    halves = [e.select(truth, e.const("u16", one), e.const("u16", 0)) for truth in (lower_truth, upper_truth)]
    e.write(target, pack(e, *halves), "b32")


@instruction(f"setp.({FLOAT_TESTS})[.ftz].(f16x2|bf16x2)", reads=None)
@instruction(f"setp.({FLOAT_TESTS}).(and|or|xor)[.ftz].(f16x2|bf16x2)", reads=None)
def setp_pair(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand, *third: Operand) -> None:
    """``p|q`` get the comparisons of the lower and of the upper halves."""
    left, right = e.alike(e.read(a, "b32"), e.read(b, "b32"))
    element = form.type.removesuffix("x2")
    low = _compare(e, form.required[0], element, *(e.cast("trunc", v, I16) for v in (left, right)))
    high = _compare(e, form.required[0], element, upper(e, left), upper(e, right))
    if third:
        combine = {"and": e.builder.and_, "or": e.builder.or_, "xor": e.builder.xor}[form.required[1]]
        other = e.read(third[0], "pred")
        low, high = (combine(*e.alike(v, other)) for v in (low, high))
    if isinstance(target, PredicatePair):
        e.write(target.first, low, "pred")
        e.write(target.second, high, "pred")
    else:
        e.write(target, low, "pred")
