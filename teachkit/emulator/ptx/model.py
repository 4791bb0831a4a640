"""PTX as data: what the parser yields, and what the engine, the oracle and the printer read."""

from __future__ import annotations

import dataclasses
import linecache
import re
from typing import TypeAlias


@dataclasses.dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of the kernel's own source, from ``.loc``; the innermost function of the program where it was inlined."""

    file: str
    line: int
    column: int = 0
    inlined_at: SourceLine | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """The line itself; empty where its file is not here."""
        return linecache.getline(self.file, self.line).strip()


@dataclasses.dataclass(frozen=True, slots=True)
class Register:
    """A virtual register such as ``%rd4``, or a special register such as ``%tid.x`` (the dot included).

    A register declared in a nested scope is renamed by the parser so that names are unique in a function.
    The name ``_`` is PTX's bit bucket: a destination whose value is dropped.
    """

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Immediate:
    """A constant. ``kind`` is "int" (``value`` is a Python int), "f32" or "f64" (``value`` holds the bits).

    A decimal literal such as ``0.5`` takes the width of the instruction's last type.
    """

    value: int
    kind: str = "int"


@dataclasses.dataclass(frozen=True, slots=True)
class Symbol:
    """The name of a variable, parameter, label or function used as an operand."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """``[base + offset]``; ``base`` is a register, a symbol, or an absolute integer address.

    ``mov`` and ``cvta`` take the same thing without brackets (``mov.u64 %rd1, table+8``).
    """

    base: Register | Symbol | Immediate
    offset: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """``{ a, b }`` (``brace="{"``), the parenthesised lists of a call (``brace="("``), or ``[address, { x, y }]``.

    The last (``brace="["``) is the coordinate operand of tensor copies; its first item is an :class:`Address`.
    """

    items: tuple[Operand, ...]
    brace: str = "{"


@dataclasses.dataclass(frozen=True, slots=True)
class PredicatePair:
    """``%p1|%p2``, the two destinations of ``setp``, ``shfl`` and ``match``."""

    first: Register
    second: Register


@dataclasses.dataclass(frozen=True, slots=True)
class Negated:
    """``!%p1`` as an operand."""

    register: Register


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """``%r1.b0``, ``-%r1`` or ``-%r1.h1``: what video instructions take of a register.

    ``which`` names its bytes or halves, lowest last, and is empty for all of it.
    """

    register: Register
    which: str = ""
    negated: bool = False


Operand: TypeAlias = Register | Immediate | Symbol | Address | Group | PredicatePair | Negated | Part


@dataclasses.dataclass(frozen=True, slots=True)
class Guard:
    """``@%p1`` or ``@!%p1`` in front of an instruction."""

    register: Register
    negated: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. ``opcode`` is the text as written, e.g. ``ld.global.v4.b32``; operands in written order."""

    opcode: str
    operands: tuple[Operand, ...] = ()
    guard: Guard | None = None
    ptx_line: int = dataclasses.field(default=0, compare=False)  # where it stood is not what it is
    source: SourceLine | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Label:
    """A branch target, unique in its function. Labels that nothing refers to (debug marks) are dropped."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """A variable or parameter: ``space`` is "param", "shared", "local", "global" or "const".

    ``n_bytes`` is 0 for an array without a size (``.extern .shared x[]``). ``initial`` holds the bytes of an
    initialised variable; ``relocations`` are (byte offset, symbol) pairs inside it, where ``initial`` holds
    the addend. ``is_pointer`` marks a ``.ptr`` parameter.
    """

    name: str
    space: str
    type: str
    n_bytes: int
    align: int
    is_extern: bool = False
    initial: bytes | None = None
    relocations: tuple[tuple[int, str], ...] = ()
    is_pointer: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Prototype:
    """The signature of an indirect call, from ``.callprototype``; the last operand of ``call`` names it."""

    params: tuple[Variable, ...]
    returns: tuple[Variable, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """A kernel (``is_entry``) or a device function, its nested scopes flattened."""

    name: str
    is_entry: bool
    params: tuple[Variable, ...]
    returns: tuple[Variable, ...]
    registers: dict[str, str]  # name -> type without the dot: "b32", "f32", "pred"
    variables: tuple[Variable, ...]  # declared inside the body: shared, local, call parameters
    body: tuple[Label | Instruction, ...]
    directives: dict[str, tuple[int, ...]]  # "reqntid" -> (128,), "maxntid", "minnctapersm"...
    branch_targets: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)  # .branchtargets lists
    is_declaration: bool = False
    prototypes: dict[str, Prototype] = dataclasses.field(default_factory=dict)
    call_targets: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)  # .calltargets lists


@dataclasses.dataclass(frozen=True, slots=True)
class Module:
    """One PTX file."""

    version: str
    target: str
    address_size: int
    variables: dict[str, Variable]
    functions: dict[str, Function]
    files: dict[int, str]
    aliases: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def architecture(self) -> int:
        """Compute capability that the code was made for, without the dot: 90 of ``sm_90a``."""
        found = re.match(r"sm_(\d+)", self.target)
        return int(found[1]) if found else 0
