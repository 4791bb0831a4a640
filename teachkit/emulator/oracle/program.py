"""A kernel and the functions it calls as one list of basic blocks, in the order in which lanes meet again.

Every call gets its own copy of the called function, so registers, local variables and parameters need no
stack. An indirect call gets a copy of every function whose address the module could hold.
Not modelled: recursion.
"""

from __future__ import annotations

import dataclasses

from teachkit.emulator.oracle.order import execution_order
from teachkit.emulator.oracle.table import unsupported
from teachkit.emulator.ptx.model import (
    Address,
    Function,
    Group,
    Guard,
    Immediate,
    Instruction,
    Label,
    Module,
    Negated,
    Operand,
    PredicatePair,
    Register,
    Symbol,
    Variable,
)

HOST_FUNCTIONS = ("vprintf", "__assertfail")
_JUMPS = ("bra", "brx", "ret", "exit", "trap")
_BARRIERS = ("bar", "barrier")


@dataclasses.dataclass(slots=True)
class Block:
    """Straight code. A jump at its end picks from ``targets``, a call from ``callees``; the rest goes on."""

    items: list[Instruction] = dataclasses.field(default_factory=list)
    labels: tuple[str, ...] = ()
    targets: list[int] = dataclasses.field(default_factory=list)
    following: int | None = None
    callees: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def successors(self) -> list[int]:
        """Every block that may come next."""
        onward = [] if self.following is None else [self.following]
        return self.targets + onward


@dataclasses.dataclass(slots=True)
class Program:
    """Blocks in execution order, block 0 first, and every register and variable under its unique name."""

    blocks: list[Block]
    registers: dict[str, str]
    variables: list[Variable]
    functions: list[str]


def build(module: Module, kernel: Function) -> Program:
    """Flatten ``kernel``.

    Raises
    ------
    UnsupportedInstruction
        For recursion and for calls of functions that have no body.
    """
    builder = _Builder(module)
    builder.copy(kernel, "", {}, None, ())
    order = execution_order([block.successors for block in builder.blocks])
    place = {old: new for new, old in enumerate(order)}
    blocks = [builder.blocks[old] for old in order]
    for block in blocks:
        block.targets = [place[target] for target in block.targets]
        block.following = None if block.following is None else place[block.following]
        block.callees = {name: place[entry] for name, entry in block.callees.items()}
    return Program(blocks, builder.registers, builder.variables, builder.functions)


