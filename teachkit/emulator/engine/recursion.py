"""Functions that call themselves, directly or through others: which they are, and what stands for their calls.

Such a function has one body in the flattened kernel. Each lane has a stack in its private memory; a frame holds the
number of the place to return to, the function's variables and parameters, and what it keeps across a call.
"""

from __future__ import annotations

import dataclasses

from teachkit.emulator.ptx.model import Address, Function, Group, Instruction, Label, Module, Operand, Symbol, Variable

STACK = "stack pointer"  # a register that no PTX can name: bytes below the frame of the running function
STACK_BYTES = 64 << 10  # of a thread; CUDA gives 1 KiB unless the program asks for more, and 512 KiB at most
_ALIGN_BYTES = 16
_HEAD_BYTES = 16  # the number of the place to return to


@dataclasses.dataclass(frozen=True, slots=True)
class StackSlot(Symbol):
    """A variable in the frame of the running function."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry(Label):
    """Where such a function begins. Nothing falls into it from above."""


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """A parameter, on its way into a frame or out of it: the caller's variable and its place in the callee's frame."""

    variable: Symbol
    offset: int
    n_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class StackCall(Instruction):
    """A call of such a function; its block's successor is the function's first block.

    ``caller`` is empty where a kernel calls. ``saved`` are registers that the callee may overwrite.
    """

    caller: str = ""
    callee: str = ""
    arguments: tuple[Copy, ...] = ()
    after: str = ""  # label of the block that the callee returns to
    number: int = 0  # of that block among those that the callee may return to
    is_counted: bool = True
    saved: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Landing(Instruction):
    """Behind a call: take back the frame, the saved registers and the results. No instruction of the kernel."""

    caller: str = ""
    callee: str = ""
    results: tuple[Copy, ...] = ()
    restored: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class StackReturn(Instruction):
    """``ret`` of such a function; its operand names the list of blocks that it may return to."""

    is_counted: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Jump(Instruction):
    """A jump that is no instruction of the kernel."""


@dataclasses.dataclass(frozen=True, slots=True)
class NoFunction(Instruction):
    """Where lanes go whose call through a pointer leads to no function."""


@dataclasses.dataclass(slots=True)
class StackFrame:
    """What one activation of a function keeps: places of its variables, of those of functions inlined in it."""

    places: dict[str, int] = dataclasses.field(default_factory=dict)
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    registers: set[str] = dataclasses.field(default_factory=set)
    n_bytes: int = _HEAD_BYTES

    def add(self, name: str, variable: Variable) -> None:
        """Give a variable its place."""
        at = -(-self.n_bytes // variable.align) * variable.align
        self.places[name], self.sizes[name] = at, variable.n_bytes
        self.n_bytes = at + variable.n_bytes

    def save_places(self, names: tuple[str, ...]) -> dict[str, int]:
        """Where the registers ``names`` are kept across a call: 8 bytes each, behind the variables."""
        start = _aligned(self.n_bytes)
        return {name: start + 8 * i for i, name in enumerate(names)}


@dataclasses.dataclass(frozen=True, slots=True)
class Stacked(Function):
    """A flattened kernel with such functions in it."""

    frames: dict[str, StackFrame] = dataclasses.field(default_factory=dict)
    cycles: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)  # those that a function recurs with
    calls: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # what each calls, "" for the kernel

    def inner_first(self) -> list[str]:
        """The functions in an order in which one comes behind those that it calls, where they do not call it."""
        done: list[str] = []

        def visit(name: str, seen: set[str]) -> None:
            for callee in self.calls.get(name, ()):
                if callee not in seen:
                    seen.add(callee)
                    visit(callee, seen)
                    done.append(callee)

        visit("", set())
        return done

    def clobbered(self, callee: str) -> frozenset[str]:
        """Registers that change while ``callee`` runs, as it may enter the functions that they belong to."""
        return frozenset().union(*(self.frames[name].registers for name in self.cycles[callee] if name in self.frames))


def entry_label(function: str) -> str:
    """Where the body of such a function begins."""
    return f"{function}:entry"


def frame_bytes(kernel: Stacked, calls: list[StackCall]) -> dict[str, int]:
    """Size of each function's frame, with room for what its widest call saves. A kernel has none."""
    sizes = {name: frame.n_bytes for name, frame in kernel.frames.items()}
    for call in calls:
        if call.caller:
            needed = _aligned(kernel.frames[call.caller].n_bytes) + 8 * len(call.saved)
            sizes[call.caller] = max(sizes[call.caller], needed)
    return {"": 0} | {name: _aligned(size) for name, size in sizes.items()}


def cycles(module: Module) -> dict[str, frozenset[str]]:
    """For each function that may call itself, all that it may do so through, itself included."""
    by_pointer = addressed(module)
    graph = {f.name: _callees(module, f, by_pointer) for f in module.functions.values() if f.body}
    reach: dict[str, set[str]] = {}
    for name in graph:
        seen: set[str] = set()
        work = list(graph[name])
        while work:
            one = work.pop()
            if one not in seen:
                seen.add(one)
                work.extend(graph.get(one, ()))
        reach[name] = seen
    return {
        name: frozenset(other for other in seen if name in reach.get(other, ()))
        for name, seen in reach.items()
        if name in seen
    }


def _callees(module: Module, function: Function, by_pointer: frozenset[str]) -> set[str]:
    found: set[str] = set()
    for item in function.body:
        if isinstance(item, Instruction) and item.opcode.partition(".")[0] == "call":
            operands = list(item.operands)
            n_returns = _n_items(operands.pop(0)) if isinstance(operands[0], Group) else 0
            target = operands.pop(0)
            if isinstance(target, Symbol):
                found.add(module.aliases.get(target.name, target.name))
                continue
            n_arguments = _n_items(operands[0]) if operands and isinstance(operands[0], Group) else 0
            for name in by_pointer:
                other = module.functions[name]
                if (len(other.params), len(other.returns)) == (n_arguments, n_returns):
                    found.add(name)
    return found


def _n_items(group: Operand) -> int:
    return len(group.items) if isinstance(group, Group) else 0


def addressed(module: Module) -> frozenset[str]:
    """Functions whose address is taken, in code or in a table: those that a call through a pointer may mean."""
    symbols = {symbol for variable in module.variables.values() for _, symbol in variable.relocations}
    for function in module.functions.values():
        for item in function.body:
            if isinstance(item, Instruction) and item.opcode.startswith(("mov", "cvta", "st")):
                places = [o.base if isinstance(o, Address) else o for o in item.operands]
                symbols.update(place.name for place in places if isinstance(place, Symbol))
    named = {module.aliases.get(symbol, symbol) for symbol in symbols}
    return frozenset(f.name for f in module.functions.values() if f.name in named and f.body and not f.is_entry)


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // _ALIGN_BYTES) * _ALIGN_BYTES
