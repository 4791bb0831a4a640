"""Modules, the functions in them, and the blocks of these: lists of lines, joined when all are there."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from teachkit.emulator.engine.ir.types import PointerType, Type
from teachkit.emulator.engine.ir.values import Value


class Module:
    """``globals`` are its functions by name, in the order in which they are written."""

    def __init__(self) -> None:
        self.globals: dict[str, Function] = {}
        self._metadata: dict[str, int] = {}

    def metadata(self, text: str) -> str:
        """The name of a metadata node, which is written once however often it is asked for."""
        return f"!{self._metadata.setdefault(text, len(self._metadata))}"

    def __str__(self) -> str:
        # The compiler's target machine says what the code is for, not its text.
        lines = ['target triple = "unknown-unknown-unknown"', 'target datalayout = ""']
        lines += [str(function) for function in self.globals.values()]
        lines += [f"!{number} = {text}" for text, number in self._metadata.items()]
        return "\n".join(lines) + "\n"


class FunctionType:
    """What a function takes and gives."""

    __slots__ = ("args", "return_type")

    def __init__(self, return_type: Type, args: Sequence[Type]) -> None:
        self.return_type, self.args = return_type, tuple(args)


class Function(Value):
    """A function of a module: declared, unless it has blocks. ``attributes`` such as "cold" follow its head.

    ``convention`` is that of its calls, the target's own where it is empty.
    """

    def __init__(self, module: Module, ftype: FunctionType, name: str) -> None:
        super().__init__(PointerType(), f'@"{name}"')
        if name in module.globals:
            raise ValueError(f"the module has a function {name!r} already")
        module.globals[name] = self
        self.module, self.ftype, self.name = module, ftype, name
        self.args = tuple(Value(shape, f"%a{i}") for i, shape in enumerate(ftype.args))
        self.blocks: list[Block] = []
        self.attributes: set[str] = set()
        self.linkage = self.convention = ""
        self.number = itertools.count().__next__  # values and blocks need names of their own in a function

    def append_basic_block(self, name: str) -> Block:
        """A new block behind the others, its label beginning with ``name``."""
        block = Block(self, f"{name}.{self.number()}")
        self.blocks.append(block)
        return block

    def __str__(self) -> str:
        arguments = ", ".join([f"{a.type.text} {a.ref}" for a in self.args])
        verb = "define" if self.blocks else "declare"
        words = [
            verb,
            self.linkage,
            self.convention,
            f"{self.ftype.return_type} {self.ref}({arguments})",
            *sorted(self.attributes),
        ]
        head = " ".join(filter(None, words))
        if not self.blocks:
            return head
        return "\n".join([head + " {", *(str(block) for block in self.blocks), "}"])


class Block:
    """Lines of text, and what ends them: None as long as it is open."""

    __slots__ = ("function", "lines", "name", "ref", "terminator")

    def __init__(self, function: Function, name: str) -> None:
        self.function, self.name, self.ref = function, name, f"%{name}"
        self.lines: list[str] = []
        self.terminator: Any = None

    def __str__(self) -> str:
        return "\n".join([f"{self.name}:", *self.lines, f"  {self.terminator}"])
