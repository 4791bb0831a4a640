"""What all blocks of a launch share: the program, memory, where variables live, counts and faults."""

from __future__ import annotations

import dataclasses
import itertools

from teachkit.emulator.oracle.access import Fault
from teachkit.emulator.oracle.memory_map import FUNCTION_WINDOW, Buffer, Memory
from teachkit.emulator.oracle.program import Program
from teachkit.emulator.oracle.tally import Tally
from teachkit.emulator.ptx.model import Function, Module, Variable
from teachkit.emulator.ptx.reserved import reserved

_FUNCTION_BYTES = 16


class Layout:
    """Addresses of variables, parameters and functions."""

    def __init__(
        self, module: Module, kernel: Function, program: Program, buffers: dict[str, Buffer], dynamic_shared_bytes: int
    ) -> None:
        self._places: dict[str, tuple[str, int]] = {}
        self._sizes = {variable.name: variable.n_bytes for variable in program.variables if variable.space == "param"}
        for number, function in enumerate(module.functions.values()):
            self._places[function.name] = "function", FUNCTION_WINDOW + (number + 1) * _FUNCTION_BYTES
        at = 0
        for parameter in kernel.params:
            at = _aligned(at, parameter.align)
            self._places[parameter.name] = "const", buffers["parameters"].address + at
            at += parameter.n_bytes
        for variable in module.variables.values():
            if variable.space in ("global", "const") and variable.name in buffers:
                self._places[variable.name] = variable.space, buffers[variable.name].address
        toolkits = reserved(itertools.chain.from_iterable(block.items for block in program.blocks))
        self.reserved_bytes = sum(variable.n_bytes for variable in toolkits)
        shared = toolkits + [
            variable
            for variable in itertools.chain(module.variables.values(), program.variables)
            if variable.space == "shared"
        ]
        self.shared_bytes = self._lay_out("shared", [v for v in shared if v.n_bytes], 0)
        for variable in shared:
            if not variable.n_bytes:
                start = _aligned(self.shared_bytes, variable.align)
                self._places[variable.name] = "shared", start
        if dynamic_shared_bytes:
            starts = [self._places[v.name][1] for v in shared if not v.n_bytes]
            self.shared_bytes = max(starts, default=self.shared_bytes) + dynamic_shared_bytes
        local = [variable for variable in program.variables if variable.space in ("local", "param")]
        self.local_bytes = _aligned(self._lay_out("local", local, 0), 16)

    def _lay_out(self, space: str, variables: list[Variable], at: int) -> int:
        for variable in variables:
            at = _aligned(at, variable.align)
            self._places[variable.name] = space, at
            at += variable.n_bytes
        return at

    def place(self, name: str) -> tuple[str, int]:
        """State space and address (an offset in shared and local memory)."""
        return self._places[name]

    def n_bytes(self, name: str) -> int:
        """Size of a parameter of a device function or of a call."""
        return self._sizes[name]

    def is_parameter(self, name: str) -> bool:
        """Whether the name is a parameter of a device function or of a call."""
        return name in self._sizes

    def function_at(self, address: int, module: Module) -> str:
        """Name of the device function whose address this is; empty where it is none."""
        number, rest = divmod(address - FUNCTION_WINDOW, _FUNCTION_BYTES)
        names = list(module.functions)
        return names[number - 1] if not rest and 0 < number <= len(names) else ""


@dataclasses.dataclass(slots=True)
class LaunchState:
    """Everything that outlives a block."""

    module: Module
    kernel: Function
    program: Program
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    memory: Memory
    layout: Layout
    dynamic_shared_bytes: int
    one_warp_at_a_time: bool
    cluster: tuple[int, int, int] = (1, 1, 1)
    tally: Tally = dataclasses.field(default_factory=Tally)
    faults: list[Fault] = dataclasses.field(default_factory=list)
    printed: list[str] = dataclasses.field(default_factory=list)


def _aligned(at: int, to: int) -> int:
    return -(-at // to) * to
