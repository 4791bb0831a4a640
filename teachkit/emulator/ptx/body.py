"""The body of a function: statements and operands, nested scopes flattened."""

from __future__ import annotations

import dataclasses
import re

from teachkit.emulator.ptx.declarations import (
    SPACES,
    TYPE_BYTES,
    parse_file,
    parse_signature,
    parse_variables,
    separated,
)
from teachkit.emulator.ptx.expressions import begins, integer, number
from teachkit.emulator.ptx.lex import Cursor
from teachkit.emulator.ptx.model import (
    Address,
    Group,
    Guard,
    Immediate,
    Instruction,
    Label,
    Negated,
    Operand,
    Part,
    PredicatePair,
    Prototype,
    Register,
    SourceLine,
    Symbol,
    Variable,
)

_INLINED = re.compile(r"@\[ (.+?):(\d+):(\d+)")
# Headers that come with a compiler. What they inline is shown where the program calls it.
_LIBRARY = re.compile(r"/nvidia/\w+/include/|/cuda(?:-[\d.]+)?/(?:targets/[\w-]+/)?include/|/__nv_\w+\.h$")
_PART = re.compile(r"(.+)\.(b[0-7]{1,4}|h[0-3]{1,2})")


class BodyParser:
    """Reads one body; afterwards the attributes hold what a :class:`Function` holds."""

    def __init__(self, cursor: Cursor, files: dict[int, str], registers_seen: dict[str, Register]) -> None:
        self.cursor = cursor
        self.files = files
        self.interned = registers_seen
        self.registers: dict[str, str] = {}
        self.variables: list[Variable] = []
        self.body: list[Label | Instruction] = []
        self.branch_targets: dict[str, tuple[str, ...]] = {}
        self.call_targets: dict[str, tuple[str, ...]] = {}
        self.prototypes: dict[str, Prototype] = {}
        self._scopes: list[dict[str, str]] = [{}]  # name as written -> unique name, innermost last
        self._labels: list[dict[str, str]] = [{}]
        self._n_scopes = 0
        self._source: SourceLine | None = None
        self._source_at: dict[tuple[str, int, int], SourceLine] = {}

    def parse(self) -> None:
        """Read ``{ ... }``."""
        self.cursor.expect("{")
        self._statements()
        referred = {
            operand.name
            for item in self.body
            if type(item) is Instruction
            for operand in item.operands
            if type(operand) is Symbol
        }
        referred.update(label for targets in self.branch_targets.values() for label in targets)
        self.body = [item for item in self.body if isinstance(item, Instruction) or item.name in referred]

    def _statements(self) -> None:
        cursor = self.cursor
        while True:
            token = cursor.peek()
            if token == "}":
                cursor.next()
                return
            if token == "{":
                cursor.next()
                self._nested_scope()
            elif token == ";":
                cursor.next()
            elif token.startswith("."):
                self._directive(token)
            elif cursor.tokens[cursor.position + 1] == ":" and token != "@":
                self._label()
            else:
                self._instruction()

    def _nested_scope(self) -> None:
        self._n_scopes += 1
        self._scopes.append({})
        self._labels.append({})
        start = len(self.body)
        self._statements()
        self._scopes.pop()
        # A branch may name a label before its definition, so labels are renamed when their scope is complete.
        if names := self._labels.pop():
            self.body[start:] = [_rename_labels(item, names) for item in self.body[start:]]
            self.branch_targets = {
                name: tuple(names.get(label, label) for label in targets)
                for name, targets in self.branch_targets.items()
            }

    def _unique(self, name: str) -> str:
        """A name for the whole function; what a nested scope declares gets the scope's number."""
        if len(self._scopes) == 1:
            return name
        suffix = self._n_scopes
        while f"{name}${suffix}" in self.cursor.vocabulary:
            suffix += 1
        self.cursor.vocabulary.add(f"{name}${suffix}")
        return f"{name}${suffix}"

    def _declare(self, name: str) -> str:
        unique = self._scopes[-1][name] = self._unique(name)
        return unique

    def _resolve(self, name: str) -> str | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def _directive(self, token: str) -> None:
        cursor = self.cursor
        if token == ".loc":
            cursor.next()
            self._location()
            return
        if token == ".reg":
            cursor.next()
            self._registers()
        elif token[1:] in SPACES:
            for variable in parse_variables(cursor):
                self.variables.append(dataclasses.replace(variable, name=self._declare(variable.name)))
        elif token == ".pragma":
            while cursor.peek() != ";":
                cursor.next()
        elif token == ".file":
            cursor.next()
            parse_file(cursor, self.files)
            return
        elif token == ".section":
            cursor.next()
            cursor.next()
            cursor.skip_block()
            return
        else:
            raise cursor.error("a directive that may stand in a function")
        cursor.expect(";")

    def _registers(self) -> None:
        cursor = self.cursor
        type_name = ""
        while cursor.peek().startswith("."):
            word = cursor.next()[1:]
            if word not in TYPE_BYTES and word not in ("v2", "v4"):
                cursor.position -= 1
                raise cursor.error("a register type")
            type_name = f"{type_name}.{word}" if type_name else word
        while True:
            name = cursor.word("a register name")
            if cursor.accept("<"):
                count = cursor.integer()
                cursor.expect(">")
                names = [f"{name}{i}" for i in range(count)]
            else:
                names = [name]
            for each in names:
                self.registers[self._declare(each)] = type_name
            if not cursor.accept(","):
                return

    def _location(self) -> None:
        cursor = self.cursor
        line_of_text = cursor.line
        file, line, column = self._position()
        inlined_at: SourceLine | None = None
        while cursor.accept(","):
            if cursor.accept("function_name"):
                cursor.word("a label")
                if cursor.peek() == "+":
                    cursor.integer()
            else:
                cursor.expect("inlined_at")
                at = self._position()
                inlined_at = self._source_at.get(at) or SourceLine(*at)
        comment = cursor.inlining.get(line_of_text)
        if inlined_at is None and comment is not None:
            for name, at_line, at_column in reversed(_INLINED.findall(comment)):
                inlined_at = SourceLine(self._full_path(name), int(at_line), int(at_column), inlined_at)
        self._source = _in_program(SourceLine(file, line, column, inlined_at))
        self._source_at[file, line, column] = self._source

    def _position(self) -> tuple[str, int, int]:
        cursor = self.cursor
        number, line, column = cursor.integer(), cursor.integer(), cursor.integer()
        return self.files.setdefault(number, f"file {number}"), line, column

    def _full_path(self, name: str) -> str:
        matches = (path for path in self.files.values() if path == name or path.endswith("/" + name))
        return next(matches, name)

    def _label(self) -> None:
        cursor = self.cursor
        name = cursor.word("a label")
        cursor.expect(":")
        directive = cursor.peek()
        if directive in (".branchtargets", ".calltargets"):
            cursor.next()
            lists = self.branch_targets if directive == ".branchtargets" else self.call_targets
            lists[self._declare(name)] = tuple(separated(cursor, lambda: cursor.word("a name"), ";"))
        elif directive == ".callprototype":
            cursor.next()
            returns, _, params = parse_signature(cursor)
            if cursor.peek().startswith("."):  # .noreturn
                cursor.next()
            self.prototypes[self._declare(name)] = Prototype(params, returns)
            cursor.expect(";")
        else:
            unique = self._labels[-1][name] = self._unique(name)
            self.body.append(Label(unique))

    def _instruction(self) -> None:
        cursor = self.cursor
        line = cursor.line
        guard: Guard | None = None
        if cursor.accept("@"):
            negated = cursor.accept("!")
            guard = Guard(self._register(cursor.word("a predicate")), negated)
        opcode = cursor.word("an instruction")
        float_type = "f32" if opcode.endswith(".f32") else "f64"
        is_call = opcode.startswith("call")
        operands: list[Operand] = []
        if not cursor.accept(";"):
            while True:
                operands.append(self._operand(float_type, is_call=is_call))
                if cursor.accept(";"):
                    break
                cursor.expect(",")
        self.body.append(Instruction(opcode, tuple(operands), guard, line, self._source))

    def _register(self, name: str) -> Register:
        unique = self._resolve(name) or name
        register = self.interned.get(unique)
        if register is None:
            register = self.interned[unique] = Register(unique)
        return register

    def _operand(self, float_type: str, *, is_call: bool = False) -> Operand:
        cursor = self.cursor
        token = cursor.next()
        part = self._part(token)
        if part is not None:
            return part
        if token[0] == "%":
            return self._pair(self._register(token))
        if token == "[":
            return self._address()
        if token == "{" or (token == "(" and is_call):
            closing = "}" if token == "{" else ")"
            return Group(tuple(separated(cursor, lambda: self._operand(float_type), closing)), token)
        if token == "!" and not begins(cursor.peek()):
            return Negated(self._register(cursor.word("a predicate")))
        if token in "-+":
            part = self._part(cursor.peek())
            if token == "-" and (part is not None or self._resolve(cursor.peek()) in self.registers):
                name = cursor.next()
                return dataclasses.replace(part or Part(self._register(name)), negated=True)
        cursor.position -= 1
        if begins(token):
            return number(cursor, float_type)
        name = cursor.word("an operand")
        unique = self._resolve(name) or name
        if unique in self.registers or name == "_":
            return self._pair(self._register(name))
        if cursor.peek() in ("+", "-"):
            return Address(Symbol(unique), integer(cursor))
        return Symbol(unique)

    def _part(self, token: str) -> Part | None:
        """The bytes or halves of a register that ``token`` names, None where it names something else."""
        found = _PART.fullmatch(token) if "." in token else None
        if found is None or self._resolve(found[1]) not in self.registers:
            return None
        return Part(self._register(found[1]), found[2])

    def _pair(self, first: Register) -> Operand:
        if self.cursor.accept("|"):
            return PredicatePair(first, self._register(self.cursor.word("a predicate")))
        return first

    def _address(self) -> Operand:
        cursor = self.cursor
        base = self._operand("f64")
        if type(base) is not Register and not isinstance(base, (Immediate, Symbol, Address)):
            raise cursor.error("a register, a symbol or a number as the address")
        address = base if isinstance(base, Address) else Address(base)
        if cursor.peek() in ("+", "-"):
            address = Address(address.base, address.offset + integer(cursor))
        if cursor.accept("]"):
            return address
        cursor.expect(",")
        return Group((address, *separated(cursor, lambda: self._operand("f64"), "]")), "[")


def _in_program(source: SourceLine) -> SourceLine:
    """The innermost place that is in no library's header; where there is none, the innermost."""
    place: SourceLine | None = source
    while place is not None and _LIBRARY.search(place.file):
        place = place.inlined_at
    return place or source


def _rename_labels(item: Label | Instruction, names: dict[str, str]) -> Label | Instruction:
    if isinstance(item, Label):
        return item
    operands = tuple(
        Symbol(names[operand.name]) if isinstance(operand, Symbol) and operand.name in names else operand
        for operand in item.operands
    )
    return dataclasses.replace(item, operands=operands)
