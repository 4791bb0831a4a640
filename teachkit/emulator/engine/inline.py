"""Device functions put in the place of their calls, before anything is known about registers.

Every call gets a copy of the called function with names of its own. A ``ret`` of the copy becomes a jump behind
the call that still counts as a ``ret``; parameters become private memory of each lane, like local variables.
Not modelled: recursion and calls through a pointer, which raise.
"""

from __future__ import annotations

import dataclasses

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
from teachkit.errors import UnsupportedInstruction

HOST_FUNCTIONS = ("vprintf", "__assertfail")
_FUNCTION_WINDOW = 3 << 56  # above every address of the host, so that no function is taken for memory
_FUNCTION_BYTES = 16


def function_addresses(module: Module) -> dict[str, int]:
    """What stands for the address of each function."""
    return {name: _FUNCTION_WINDOW + _FUNCTION_BYTES * i for i, name in enumerate(module.functions, start=1)}


def flatten(module: Module, kernel: Function) -> Function:
    """``kernel`` without calls other than those of :data:`HOST_FUNCTIONS`.

    Raises
    ------
    UnsupportedInstruction
        For recursion, for calls through a pointer, and for functions without a body.
    """
    if not any(isinstance(item, Instruction) and _is_call(item) for item in kernel.body):
        return kernel
    flattener = _Flattener(module)
    flattener.copy(kernel, "", {}, None, ())
    return dataclasses.replace(
        kernel,
        registers=flattener.registers,
        variables=tuple(flattener.variables.values()),
        body=tuple(flattener.body),
        branch_targets=flattener.branch_targets,
    )


def call_parts(item: Instruction) -> tuple[list[str], Operand, list[str]]:
    """Return variables, what is called, and argument variables."""
    operands = list(item.operands)
    returns = _names(operands.pop(0)) if isinstance(operands[0], Group) else []
    target = operands.pop(0)
    arguments = _names(operands[0]) if operands and isinstance(operands[0], Group) else []
    return returns, target, arguments


def called(item: Instruction) -> str:
    """Name of the function that a direct call enters; empty for anything else."""
    target = call_parts(item)[1] if _is_call(item) else None
    return target.name if isinstance(target, Symbol) else ""


def _is_call(item: Instruction) -> bool:
    return item.opcode.partition(".")[0] == "call"


def _names(group: Operand) -> list[str]:
    assert isinstance(group, Group)
    return [operand.name for operand in group.items if isinstance(operand, Symbol)]


