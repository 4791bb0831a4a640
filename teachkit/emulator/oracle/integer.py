"""Integer arithmetic, logic and shifts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.table import Form, Lanes, Operation, Step, counting, instruction
from teachkit.emulator.oracle.values import UINT, Array, is_signed, width
from teachkit.emulator.ptx.model import Instruction

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

INTEGERS = ("u16", "u32", "u64", "s16", "s32", "s64")
_BITS = ("b16", "b32", "b64")


@instruction("add", "sub")
def add_sub(form: Form) -> Operation:
    is_carrying = form.flag("cc")
    saturates = form.flag("sat")
    kind = form.one("s32") if saturates else form.one(*INTEGERS)
    sign = 1 if form.base == "add" else -1
    if is_carrying:
        # Subtraction adds the complement and one, and the carry of that is the flag.
        top = (1 << width(kind)) - 1
        if sign < 0:
            return _with_carry(kind, lambda a, b, carry: a + (top - b) + 1, writes=True)
        return _with_carry(kind, lambda a, b, carry: a + b, writes=True)
    if saturates:
        return Lanes(
            kind,
            (kind, kind),
            lambda a, b: _clamp(a.astype(np.int64) + sign * b.astype(np.int64), kind),
            counting(kind),
        )
    compute = np.add if sign == 1 else np.subtract
    return Lanes(kind, (kind, kind), compute, counting(kind))


@instruction("addc", "subc")
def add_sub_with_carry(form: Form) -> Operation:
    writes = form.flag("cc")
    kind = form.one("u32", "s32", "u64", "s64")
    if form.base == "addc":
        return _with_carry(kind, lambda a, b, carry: a + b + carry, writes=writes)
    top = (1 << width(kind)) - 1
    return _with_carry(kind, lambda a, b, carry: a + (top - b) + carry, writes=writes)


@instruction("mul")
def multiply(form: Form) -> Operation:
    part = form.one("lo", "hi", "wide")
    kind = form.one(*INTEGERS)
    return Lanes(_product_type(kind, part), (kind, kind), _product(part, kind), counting(kind))


@instruction("mad")
def multiply_add(form: Form) -> Operation:
    part = form.one("lo", "hi", "wide")
    writes, saturates = form.flag("cc"), form.flag("sat")
    kind = form.one(*INTEGERS)
    product, result = _product(part, kind), _product_type(kind, part)
    if writes:
        return _with_carry(kind, _python_product_add(part, kind, takes_carry=False), writes=True, counts=2)
    if saturates:
        return Lanes(
            kind,
            (kind, kind, kind),
            lambda a, b, c: _clamp(product(a, b).astype(np.int64) + c, kind),
            counting(kind, 2),
        )
    return Lanes(result, (kind, kind, result), lambda a, b, c: product(a, b) + c, counting(kind, 2))


@instruction("madc")
def multiply_add_with_carry(form: Form) -> Operation:
    part = form.one("lo", "hi")
    writes = form.flag("cc")
    kind = form.one("u32", "s32", "u64", "s64")
    return _with_carry(kind, _python_product_add(part, kind, takes_carry=True), writes=writes, counts=2)


@instruction("mul24", "mad24")
def multiply_24(form: Form) -> Operation:
    part = form.one("lo", "hi")
    saturates = form.flag("sat")
    kind = form.one("s32") if saturates else form.one("u32", "s32")
    wide = np.int64 if is_signed(kind) else np.uint64
    shift = 0 if part == "lo" else 16

    def low_24(a: Array) -> Array:
        return np.asarray((a << a.dtype.type(8)) >> a.dtype.type(8))

    def product(a: Array, b: Array) -> Array:
        return ((low_24(a).astype(wide) * low_24(b).astype(wide)) >> wide(shift)).astype(a.dtype)

    if form.base == "mul24":
        return Lanes(kind, (kind, kind), product, counting(kind))
    if saturates:
        return Lanes(
            kind, (kind,) * 3, lambda a, b, c: _clamp(product(a, b).astype(np.int64) + c, kind), counting(kind, 2)
        )
    return Lanes(kind, (kind, kind, kind), lambda a, b, c: product(a, b) + c, counting(kind, 2))


@instruction("div", "rem")
def divide(form: Form) -> Operation:
    kind = form.one(*INTEGERS)
    compute = _quotient if form.base == "div" else _remainder
    return Lanes(kind, (kind, kind), compute, counting(kind))


@instruction("neg", "abs")
def negate(form: Form) -> Operation:
    kind = form.one("s16", "s32", "s64")
    return Lanes(kind, (kind,), np.negative if form.base == "neg" else np.abs, counting(kind))


@instruction("min", "max")
def extremes(form: Form) -> Operation:
    kind = form.one(*INTEGERS)
    relu = form.flag("relu")
    choose = np.minimum if form.base == "min" else np.maximum

    def compute(a: Array, b: Array) -> Array:
        chosen = choose(a, b)
        return np.maximum(chosen, 0).astype(chosen.dtype) if relu else chosen

    return Lanes(kind, (kind, kind), compute, counting(kind))


@instruction("sad")
def sum_of_absolute_differences(form: Form) -> Operation:
    kind = form.one(*INTEGERS)
    return Lanes(kind, (kind, kind, kind), lambda a, b, c: c + (np.maximum(a, b) - np.minimum(a, b)), counting(kind))


@instruction("and", "or", "xor")
def logic(form: Form) -> Operation:
    kind = form.one(*_BITS, "pred")
    compute = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[form.base]
    return Lanes(kind, (kind, kind), compute, counting(kind))


@instruction("not", "cnot")
def invert(form: Form) -> Operation:
    kind = form.one(*_BITS, "pred")
    if form.base == "cnot":
        return Lanes(kind, (kind,), lambda a: a == 0, counting(kind))
    return Lanes(kind, (kind,), np.invert, counting(kind))


@instruction("shl", "shr")
def shift(form: Form) -> Operation:
    """Amounts are unsigned and clamp at the width."""
    kind = form.one(*_BITS) if form.base == "shl" else form.one(*_BITS, *INTEGERS)
    bits = width(kind)

    def compute(a: Array, amount: Array) -> Array:
        within = np.minimum(amount, bits - 1).astype(a.dtype)
        if form.base == "shl":
            return np.where(amount >= bits, 0, a << within)
        return a >> within if is_signed(kind) else np.where(amount >= bits, 0, a >> within)

    return Lanes(kind, (kind, "u32"), compute, counting(kind))


@instruction("shf")
def funnel_shift(form: Form) -> Operation:
    direction, limit = form.one("l", "r"), form.one("wrap", "clamp")
    form.one("b32")

    def compute(low: Array, high: Array, amount: Array) -> Array:
        n = (amount & np.uint32(31) if limit == "wrap" else np.minimum(amount, 32)).astype(np.uint64)
        both = (high.astype(np.uint64) << np.uint64(32)) | low
        moved = (both << n) >> np.uint64(32) if direction == "l" else both >> n
        return (moved & np.uint64(0xFFFFFFFF)).astype(np.uint32)

    return Lanes("b32", ("b32", "b32", "u32"), compute, counting("b32"))


def _with_carry(kind: str, operation: Callable[..., Array], *, writes: bool, counts: int = 1) -> Step:
    """An operation on Python integers that reads, and may set, the carry of the lane."""
    unsigned = f"u{width(kind)}"

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        sources = [machine.read(operand, unsigned).astype(object) for operand in item.operands[1:]]
        total = np.broadcast_to(operation(*sources, machine.carry.astype(object)), mask.shape)
        limit = 1 << width(kind)
        machine.write(item.operands[0], np.array([value % limit for value in total], UINT[width(kind)]), unsigned, mask)
        if writes:
            machine.carry[mask] = np.array([not 0 <= value < limit for value in total])[mask]

    return Step(run, counting(kind, counts))


def _python_product_add(part: str, kind: str, *, takes_carry: bool) -> Callable[..., Array]:
    bits = width(kind)

    def signed(a: Array) -> Array:
        return np.where(a >= 1 << (bits - 1), a - (1 << bits), a) if is_signed(kind) else a

    def compute(a: Array, b: Array, c: Array, carry: Array) -> Array:
        product = signed(a) * signed(b)
        piece = (product >> bits if part == "hi" else product) & ((1 << bits) - 1)
        return piece + c + (carry if takes_carry else 0)

    return compute


def _product_type(kind: str, part: str) -> str:
    return f"{kind[0]}{2 * width(kind)}" if part == "wide" else kind


def _product(part: str, kind: str) -> Callable[[Array, Array], Array]:
    bits = width(kind)

    def low(a: Array, b: Array) -> Array:
        return a * b

    def whole(a: Array, b: Array) -> Array:
        wide = np.dtype(f"{a.dtype.kind}{2 * bits // 8}")
        return np.multiply(a, b, dtype=wide)

    def high(a: Array, b: Array) -> Array:
        if bits < 64:
            product = whole(a, b)
            return np.right_shift(product, bits).astype(a.dtype)
        product = a.astype(object) * b.astype(object)
        return np.array([int(value) >> bits for value in np.atleast_1d(product)], a.dtype)

    return {"lo": low, "wide": whole, "hi": high}[part]


def _quotient(a: Array, b: Array) -> Array:
    """Rounded towards zero; all ones for a zero divisor, as the hardware's division routine gives."""
    floor = a // np.where(b == 0, 1, b).astype(b.dtype)
    is_negative_inexact = (floor * b != a) & ((a < 0) != (b < 0))
    return np.where(b == 0, ~np.zeros_like(a), floor + is_negative_inexact)


def _remainder(a: Array, b: Array) -> Array:
    return np.where(b == 0, a, a - _quotient(a, b) * b)


def _clamp(wide: Array, kind: str) -> Array:
    limits = np.iinfo(np.dtype(f"{'i' if is_signed(kind) else 'u'}{width(kind) // 8}"))
    return np.clip(wide, limits.min, limits.max).astype(limits.dtype)
