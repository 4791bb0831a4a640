"""A kernel and the functions it calls as one list of basic blocks, in the order in which lanes meet again.

Every call gets its own copy of the called function, so registers, local variables and parameters need no
stack. An indirect call gets a copy of every function whose address the module could hold. A function that calls
itself has one copy, which its calls share (``recursion.py``).
"""

from __future__ import annotations

import dataclasses

from teachkit.emulator.oracle.order import execution_order
from teachkit.emulator.oracle.recursion import Body, Push, has_address, recursive
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
    Part,
    PredicatePair,
    Register,
    Symbol,
    Variable,
)
from teachkit.emulator.ptx.wide import halved

HOST_FUNCTIONS = ("vprintf", "__assertfail")
_JUMPS = ("bra", "brx", "ret", "exit", "trap", "brkpt")
_BARRIERS = ("bar", "barrier")


@dataclasses.dataclass(slots=True)
class Block:
    """Straight code. A jump at its end picks from ``targets``, a call from ``callees``; the rest goes on."""

    items: list[Instruction] = dataclasses.field(default_factory=list)
    labels: tuple[str, ...] = ()
    targets: list[int] = dataclasses.field(default_factory=list)
    following: int | None = None
    callees: dict[str, int] = dataclasses.field(default_factory=dict)
    push: Push | None = None  # of a call of a function that calls itself
    through: Instruction | None = None  # the call through a pointer that led to this block
    ends: str = ""  # the function that calls itself in which a return of this block ends an activation

    @property
    def successors(self) -> list[int]:
        """Every block that may come next; behind a call of a function that calls itself, where it comes back."""
        if self.push is not None:
            return [self.push.landing]
        onward = [] if self.following is None or self.callees else [self.following]
        return ([] if self.ends else self.targets) + onward


@dataclasses.dataclass(slots=True)
class Program:
    """Blocks in execution order, block 0 first, and every register and variable under its unique name."""

    blocks: list[Block]
    registers: dict[str, str]
    variables: list[Variable]
    functions: list[str]
    bodies: dict[str, Body]  # of functions that call themselves


def build(module: Module, kernel: Function) -> Program:
    """Flatten ``kernel``.

    Raises
    ------
    UnsupportedInstruction
        For calls of functions that have no body.
    """
    module = halved(module)
    kernel = module.functions[kernel.name]
    builder = _Builder(module)
    builder.copy(kernel, "", {}, None, ())
    builder.add_bodies()
    successors = [block.successors for block in builder.blocks]
    order = execution_order(successors)
    # Lanes in a function that calls itself run until they return, before any that are ahead of them in the kernel.
    order[1:1] = [
        block for name in builder.inner_first() for block in execution_order(successors, builder.bodies[name].entry)
    ]
    place = {old: new for new, old in enumerate(order)}
    blocks = [builder.blocks[old] for old in order]
    for block in blocks:
        block.targets = [place[target] for target in block.targets]
        block.following = None if block.following is None else place.get(block.following)
        block.callees = {name: place[entry] for name, entry in block.callees.items()}
        if block.push is not None:
            block.push = dataclasses.replace(block.push, landing=place.get(block.push.landing, -1))
    for body in builder.bodies.values():
        body.entry = place[body.entry]
    return Program(blocks, builder.registers, builder.variables, builder.functions, builder.bodies)


def members_of(item: Instruction) -> Operand | None:
    """The member mask of an instruction that lanes of a warp carry out together; None for any other."""
    base, *modifiers = item.opcode.split(".")
    if "sync" not in modifiers or (base in _BARRIERS and "warp" not in modifiers):
        return None
    return item.operands[-1] if base in ("shfl", "vote", "match", "redux", "bar", "elect") else Immediate(0xFFFFFFFF)


