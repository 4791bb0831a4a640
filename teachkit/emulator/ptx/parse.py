"""PTX text to :class:`~teachkit.emulator.ptx.model.Module`.

Reads what Triton's LLVM, NVRTC and NVVM write. Not modelled: linkage other than ``.extern``, debug sections.
"""

from __future__ import annotations

import re

from teachkit.emulator.ptx.body import BodyParser
from teachkit.emulator.ptx.declarations import LINKAGE, SPACES, parse_file, parse_signature, parse_variables
from teachkit.emulator.ptx.lex import Cursor
from teachkit.emulator.ptx.model import Function, Module, Register, Variable

_FILE = re.compile(r'^\s*\.file\s+(\d+)\s+"([^"\n]*)"', re.MULTILINE)


def parse(text: str) -> Module:
    """Read one PTX file.

    Parameters
    ----------
    text : str
        PTX, with or without a NUL byte at its end.

    Returns
    -------
    Module
        Nested scopes flattened, ``.loc`` attached to the instructions that follow it.

    Raises
    ------
    PtxSyntaxError
        With the line and what was expected there.

    Source: PTX ISA, chapters "Syntax" and "Directives".
    """
    return _ModuleParser(text).parse()


class _ModuleParser:
    def __init__(self, text: str) -> None:
        self.cursor = Cursor(text)
        # .file stands behind the .loc that uses it, so the names are collected first.
        self.files = {int(number): path for number, path in _FILE.findall(text)}
        self.variables: dict[str, Variable] = {}
        self.functions: dict[str, Function] = {}
        self.aliases: dict[str, str] = {}
        self.version = self.target = ""
        self.address_size = 64
        self.interned: dict[str, Register] = {}

    def parse(self) -> Module:
        cursor = self.cursor
        while cursor.peek():
            self._statement()
        if not self.version:
            raise cursor.error(".version")
        return Module(
            self.version, self.target, self.address_size, self.variables, self.functions, self.files, self.aliases
        )

    def _statement(self) -> None:
        cursor = self.cursor
        is_extern = False
        while cursor.peek() in LINKAGE:
            is_extern |= cursor.next() == ".extern"
        directive = cursor.peek()
        if directive in (".entry", ".func"):
            cursor.next()
            self._function(is_entry=directive == ".entry")
        elif directive[1:] in SPACES:
            for variable in parse_variables(cursor, is_extern=is_extern):
                self.variables[variable.name] = variable
            cursor.expect(";")
        elif directive == ".section":
            cursor.next()
            cursor.next()
            cursor.skip_block()
        elif directive == ".file":
            cursor.next()
            parse_file(cursor, self.files)
        elif directive == ".alias":
            cursor.next()
            name = cursor.word("a function name")
            cursor.expect(",")
            self.aliases[name] = cursor.word("a function name")
            cursor.expect(";")
        elif directive == ".pragma":
            while not cursor.accept(";"):
                cursor.next()
        else:
            self._header()

    def _header(self) -> None:
        cursor = self.cursor
        if cursor.accept(".version"):
            self.version = cursor.next()
        elif cursor.accept(".target"):
            self.target = cursor.word("a target")
            while cursor.accept(","):
                self.target += ", " + cursor.word("a target option")
        elif cursor.accept(".address_size"):
            self.address_size = cursor.integer()
        else:
            raise cursor.error("a directive that may stand outside functions")

    def _function(self, *, is_entry: bool) -> None:
        cursor = self.cursor
        if cursor.peek() == ".attribute":
            while cursor.next() != ")":
                pass
        returns, name, params = parse_signature(cursor)
        directives = self._performance_directives()
        parser = BodyParser(cursor, self.files, self.interned)
        is_declaration = cursor.accept(";")
        if not is_declaration:
            parser.parse()
        elif name in self.functions:
            return
        self.functions[name] = Function(
            name=name,
            is_entry=is_entry,
            params=params,
            returns=returns,
            registers=parser.registers,
            variables=tuple(parser.variables),
            body=tuple(parser.body),
            directives=directives,
            branch_targets=parser.branch_targets,
            is_declaration=is_declaration,
            prototypes=parser.prototypes,
            call_targets=parser.call_targets,
        )

    def _performance_directives(self) -> dict[str, tuple[int, ...]]:
        cursor = self.cursor
        directives: dict[str, tuple[int, ...]] = {}
        while cursor.peek().startswith("."):
            name = cursor.next()[1:]
            values: list[int] = []
            if name == "pragma":
                while not cursor.accept(";"):
                    cursor.next()
                continue
            while cursor.peek()[:1].isdigit():
                values.append(cursor.integer())
                cursor.accept(",")
            directives[name] = tuple(values)
        return directives
