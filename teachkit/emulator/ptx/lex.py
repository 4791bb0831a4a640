"""PTX text to tokens: one regular expression and a cursor over what it found."""

from __future__ import annotations

import functools
import math
import re
import struct

from teachkit.emulator.ptx.model import Immediate
from teachkit.errors import PtxSyntaxError

_TOKEN = re.compile(
    r"""
      \n
    | //[^\n]*
    | /\*.*?\*/
    | "[^"\n]*"
    | 0[fF][0-9a-fA-F]{8}(?![0-9a-fA-F])
    | 0[dD][0-9a-fA-F]{16}(?![0-9a-fA-F])
    | 0[xX][0-9a-fA-F]+U?
    | 0[bB][01]+U?
    | (?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)? | \d+[eE][+-]?\d+
    | \d+U?
    | \.[A-Za-z_][\w$]*
    | [A-Za-z_$%][\w$]*(?:(?:\.|::)\w+)*
    | [^\s\0]
    """,
    re.VERBOSE | re.DOTALL,
)


def tokenize(text: str) -> tuple[list[str], list[int], dict[int, str]]:
    """Tokens, the line of each (from 1), and by line the comments that say where code was inlined.

    Triton writes the inlining chain of a ``.loc`` only in its comment: ``// b.py:2:3 @[ a.py:9:4 ]``.
    """
    tokens: list[str] = []
    lines: list[int] = []
    inlining: dict[int, str] = {}
    line = 1
    for token in _TOKEN.findall(text):
        if token == "\n":
            line += 1
        elif token.startswith("//"):
            if "@[" in token:
                inlining[line] = token
        elif token.startswith("/*"):
            line += token.count("\n")
        else:
            tokens.append(token)
            lines.append(line)
    return tokens, lines, inlining


class Cursor:
    """A position in the tokens of one PTX text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens, self.lines, self.inlining = tokenize(text)
        # Empty tokens at the end save every look-ahead a bounds check.
        self.tokens += ["", ""]
        self.lines += [self.lines[-1] if self.lines else 1] * 2
        self.position = 0

    @functools.cached_property
    def vocabulary(self) -> set[str]:
        """Every token of the text, and every name made up while parsing it."""
        return set(self.tokens)

    @property
    def line(self) -> int:
        """Line of the next token, from 1."""
        return self.lines[self.position]

    def peek(self) -> str:
        """The next token; empty at the end of the text."""
        return self.tokens[self.position]

    def next(self) -> str:
        """Step over the next token and return it."""
        token = self.tokens[self.position]
        if not token:
            raise self.error("more text")
        self.position += 1
        return token

    def accept(self, token: str) -> bool:
        """Step over ``token`` if it is the next one."""
        if self.tokens[self.position] == token:
            self.position += 1
            return True
        return False

    def expect(self, token: str) -> None:
        """Step over ``token``, which must be the next one."""
        if not self.accept(token):
            raise self.error(repr(token))

    def error(self, expected: str) -> PtxSyntaxError:
        """The error that the next token is not what was ``expected``."""
        line = self.line
        if not self.peek():
            return PtxSyntaxError(line=line, text="the end of the text", expected=expected)
        return PtxSyntaxError(line=line, text=self.text.split("\n")[line - 1].strip(), expected=expected)

    def word(self, what: str) -> str:
        """The next token, which must be a name."""
        token = self.peek()
        if not token or not (token[0].isalpha() or token[0] in "_$%"):
            raise self.error(what)
        self.position += 1
        return token

    def integer(self) -> int:
        """An integer constant with any number of signs."""
        sign = 1
        while self.peek() in ("-", "+"):
            sign = -sign if self.next() == "-" else sign
        value = constant(self.peek())
        if value is None or value.kind != "int":
            raise self.error("an integer")
        self.position += 1
        return sign * value.value

    def skip_block(self) -> None:
        """Step over ``{ ... }`` with everything nested in it."""
        self.expect("{")
        depth = 1
        while depth:
            token = self.next()
            depth += (token == "{") - (token == "}")


def constant(token: str, float_type: str = "f64") -> Immediate | None:
    """The unsigned constant that ``token`` spells, or None; a decimal fraction becomes ``float_type``."""
    if not token or not (token[0].isdigit() or (token[0] == "." and token[1:2].isdigit())):
        return None
    prefix = token[:2].lower()
    if prefix == "0f":
        return Immediate(int(token[2:], 16), "f32")
    if prefix == "0d":
        return Immediate(int(token[2:], 16), "f64")
    if prefix in ("0x", "0b"):
        return Immediate(int(token.rstrip("U"), 0))
    if "." in token or "e" in token.lower():
        return converted(Immediate(int.from_bytes(struct.pack("<d", float(token)), "little"), "f64"), float_type)
    digits = token.rstrip("U")
    is_octal = len(digits) > 1 and digits[0] == "0"
    return Immediate(int(digits, 8 if is_octal else 10))


def converted(number: Immediate, float_type: str) -> Immediate:
    """A floating constant as one of ``float_type``, rounded to nearest; too large is infinite."""
    if number.kind == float_type:
        return number
    source, target = ("<f", "<d") if float_type == "f64" else ("<d", "<f")
    (value,) = struct.unpack(source, number.value.to_bytes(struct.calcsize(source), "little"))
    try:
        octets = struct.pack(target, value)
    except OverflowError:
        octets = struct.pack(target, math.copysign(math.inf, value))
    return Immediate(int.from_bytes(octets, "little"), float_type)
