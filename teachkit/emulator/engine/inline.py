"""Device functions put in the place of their calls, before anything is known about registers.

Every call gets a copy of the called function with names of its own. A ``ret`` of the copy becomes a jump behind
the call that still counts as a ``ret``; parameters become private memory of each lane, like local variables.
A call through a pointer gets a copy of each function that it can mean. A function that calls itself has one body
behind the kernel's, and its calls use a stack (``recursion.py``); so does any but a short one once the copies together
are long, as compile time grows with them.
"""

from __future__ import annotations

import dataclasses

from teachkit.emulator.engine.recursion import (
    STACK,
    Copy,
    Entry,
    Jump,
    Landing,
    NoFunction,
    StackCall,
    Stacked,
    StackFrame,
    StackReturn,
    addressed,
    cycles,
    entry_label,
)
from teachkit.emulator.engine.renaming import Renamer, symbol
from teachkit.emulator.ptx.model import (
    Function,
    Group,
    Instruction,
    Label,
    Module,
    Operand,
    Symbol,
    Variable,
)
from teachkit.errors import PtxLinkError, UnsupportedInstruction

HOST_FUNCTIONS = ("vprintf", "__assertfail")
_FUNCTION_WINDOW = 3 << 56  # above every address of the host, so that no function is taken for memory
_FUNCTION_BYTES = 16
MOST_COPIED = 4000  # instructions; what is called beyond them, and is not short, has one body for all calls
SHORT = 16


def function_addresses(module: Module) -> dict[str, int]:
    """What stands for the address of each function."""
    return {name: _FUNCTION_WINDOW + _FUNCTION_BYTES * i for i, name in enumerate(module.functions, start=1)}