class _Builder:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.blocks: list[Block] = []
        self.registers: dict[str, str] = {}
        self.variables: list[Variable] = []
        self.functions = [f.name for f in module.functions.values() if not f.is_entry and f.body]
        self.n_copies = 0
        self.recursive = recursive(module)
        self.bodies: dict[str, Body] = {}
        self.calls: dict[str, list[str]] = {}
        self.owner = ""  # function that calls itself whose body is being copied

    def add_bodies(self) -> None:
        """Append the functions that call themselves, and link their calls and returns to them."""
        copied: set[str] = set()
        while len(copied) < len(self.bodies):
            self.owner = next(name for name in self.bodies if name not in copied)
            copied.add(self.owner)
            function = self.module.functions[self.owner]
            symbols = {v.name: f"{self.owner}@:{v.name}" for v in (*function.returns, *function.params)}
            self.bodies[self.owner].entry = self.copy(function, f"{self.owner}@:", symbols, None, (self.owner,))

    def inner_first(self) -> list[str]:
        """Functions that call themselves, each behind those that it calls and that do not call it."""
        order: list[str] = []
        seen: set[str] = set()

        def follow(owner: str) -> None:
            for name in self.calls.get(owner, ()):
                if name not in seen:
                    seen.add(name)
                    follow(name)
                    order.append(name)

        follow("")
        return order

    def copy(
        self, function: Function, prefix: str, symbols: dict[str, str], after: int | None, callers: tuple[str, ...]
    ) -> int:
        """Append a copy of ``function`` whose returns go to block ``after``; gives its first block."""
        own = {variable.name: prefix + variable.name for variable in function.variables}
        names = own | symbols
        self.registers |= {prefix + name: kind for name, kind in function.registers.items()}
        for variable in function.variables:
            if self.owner and variable.space != "shared":
                self.bodies[self.owner].add(own[variable.name], variable)
            else:
                self.variables.append(dataclasses.replace(variable, name=own[variable.name]))
        if self.owner:
            self.bodies[self.owner].registers += [prefix + name for name in function.registers]
        entry = self._new()
        current = entry
        labels: dict[str, int] = {}
        for item in function.body:
            if isinstance(item, Label):
                current = self._follow(current)
                labels[item.name] = current
                continue
            instruction = _rename(item, prefix, names, function.registers)
            if members_of(instruction) is not None and self.blocks[current].items:
                current = self._follow(current)
            self.blocks[current].items.append(instruction)
            base = item.opcode.partition(".")[0]
            if base == "call":
                current = self._call(current, instruction, (*callers, function.name))
            elif base in _JUMPS:
                self._jump(current, item, function, after)
                current = self._follow(current) if item.guard is not None else self._new()
            elif base in _BARRIERS or item.opcode.startswith("tcgen05.wait::ld"):
                current = self._follow(current)
        if self.blocks[current].following is None and after is not None:
            self.blocks[current].following = after
        elif after is None and self.owner and self.blocks[current].items:
            raise unsupported(self.blocks[current].items[-1], "a function that calls itself without ret at its end")
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
        elif base == "ret" and self.owner:
            self.blocks[block].ends = self.owner
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
            if len(function.params) != len(arguments) or len(function.returns) != len(returns):
                continue  # another signature, so not what an indirect call means
            formal = (*function.returns, *function.params)
            if name in self.recursive and isinstance(target, Symbol):
                self.blocks[block].push = self._push(function, after, returns, arguments)
                return after
            if name in self.recursive and not has_address(self.module, name):
                continue
            if name in self.recursive:  # lanes whose pointer means it have a block of their own before and after
                entries[name], landing = self._new(), self._new()
                self.blocks[landing].following = after
                self.blocks[entries[name]].through = item
                self.blocks[entries[name]].push = self._push(function, landing, returns, arguments)
                continue
            if name in callers:
                continue  # a pointer that never means it, since its address is not taken
            self.n_copies += 1
            symbols = {v.name: actual for v, actual in zip(formal, (*returns, *arguments), strict=True)}
            entries[name] = self.copy(function, f"{name}@{self.n_copies}:", symbols, after, callers)
        self.blocks[block].callees = entries
        self.blocks[block].targets = list(entries.values())
        return after

    def _push(self, function: Function, landing: int, returns: list[str], arguments: list[str]) -> Push:
        names = {v.name: f"{function.name}@:{v.name}" for v in (*function.returns, *function.params)}
        if function.name not in self.bodies:
            self.bodies[function.name] = Body()
            for variable in (*function.returns, *function.params):
                self.bodies[function.name].add(names[variable.name], variable)
        self.calls.setdefault(self.owner, []).append(function.name)
        results = tuple((given, names[v.name]) for given, v in zip(returns, function.returns, strict=True))
        given = tuple((given, names[v.name]) for given, v in zip(arguments, function.params, strict=True))
        return Push(function.name, landing, results, given)


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
        if isinstance(operand, Part):
            return dataclasses.replace(operand, register=_register(operand.register))
        return operand

    def _register(register: Register) -> Register:
        return Register(prefix + register.name) if register.name in registers else register

    guard = item.guard and Guard(_register(item.guard.register), item.guard.negated)
    return dataclasses.replace(item, operands=tuple(map(renamed, item.operands)), guard=guard)