class _Flattener:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.body: list[Label | Instruction] = []
        self.registers: dict[str, str] = {}
        self.variables: dict[str, Variable] = {}
        self.branch_targets: dict[str, tuple[str, ...]] = {}
        self.n_copies = 0

    def copy(
        self, function: Function, prefix: str, arguments: dict[str, str], after: str | None, callers: tuple[str, ...]
    ) -> None:
        """Append a copy of ``function`` that ends by going on at label ``after``."""
        names = dict(arguments)
        for variable in function.variables:
            # Shared memory of a function is one and the same for all its calls.
            own = (
                f"{function.name}:{variable.name}" if variable.space == "shared" and prefix else prefix + variable.name
            )
            names[variable.name] = own
            self.variables[own] = dataclasses.replace(variable, name=own)
        labels = {item.name: prefix + item.name for item in function.body if isinstance(item, Label)}
        tables = {name: prefix + name for name in function.branch_targets}
        for name, targets in function.branch_targets.items():
            self.branch_targets[prefix + name] = tuple(labels[target] for target in targets)
        self.registers |= {prefix + name: kind for name, kind in function.registers.items()}
        renamer = _Renamer(prefix, names | labels | tables, function.registers)
        for item in function.body:
            if isinstance(item, Label):
                self.body.append(Label(labels[item.name]))
                continue
            instruction = renamer.instruction(item)
            if after is not None and item.opcode.partition(".")[0] == "ret":
                instruction = dataclasses.replace(instruction, operands=(Symbol(after),))
            self.body.append(instruction)
            if _is_call(item) and called(item) not in HOST_FUNCTIONS:
                self._enter(instruction, (*callers, function.name))

    def _enter(self, call: Instruction, callers: tuple[str, ...]) -> None:
        returns, target, arguments = call_parts(call)
        if call.guard is not None:
            raise _unsupported(call, "a call under a predicate")
        if not isinstance(target, Symbol):
            self._enter_any(call, callers)
            return
        name = self.module.aliases.get(target.name, target.name)
        function = self.module.functions.get(name)
        if function is None or not function.body:
            raise _unsupported(call, f"function {name} has no body here")
        if name in callers:
            raise _unsupported(call, f"function {name} calls itself")
        self.n_copies += 1
        prefix = f"{name}#{self.n_copies}:"
        after = f"{prefix}return"
        self._body_of(function, prefix, [*returns, *arguments], after, callers)
        self.body.append(Label(after))

    def _body_of(
        self, function: Function, prefix: str, actual: list[str], after: str, callers: tuple[str, ...]
    ) -> None:
        formal = [variable.name for variable in (*function.returns, *function.params)]
        self.copy(function, prefix, dict(zip(formal, actual, strict=True)), after, callers)

    def _enter_any(self, call: Instruction, callers: tuple[str, ...]) -> None:
        """A call through a pointer: a copy of every function that has as many parameters and results."""
        returns, _, arguments = call_parts(call)
        self.n_copies += 1
        own = f"call#{self.n_copies}:"
        after = f"{own}return"
        fitting = [
            function
            for function in self.module.functions.values()
            if function.body and not function.is_entry and function.name not in callers
            if len(function.params) == len(arguments) and len(function.returns) == len(returns)
        ]
        if not fitting:  # a destructor that is never set, say: guarded by a test for null
            self.body[-1] = Instruction("trap", ptx_line=call.ptx_line, source=call.source)
            return
        self.body[-1] = dataclasses.replace(call, operands=(*call.operands, Symbol(own)))
        self.branch_targets[own] = tuple(f"{own}{function.name}" for function in fitting)
        for function in fitting:
            self.body.append(Label(f"{own}{function.name}"))
            self._body_of(function, f"{own}{function.name}:", [*returns, *arguments], after, callers)
            self.body.append(Instruction("ret", (Symbol(after),), ptx_line=call.ptx_line, source=call.source))
        self.body.append(Label(after))


@dataclasses.dataclass(frozen=True, slots=True)
class _Renamer:
    prefix: str
    names: dict[str, str]
    registers: dict[str, str]

    def instruction(self, item: Instruction) -> Instruction:
        guard = item.guard and Guard(self._register(item.guard.register), item.guard.negated)
        return dataclasses.replace(item, operands=tuple(map(self._operand, item.operands)), guard=guard)

    def _register(self, register: Register) -> Register:
        return Register(self.prefix + register.name) if register.name in self.registers else register

    def _operand(self, operand: Operand) -> Operand:
        if isinstance(operand, Register):
            return self._register(operand)
        if isinstance(operand, Symbol):
            return Symbol(self.names.get(operand.name, operand.name))
        if isinstance(operand, Address):
            base = self._operand(operand.base)
            assert isinstance(base, (Register, Symbol, Immediate))
            return Address(base, operand.offset)
        if isinstance(operand, Group):
            return Group(tuple(map(self._operand, operand.items)), operand.brace)
        if isinstance(operand, PredicatePair):
            return PredicatePair(self._register(operand.first), self._register(operand.second))
        return Negated(self._register(operand.register)) if isinstance(operand, Negated) else operand


def _unsupported(item: Instruction, what: str) -> UnsupportedInstruction:
    return UnsupportedInstruction(item.opcode, item.ptx_line, str(item.source or ""), what)
