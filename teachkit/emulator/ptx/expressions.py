"""Constant expressions, such as ``(1 << 3) + 2``: PTX ISA section 4.5, and where that is silent what ptxas does.

Compilers write plain numbers. People write expressions, in inline assembly.
"""

from __future__ import annotations

import dataclasses
import operator
import struct
from collections.abc import Callable

from teachkit.emulator.ptx.lex import Cursor, constant, converted
from teachkit.emulator.ptx.model import Immediate

_WARP_SIZE = 32
_FIRST = frozenset(["+", "-", "~", "!", "(", "WARP_SZ"])
_ENDS = frozenset([",", ";", "]", "}", ")", ""])
# From loosest to tightest; an operator of two characters stands as two tokens.
_LEVELS = ("||", "&&", "|", "^", "&", "== !=", "< > <= >=", "<< >>", "+ -", "* / %")
_LEVEL = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs.split()}
_COMPARE: dict[str, Callable[..., bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[..., float]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_BITWISE: dict[str, Callable[[int, int], int]] = {"&": operator.and_, "|": operator.or_, "^": operator.xor}


@dataclasses.dataclass(frozen=True, slots=True)
class _Number:
    """A value of ``kind`` s64, u64 or f64."""

    value: int | float
    kind: str

    def as_unsigned(self) -> int:
        return int(self.value) % (1 << 64)


def _integer(value: int, kind: str) -> _Number:
    """With 64 bits, what does not fit wrapped."""
    value %= 1 << 64
    return _Number(value - (1 << 64) if kind == "s64" and value >> 63 else value, kind)


def begins(token: str) -> bool:
    """Whether ``token`` may be the first of an expression."""
    return token in _FIRST or constant(token) is not None


def integer(cursor: Cursor) -> int:
    """The value of an expression of integers, in 64 bits.

    Raises
    ------
    PtxSyntaxError
        At anything else, types that do not match and divisions by zero.
    """
    start = cursor.position
    value = number(cursor, "f64")
    if value.kind != "int":
        cursor.position = start
        raise cursor.error("an integer")
    return value.value


def number(cursor: Cursor, float_type: str) -> Immediate:
    """The value of an expression; one of decimal fractions becomes ``float_type``, f32 or f64.

    Raises
    ------
    PtxSyntaxError
        As of :func:`integer`.
    """
    tokens, position = cursor.tokens, cursor.position
    alone = constant(tokens[position], float_type)
    if alone is not None and tokens[position + 1] in _ENDS:  # nearly always
        cursor.position += 1
        return alone
    result = _choice(cursor)
    if result.kind != "f64":
        return Immediate(int(result.value))
    (bits,) = struct.unpack("<Q", struct.pack("<d", result.value))
    return converted(Immediate(bits, "f64"), float_type)


def _choice(cursor: Cursor) -> _Number:
    """``condition ? value : value``."""
    start = cursor.position
    condition = _binary(cursor, 0)
    if not cursor.accept("?"):
        return condition
    first = _choice(cursor)
    cursor.expect(":")
    second = _choice(cursor)
    if "f64" in (condition.kind, first.kind, second.kind):
        cursor.position = start
        raise cursor.error("integers around ?:")
    return first if condition.value else second


def _binary(cursor: Cursor, level: int) -> _Number:
    left = _unary(cursor)
    while True:
        sign = _operator(cursor)
        if not sign or _LEVEL[sign] < level:
            return left
        start = cursor.position
        cursor.position += len(sign)
        right = _binary(cursor, _LEVEL[sign] + 1)
        result = _apply(sign, left, right)
        if isinstance(result, str):
            cursor.position = start
            raise cursor.error(result)
        left = result


def _operator(cursor: Cursor) -> str:
    first = cursor.peek()
    pair = first + cursor.tokens[cursor.position + 1] if first else ""
    if pair in _LEVEL:
        return pair
    return first if first in _LEVEL else ""


def _unary(cursor: Cursor) -> _Number:
    token = cursor.peek()
    if token in ("-", "+", "~", "!"):
        start = cursor.position
        cursor.next()
        operand = _unary(cursor)
        if operand.kind == "f64":
            if token in "~!":
                cursor.position = start
                raise cursor.error(f"an integer behind {token}")
            return operand if token == "+" else _Number(-operand.value, "f64")
        if token == "!":
            return _Number(int(not operand.value), "s64")
        if token == "~":
            return _integer(~int(operand.value), "u64")
        return operand if token == "+" else _integer(-int(operand.value), operand.kind)
    if cursor.accept("("):
        kind = cursor.peek()[1:]
        if kind in ("s64", "u64") and cursor.accept(f".{kind}"):
            cursor.expect(")")
            start = cursor.position
            operand = _unary(cursor)
            if operand.kind == "f64":
                cursor.position = start
                raise cursor.error(f"an integer to take as .{kind}")
            return _integer(int(operand.value), kind)
        inner = _choice(cursor)
        cursor.expect(")")
        return inner
    if cursor.accept("WARP_SZ"):
        return _Number(_WARP_SIZE, "s64")
    found = constant(token)
    if found is None or found.kind == "f32":  # the bits of a float32, which stand alone
        raise cursor.error("a number" if found is None else "a number in decimal digits, as 0f stands alone")
    cursor.position += 1
    if found.kind == "f64":
        return _Number(struct.unpack("<d", struct.pack("<Q", found.value))[0], "f64")
    return _integer(found.value, "u64" if token.endswith("U") or found.value >> 63 else "s64")


def _apply(sign: str, left: _Number, right: _Number) -> _Number | str:
    """What ``sign`` makes of both; what it expected, where it makes nothing of them."""
    if (left.kind == "f64") != (right.kind == "f64"):
        return f"two integers or two decimal fractions around {sign}"
    is_float = left.kind == "f64"
    kind = "f64" if is_float else "u64" if "u64" in (left.kind, right.kind) else "s64"
    if sign in ("/", "%") and not right.value:
        return "a divisor that is not zero"
    if is_float and sign not in (*_COMPARE, *_ARITHMETIC, "/"):
        return f"integers around {sign}"
    a, b = left.value, right.value
    if kind == "u64" or sign == "%":
        a, b = left.as_unsigned(), right.as_unsigned()
    if sign in _COMPARE:
        return _Number(int(_COMPARE[sign](a, b)), "s64")
    if is_float:
        return _Number(a / b if sign == "/" else _ARITHMETIC[sign](a, b), "f64")
    a, b = int(a), int(b)
    if sign in _ARITHMETIC:
        return _integer(int(_ARITHMETIC[sign](a, b)), kind)
    if sign == "/":
        return _integer(abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1), kind)
    if sign == "%":
        return _integer(a % b, "u64")
    if sign in ("<<", ">>"):
        amount = right.as_unsigned() % 64
        own = int(left.value)
        return _integer(own << amount if sign == "<<" else own >> amount, left.kind)
    if sign in _BITWISE:
        return _integer(_BITWISE[sign](a, b), kind)
    return _Number(int((a and b) != 0 if sign == "&&" else (a or b) != 0), "s64")
