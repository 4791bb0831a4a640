"""Extended-precision integer arithmetic: what passes through the carry flag.

The flag is one bit a lane and lives inside a basic block, where compilers keep it.
Source: PTX ISA, "Extended-Precision Integer Arithmetic Instructions". It calls the flag a borrow after ``sub.cc``; in
the machine code that ptxas makes, a - b is a + ~b + 1 and the flag its carry, set where nothing was borrowed. ``addc``
behind ``sub.cc`` shows it, and the division of 128-bit integers that comes with NVRTC counts on it.
"""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I1, Value, is_vector
from teachkit.emulator.isa.integer import mul_hi
from teachkit.emulator.isa.table import Form, instruction

TYPES = "u32|s32|b32|u64|s64|b64"


@instruction(f"add.cc.({TYPES})")
def add_cc(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _add(e, a, b, None, writes=True)


@instruction(f"addc[.cc].({TYPES})")
def addc(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _add(e, a, b, _flag(e, a), writes="cc" in form.optional)


@instruction(f"sub.cc.({TYPES})")
def sub_cc(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _sub(e, a, b, None, writes=True)


@instruction(f"subc[.cc].({TYPES})")
def subc(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return _sub(e, a, b, _flag(e, a), writes="cc" in form.optional)


@instruction("mad.(lo|hi).cc.(u32|s32|u64|s64)", reads=("T", "T", "T"))
def mad_cc(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return _add(e, _product(e, form, a, b), c, None, writes=True)


@instruction("madc.(lo|hi)[.cc].(u32|s32|u64|s64)", reads=("T", "T", "T"))
def madc(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    return _add(e, _product(e, form, a, b), c, _flag(e, a), writes="cc" in form.optional)


def _product(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return mul_hi(e, form, a, b) if form.required[0] == "hi" else e.builder.mul(a, b)


def _flag(e: Emitter, like_value: Value) -> Value:
    """The carry as a number of the operands' type."""
    if e.carry is None:
        raise e.unsupported("a carry from another basic block")
    width = (like_value.type.element if is_vector(like_value) else like_value.type).width
    return e.cast("zext", e.carry, ir.IntType(width))


def _add(e: Emitter, a: Value, b: Value, flag: Value | None, *, writes: bool) -> Value:
    build = e.builder
    total = build.add(a, b)
    carry = build.icmp_unsigned("<", total, a)
    if flag is not None:
        total, flag = e.alike(total, flag)
        with_flag = build.add(total, flag)
        carry = build.or_(*e.alike(carry, build.icmp_unsigned("<", with_flag, total)))
        total = with_flag
    return _done(e, total, carry, writes=writes)


def _sub(e: Emitter, a: Value, b: Value, flag: Value | None, *, writes: bool) -> Value:
    if flag is not None:
        return _add(e, a, e.builder.not_(b), flag, writes=writes)
    rest = e.builder.sub(a, b)
    return _done(e, rest, e.builder.icmp_unsigned(">=", a, b), writes=writes)


def _done(e: Emitter, result: Value, carry: Value, *, writes: bool) -> Value:
    if writes:
        if e.guard is not None:
            carry = e.select(e.guard, carry, I1(0) if e.carry is None else e.carry)
        e.carry = carry
    return result