class _Builder:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.blocks: list[Block] = []
        self.registers: dict[str, str] = {}
        self.variables: list[Variable] = []
        self.functions = [f.name for f in module.functions.values() if not f.is_entry and f.body]
        self.n_copies = 0

    def copy(
        self, function: Function, prefix: str, symbols: dict[str, str], after: int | None, callers: tuple[str, ...]
    ) -> int:
        """Append a copy of ``function`` whose returns go to block ``after``; gives its first block."""
        own = {variable.name: prefix + variable.name for variable in function.variables}
        names = own | symbols
        self.registers |= {prefix + name: kind for name, kind in function.registers.items()}
        self.variables += [dataclasses.replace(v, name=own[v.name]) for v in function.variables]
        entry = self._new()
        current = entry
        labels: dict[str, int] = {}
        for item in function.body:
            if isinstance(item, Label):
                current = self._follow(current)
                labels[item.name] = current
                continue
            instruction = _rename(item, prefix, names, function.registers)
            self.blocks[current].items.append(instruction)
            base = item.opcode.partition(".")[0]
            if base == "call":
                current = self._call(current, instruction, (*callers, function.name))
            elif base in _JUMPS:
                self._jump(current, item, function, after)
                current = self._follow(current) if item.guard is not None else self._new()
            elif base in _BARRIERS:
                current = self._follow(current)
        if self.blocks[current].following is None and after is not None:
            self.blocks[current].following = after
        for block in self.blocks[entry:]:
            if block.labels:
                block.targets, block.labels = [labels[name] for name in block.labels], ()
        return entry

    def _new(self) -> int:
        self.blocks.append(Block())
        return len(self.blocks) - 1

    def _follow(self, block: int) -> int:
        following = self._new()
        self.blocks[block].following = following
        return following

    def _jump(self, block: int, item: Instruction, function: Function, after: int | None) -> None:
        base = item.opcode.partition(".")[0]
        if base == "ret" and after is not None:
            self.blocks[block].targets = [after]
        elif base in ("bra", "brx"):
            (name,) = (operand.name for operand in item.operands if isinstance(operand, Symbol))
            self.blocks[block].labels = function.branch_targets.get(name, (name,))

    def _call(self, block: int, item: Instruction, callers: tuple[str, ...]) -> int:
        """Link a call block to a copy of each function it may enter; gives the block behind the call."""
        returns, target, arguments = _call_parts(item)
        if isinstance(target, Register):
            names = self.functions
        else:
            names = [self.module.aliases.get(target.name, target.name)]
            if names[0] in HOST_FUNCTIONS:
                return self._follow(block)
        after = self._follow(block)
        entries: dict[str, int] = {}
        for name in names:
            function = self.module.functions.get(name)
            if function is None or not function.body:
                raise unsupported(item, f"function {name} has no body here")
            if name in callers:
                raise unsupported(item, f"function {name} calls itself")
            if len(function.params) != len(arguments) or len(function.returns) != len(returns):
                continue  # another signature, so not what an indirect call means
            self.n_copies += 1
            formal = (*function.returns, *function.params)
            symbols = {v.name: actual for v, actual in zip(formal, (*returns, *arguments), strict=True)}
            entries[name] = self.copy(function, f"{name}@{self.n_copies}:", symbols, after, callers)
        self.blocks[block].callees = entries
        self.blocks[block].targets = list(entries.values())
        return after


def _call_parts(item: Instruction) -> tuple[list[str], Register | Symbol, list[str]]:
    """Return variables, function and argument variables of ``call (r), f, (a, b), prototype``."""
    operands = list(item.operands)
    returns: list[str] = []
    if isinstance(operands[0], Group):
        returns = _names(item, operands.pop(0))
    target = operands.pop(0)
    if not isinstance(target, (Register, Symbol)):
        raise unsupported(item, "what is called")
    arguments = _names(item, operands[0]) if operands and isinstance(operands[0], Group) else []
    return returns, target, arguments


def _names(item: Instruction, group: Operand) -> list[str]:
    assert isinstance(group, Group)
    names = [operand.name for operand in group.items if isinstance(operand, Symbol)]
    if len(names) != len(group.items):
        raise unsupported(item, "arguments that are not .param variables")
    return names


def _rename(item: Instruction, prefix: str, names: dict[str, str], registers: dict[str, str]) -> Instruction:
    if not prefix and not names:
        return item

    def renamed(operand: Operand) -> Operand:
        if isinstance(operand, Register):
            return Register(prefix + operand.name) if operand.name in registers else operand
        if isinstance(operand, Symbol):
            return Symbol(names.get(operand.name, operand.name))
        if isinstance(operand, Address):
            base = renamed(operand.base)
            assert isinstance(base, (Register, Symbol, Immediate))
            return Address(base, operand.offset)
        if isinstance(operand, Group):
            return Group(tuple(renamed(x) for x in operand.items), operand.brace)
        if isinstance(operand, PredicatePair):
            return PredicatePair(_register(operand.first), _register(operand.second))
        if isinstance(operand, Negated):
            return Negated(_register(operand.register))
        return operand

    def _register(register: Register) -> Register:
        return Register(prefix + register.name) if register.name in registers else register

    guard = item.guard and Guard(_register(item.guard.register), item.guard.negated)
    return dataclasses.replace(item, operands=tuple(map(renamed, item.operands)), guard=guard)
