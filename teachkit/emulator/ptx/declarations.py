"""Variables, parameters and their initial values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from teachkit.emulator.ptx.expressions import begins, integer, number
from teachkit.emulator.ptx.lex import Cursor, constant, converted
from teachkit.emulator.ptx.model import Variable

TYPE_BYTES = (
    {f"{kind}{bits}": bits // 8 for kind in "bsu" for bits in (8, 16, 32, 64)}
    | {"f16": 2, "f16x2": 4, "bf16": 2, "bf16x2": 4, "f32": 4, "f64": 8, "b128": 16, "pred": 1}
    | {"texref": 8, "samplerref": 8, "surfref": 8}
)
SPACES = frozenset({"param", "shared", "local", "global", "const", "tex"})
_Item = TypeVar("_Item")
LINKAGE = frozenset({".visible", ".extern", ".weak", ".common"})


def type_bytes(type_name: str) -> int:
    """Size in bytes of ``f32`` or of a vector such as ``v4.f32``."""
    count, _, element = type_name.rpartition(".")
    return (int(count[1:]) if count else 1) * TYPE_BYTES[element]


def parse_variables(cursor: Cursor, *, is_extern: bool = False) -> list[Variable]:
    """The variables of one declaration, without its ``;`` (several names may share a type)."""
    variables = [parse_variable(cursor, is_extern=is_extern)]
    while cursor.peek() == "," and variables[0].space != "param":
        cursor.next()
        first = variables[0]
        variables.append(_named(cursor, first.space, first.type, first.align, is_extern=is_extern))
    return variables


def parse_variable(cursor: Cursor, *, is_extern: bool = False) -> Variable:
    """One ``.space .align N .type name[count] = value``, parameters included."""
    space = type_name = vector = ""
    align = 0
    is_pointer = False
    while cursor.peek().startswith("."):
        word = cursor.next()[1:]
        if word == "align":
            # What follows .ptr describes the memory that is pointed to.
            align = align if is_pointer else cursor.integer()
            if is_pointer:
                cursor.integer()
        elif word == "ptr":
            is_pointer = True
        elif word in SPACES:
            space = space or word
        elif word in ("v2", "v4"):
            vector = word + "."
        elif word in TYPE_BYTES:
            type_name = vector + word
        elif word == "attribute":
            while cursor.next() != ")":
                pass
        else:
            cursor.position -= 1
            raise cursor.error("a state space, a type or .align")
    if not type_name:
        raise cursor.error("a type")
    return _named(cursor, space, type_name, align or type_bytes(type_name), is_extern=is_extern, is_pointer=is_pointer)


def parse_signature(cursor: Cursor) -> tuple[tuple[Variable, ...], str, tuple[Variable, ...]]:
    """``(returns) name (params)``, where both lists may be absent."""
    returns: list[Variable] = []
    params: list[Variable] = []
    if cursor.accept("("):
        returns = separated(cursor, lambda: parse_variable(cursor), ")")
    name = cursor.word("a function name")
    if cursor.accept("("):
        params = separated(cursor, lambda: parse_variable(cursor), ")")
    return tuple(returns), name, tuple(params)


def parse_file(cursor: Cursor, files: dict[int, str]) -> None:
    """``N "path" [, time, size]``."""
    number = cursor.integer()
    files[number] = cursor.next().strip('"')
    while cursor.accept(","):
        cursor.integer()


def separated(cursor: Cursor, parse_one: Callable[[], _Item], closing: str) -> list[_Item]:
    """Items between commas up to ``closing``, which is stepped over."""
    items: list[_Item] = []
    while not cursor.accept(closing):
        items.append(parse_one())
        if not cursor.accept(","):
            cursor.expect(closing)
            break
    return items


def _named(
    cursor: Cursor, space: str, type_name: str, align: int, *, is_extern: bool, is_pointer: bool = False
) -> Variable:
    name = cursor.word("a name")
    element_bytes = type_bytes(type_name)
    n_bytes = element_bytes
    while cursor.accept("["):
        n_bytes *= 0 if cursor.peek() == "]" else cursor.integer()
        cursor.expect("]")
    initial: bytes | None = None
    relocations: tuple[tuple[int, str], ...] = ()
    if cursor.accept("="):
        scalar_bytes = TYPE_BYTES[type_name.rpartition(".")[2]]
        found: list[tuple[int, str]] = []
        data = bytearray()
        _initial_value(cursor, type_name, scalar_bytes, data, found)
        n_bytes = n_bytes or len(data)
        initial = bytes(data) + bytes(n_bytes - len(data))
        relocations = tuple(found)
    return Variable(name, space, type_name, n_bytes, align, is_extern, initial, relocations, is_pointer)


def _initial_value(
    cursor: Cursor, type_name: str, scalar_bytes: int, data: bytearray, relocations: list[tuple[int, str]]
) -> None:
    if cursor.accept("{"):
        while not cursor.accept("}"):
            _initial_value(cursor, type_name, scalar_bytes, data, relocations)
            cursor.accept(",")
        return
    token = cursor.peek()
    if token[0].isdigit() and cursor.tokens[cursor.position + 1] == "(":
        # 0xFF00(symbol): one byte of an address inside packed data; the first byte stands for all eight.
        mask = constant(cursor.next())
        cursor.expect("(")
        symbol, addend = _symbol(cursor)
        cursor.expect(")")
        shift = 0 if mask is None else max(mask.value.bit_length() - 8, 0)
        if shift == 0:
            relocations.append((len(data), symbol))
        data += (addend >> shift & 0xFF).to_bytes(1, "little")
    elif begins(token):
        data += _number(cursor, type_name, scalar_bytes)
    else:
        offset = len(data)
        symbol, addend = _symbol(cursor)
        relocations.append((offset, symbol))
        data += (addend % (1 << 8 * scalar_bytes)).to_bytes(scalar_bytes, "little")


def _number(cursor: Cursor, type_name: str, scalar_bytes: int) -> bytes:
    scalar = type_name.rpartition(".")[2]
    is_float = scalar in ("f32", "f64")
    start = cursor.position
    value = number(cursor, "f32" if scalar_bytes == 4 else "f64")
    if value.kind != "int" and not is_float and scalar not in ("b32", "b64"):
        cursor.position = start
        raise cursor.error(f"an integer for .{scalar}")
    if value.kind == "int" and is_float:
        cursor.position = start
        raise cursor.error(f"a floating-point number for .{scalar}")
    if scalar == "f32":
        value = converted(value, "f32")
    return (value.value % (1 << 8 * scalar_bytes)).to_bytes(scalar_bytes, "little")


def _symbol(cursor: Cursor) -> tuple[str, int]:
    """``name``, ``generic(name)`` or ``generic(name)+8``: the name and the addend."""
    name = cursor.word("a number or a symbol")
    if name == "generic" and cursor.accept("("):
        name = cursor.word("a symbol")
        cursor.expect(")")
    return name, integer(cursor) if cursor.peek() in ("+", "-") else 0