def flatten(module: Module, kernel: Function) -> Function:
    """``kernel`` without calls other than those of :data:`HOST_FUNCTIONS`.

    Raises
    ------
    UnsupportedInstruction
        For calls under a predicate.
    PtxLinkError
        For functions without a body.
    """
    if not any(isinstance(item, Instruction) and _is_call(item) for item in kernel.body):
        return kernel
    flattener = _Flattener(module)
    flattener.copy(kernel, "", {}, None, ())
    flattener.finish()
    flat = dataclasses.replace(
        kernel,
        registers=flattener.registers,
        variables=tuple(flattener.variables.values()),
        body=tuple(flattener.body),
        branch_targets=flattener.branch_targets,
    )
    if not flattener.frames:
        return flat
    fields = {field.name: getattr(flat, field.name) for field in dataclasses.fields(flat)}
    fields["registers"] = flat.registers | {STACK: "b64"}
    return Stacked(**fields, frames=flattener.frames, cycles=flattener.cycles, calls=flattener.calls)


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
        self.n_copies = self.n_copied = 0
        self.cycles = cycles(module)  # and functions that have one body for another reason, which recur with none
        self.frames: dict[str, StackFrame] = {}  # of functions that call themselves
        self.owner = ""  # the one whose body is being copied, empty for the kernel's
        self.calls: dict[str, list[str]] = {}  # by owner
        self.landings: dict[str, list[str]] = {}  # labels of the blocks that each of them may return to

    def copy(
        self, function: Function, prefix: str, arguments: dict[str, str], after: str | None, callers: tuple[str, ...]
    ) -> None:
        """Append a copy of ``function`` that ends by going on at label ``after``; without one, it keeps its ends."""
        names = dict(arguments)
        for variable in function.variables:
            # Shared memory of a function is one and the same for all its calls.
            own = (
                f"{function.name}:{variable.name}" if variable.space == "shared" and prefix else prefix + variable.name
            )
            names[variable.name] = own
            if self.owner and variable.space != "shared":
                self.frames[self.owner].add(own, variable)
            else:
                self.variables[own] = dataclasses.replace(variable, name=own)
        labels = {item.name: prefix + item.name for item in function.body if isinstance(item, Label)}
        tables = {name: prefix + name for name in function.branch_targets}
        for name, targets in function.branch_targets.items():
            self.branch_targets[prefix + name] = tuple(labels[target] for target in targets)
        own_registers = {prefix + name: kind for name, kind in function.registers.items()}
        self.registers |= own_registers
        slots: dict[str, int] = {}
        if self.owner:
            self.frames[self.owner].registers |= own_registers.keys()
            slots = self.frames[self.owner].places
        renamer = Renamer(prefix, names | labels | tables, function.registers, slots)
        for item in function.body:
            if isinstance(item, Label):
                self.body.append(Label(labels[item.name]))
                continue
            instruction = renamer.instruction(item)
            if item.opcode.partition(".")[0] == "ret":
                if after is not None:
                    instruction = dataclasses.replace(instruction, operands=(Symbol(after),))
                elif self.owner:
                    where = (Symbol(_landings(self.owner)),)
                    instruction = StackReturn(item.opcode, where, instruction.guard, item.ptx_line, item.source)
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
            where = call.source or f"PTX line {call.ptx_line}"
            raise PtxLinkError(
                f"Expected the body of function {name!r}, which is called at {where}, got its declaration only.",
                hint="several translation units are not linked here: define the function in the same source.",
            )
        if self._has_one_body(function):
            self.body.pop()
            self._push(call, function, [*returns, *arguments])
            return
        self.n_copies += 1
        prefix = f"{name}#{self.n_copies}:"
        after = f"{prefix}return"
        self._body_of(function, prefix, [*returns, *arguments], after, callers)
        self.body.append(Label(after))

    def _has_one_body(self, function: Function) -> bool:
        if function.name not in self.cycles and self.n_copied > MOST_COPIED and len(function.body) > SHORT:
            self.cycles[function.name] = frozenset()
        return function.name in self.cycles

    def _body_of(
        self, function: Function, prefix: str, actual: list[str], after: str, callers: tuple[str, ...]
    ) -> None:
        self.n_copied += len(function.body)
        formal = [variable.name for variable in (*function.returns, *function.params)]
        self.copy(function, prefix, dict(zip(formal, actual, strict=True)), after, callers)

    def _enter_any(self, call: Instruction, callers: tuple[str, ...]) -> None:
        """A call through a pointer: a copy of every function that has as many parameters and results."""
        returns, _, arguments = call_parts(call)
        self.n_copies += 1
        own = f"call#{self.n_copies}:"
        after = f"{own}return"
        by_pointer = addressed(self.module) if self.cycles else frozenset[str]()
        fitting = [
            function
            for function in self.module.functions.values()
            if function.body and not function.is_entry
            if len(function.params) == len(arguments) and len(function.returns) == len(returns)
            if function.name in (by_pointer if function.name in self.cycles else self.module.functions.keys() - callers)
        ]
        nowhere = NoFunction("trap", ptx_line=call.ptx_line, source=call.source)
        if not fitting:  # a destructor that is never set, say: guarded by a test for null
            self.body[-1] = nowhere
            return
        self.body[-1] = dataclasses.replace(call, operands=(*call.operands, Symbol(own)))
        self.branch_targets[own] = (*(f"{own}{function.name}" for function in fitting), own)
        self.body += [Label(own), nowhere]
        for function in fitting:
            self.body.append(Label(f"{own}{function.name}"))
            if self._has_one_body(function):
                self._push(call, function, [*returns, *arguments], is_counted=False)
                self.body.append(Jump("bra.uni", (Symbol(after),), ptx_line=call.ptx_line, source=call.source))
                continue
            self._body_of(function, f"{own}{function.name}:", [*returns, *arguments], after, callers)
            self.body.append(Instruction("ret", (Symbol(after),), ptx_line=call.ptx_line, source=call.source))
        self.body.append(Label(after))

    def _push(self, call: Instruction, function: Function, actual: list[str], *, is_counted: bool = True) -> None:
        """Call the one body of a function that calls itself, and land behind the call."""
        name = function.name
        if function.is_entry:
            raise _unsupported(call, f"kernel {name} calls itself")
        if name not in self.frames:
            self.frames[name], self.landings[name] = StackFrame(), []
            for variable in (*function.returns, *function.params):
                self.frames[name].add(f"{name}:{variable.name}", variable)
        self.calls.setdefault(self.owner, []).append(name)
        frame, landings = self.frames[name], self.landings[name]
        after = f"{name}:return#{len(landings)}"
        slots = self.frames[self.owner].places if self.owner else {}
        copies = [
            Copy(symbol(given, slots), frame.places[f"{name}:{variable.name}"], variable.n_bytes)
            for variable, given in zip((*function.returns, *function.params), actual, strict=True)
        ]
        n = len(function.returns)
        entry = Symbol(entry_label(name))
        begin = StackCall(call.opcode, (entry,), ptx_line=call.ptx_line, source=call.source, is_counted=is_counted)
        begin = dataclasses.replace(begin, caller=self.owner, callee=name, after=after, number=len(landings))
        self.body.append(dataclasses.replace(begin, arguments=tuple(copies[n:])))
        self.body.append(Label(after))
        self.body.append(Landing("landing", caller=self.owner, callee=name, results=tuple(copies[:n])))
        landings.append(after)

    def finish(self) -> None:
        """Append the bodies of functions that call themselves, each once."""
        done: set[str] = set()
        while len(done) < len(self.frames):
            name = next(name for name in self.frames if name not in done)
            done.add(name)
            self.owner = name
            function = self.module.functions[name]
            formal = {v.name: f"{name}:{v.name}" for v in (*function.returns, *function.params)}
            self.body.append(Entry(entry_label(name)))
            self.copy(function, f"{name}:", formal, None, (name,))
            self.body.append(StackReturn("ret", (Symbol(_landings(name)),), is_counted=False))  # where no ret stands
        self.branch_targets |= {_landings(name): tuple(labels) for name, labels in self.landings.items()}


def _landings(function: str) -> str:
    return f"{function}:landings"


def _unsupported(item: Instruction, what: str) -> UnsupportedInstruction:
    return UnsupportedInstruction(item.opcode, item.ptx_line, str(item.source or ""), what)
