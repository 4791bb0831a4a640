"""PTX's scalar video instructions: on a byte, a half or all of a register, with something done to the result after.

Source: PTX ISA, "Scalar Video Instructions". A result has 34 bits and a sign; ``.sat`` clamps it to the range of the
destination, or of the part that is written. Then it is combined with the third source, or put in place of a part of it.
Not modelled: what ptxas makes of ``.u32`` results from 2^31 up before ``.min`` and ``.max``, which it compares as if
they were negative; and of ``vmad`` on unsigned words with a negated third source, whose product it takes as signed.
"""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32, I64, Value
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand, Part

_I128 = ir.IntType(128)
_KIND = "(u32|s32)"
_SECOND = "[.add|.min|.max]"
_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_PARTS = {"": (0, 32), **{f"b{i}": (8 * i, 8) for i in range(4)}, **{f"h{i}": (16 * i, 16) for i in range(2)}}
_RESULT_BITS = 34


@instruction(
    *(f"{name}.{_KIND}.{_KIND}.{_KIND}[.sat]{_SECOND}" for name in ("vadd", "vsub", "vabsdiff", "vmin", "vmax")),
    reads=None,
)
def video(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand, c: Operand | None = None) -> None:
    """Sum, difference, distance, smaller or larger."""
    x, y = e.alike(_number(e, form, a, form.required[1]), _number(e, form, b, form.required[2]))
    operation = form.base[1:]
    if operation in ("add", "sub"):
        result = getattr(e.builder, operation)(x, y)
    elif operation == "absdiff":
        result = e.intrinsic("llvm.smax", e.builder.sub(x, y), e.builder.sub(y, x))
    else:
        result = e.intrinsic(f"llvm.s{operation}", x, y)
    _finish(e, form, target, result, form.required[0], c)


@instruction(*(f"{name}.{_KIND}.{_KIND}.u32[.sat].(clamp|wrap){_SECOND}" for name in ("vshl", "vshr")), reads=None)
def video_shift(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand, c: Operand | None = None) -> None:
    """Shifted by at most 32 (``.clamp``), or by the amount's lowest five bits (``.wrap``)."""
    value, amount = e.alike(_number(e, form, a, form.required[1]), _number(e, form, b, "u32"))
    if form.required[3] == "clamp":
        amount = e.intrinsic("llvm.umin", amount, e.constant(amount, 32))
    else:
        amount = e.builder.and_(amount, e.constant(amount, 31))
    shift = e.builder.shl if form.base == "vshl" else e.builder.ashr
    _finish(e, form, target, shift(value, amount), form.required[0], c)


@instruction(f"vset.{_KIND}.{_KIND}.({'|'.join(_COMPARISONS)}){_SECOND}", reads=None)
def video_set(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand, c: Operand | None = None) -> None:
    """1 where the comparison holds, else 0."""
    x, y = e.alike(_number(e, form, a, form.required[0]), _number(e, form, b, form.required[1]))
    truth = e.builder.icmp_signed(_COMPARISONS[form.required[2]], x, y)
    _finish(e, form, target, e.cast("zext", truth, I64), "u32", c)


@instruction(f"vmad.{_KIND}.{_KIND}.{_KIND}[.po][.sat][.shr7|.shr15]", reads=None)
def video_mad(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand, c: Operand) -> None:
    """a b + c, with one added (``.po``), or a product or a third source of the opposite sign; shifted right after."""
    build = e.builder
    minus_a, minus_b, minus_c = (isinstance(operand, Part) and operand.negated for operand in (a, b, c))
    minus_product = minus_a != minus_b
    if (minus_c and minus_product) or ("po" in form.optional and (minus_a or minus_b or minus_c)):
        raise e.unsupported("more than one of .po, a negated product and a negated third source")
    if isinstance(target, Part) or (isinstance(c, Part) and c.which):
        raise e.unsupported("a part of the destination or of the third source")
    is_signed = "s32" in form.required[1:] or minus_product or minus_c
    values = (_number(e, form, a, form.required[1]), _number(e, form, b, form.required[2]), _number(e, form, c, "u32"))
    x, y, third = e.alike(*values)
    product = build.mul(e.cast("sext", x, _I128), e.cast("sext", y, _I128))
    third = e.cast("trunc", third, I32)
    if minus_product:
        product = build.not_(product)
    if minus_c:
        third = build.not_(third)
    total = build.add(product, e.cast("sext" if is_signed else "zext", third, _I128))
    if minus_product or minus_c or "po" in form.optional:
        total = build.add(total, e.constant(total, 1))
    scale = next((int(name[3:]) for name in form.optional if name.startswith("shr")), 0)
    result = e.cast("trunc", build.ashr(total, e.constant(total, scale)), I64)
    if "sat" in form.optional and is_signed:
        result = _clamped(e, result, "s32", 32)
    elif "sat" in form.optional:
        result = e.intrinsic("llvm.umin", result, e.constant(result, (1 << 32) - 1))
    e.write(target, e.cast("trunc", result, I32), "b32")


def _number(e: Emitter, form: Form, operand: Operand, kind: str) -> Value:
    """The part that the operand names, extended by its type to 64 bits."""
    part = operand if isinstance(operand, Part) else None
    which = part.which if part is not None else ""
    if which not in _PARTS or (part is not None and part.negated and form.base != "vmad"):
        raise e.unsupported(f"operand {operand!r}")
    at, width = _PARTS[which]
    value = e.read(operand if part is None else part.register, "b32")
    raised = e.builder.shl(value, e.constant(value, 32 - width - at))
    shift, extend = (e.builder.ashr, "sext") if kind == "s32" else (e.builder.lshr, "zext")
    return e.cast(extend, shift(raised, e.constant(raised, 32 - width)), I64)


def _clamped(e: Emitter, value: Value, kind: str, width: int) -> Value:
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if kind == "s32" else (0, (1 << width) - 1)
    value = e.intrinsic("llvm.smin", value, e.constant(value, high))
    return e.intrinsic("llvm.smax", value, e.constant(value, low))


def _finish(e: Emitter, form: Form, target: Operand, result: Value, kind: str, c: Operand | None) -> None:
    """What is done to a result of type ``kind`` before it is written."""
    build = e.builder
    which = target.which if isinstance(target, Part) else ""
    second = next(iter(form.optional - {"sat"}), "")
    if which not in _PARTS or (isinstance(target, Part) and target.negated) or isinstance(c, Part):
        raise e.unsupported("this part of the destination or of the third source")
    if (which and second) or ((which or second) and c is None):
        raise e.unsupported("a part of the destination and a second operation need one third source each")
    at, width = _PARTS[which]
    spare = e.constant(result, 64 - _RESULT_BITS)
    result = build.ashr(build.shl(result, spare), spare)
    if "sat" in form.optional:
        result = _clamped(e, result, kind, width)
    word = e.cast("trunc", result, I32)
    if second and c is not None:
        word, third = e.alike(word, e.read(c, "b32"))
        sign = "s" if kind == "s32" else "u"
        word = build.add(word, third) if second == "add" else e.intrinsic(f"llvm.{sign}{second}", word, third)
    if which and c is not None:
        mask = (1 << width) - 1 << at
        word, third = e.alike(word, e.read(c, "b32"))
        kept = build.and_(third, e.constant(third, ~mask))
        word = build.or_(kept, build.and_(build.shl(word, e.constant(word, at)), e.constant(word, mask)))
    e.write(target.register if isinstance(target, Part) else target, word, "b32")
