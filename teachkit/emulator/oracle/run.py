"""Run a kernel of a parsed module on the CPU, slowly and straight from the definitions."""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from teachkit.emulator.counters import Counters
from teachkit.emulator.oracle.access import Fault
from teachkit.emulator.oracle.clusters import Cluster, blocks_of, size_of
from teachkit.emulator.oracle.launch_state import LaunchState, Layout
from teachkit.emulator.oracle.machine import Machine
from teachkit.emulator.oracle.memory_map import Buffer, Memory, buffer_of
from teachkit.emulator.oracle.program import Program, build
from teachkit.emulator.oracle.tally import Tally
from teachkit.emulator.ptx.model import Function, Module, SourceLine, Variable

_COMMUNICATION = ("atom", "red", "match", "mbarrier", "tensormap", "mapa", "tcgen05")
_ORDERED_MODIFIERS = ("volatile", "acquire", "relaxed", "cluster")
_MODULE_ALIGN_BYTES = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a launch did. Arrays among the arguments were changed in place."""

    counters: Counters
    by_line: dict[SourceLine | None, Counters]
    faults: list[Fault]
    printed: list[str]
    module_memory: dict[str, Any]


def run(
    module: Module,
    kernel_name: str,
    grid: int | tuple[int, ...],
    block: int | tuple[int, ...],
    params: Sequence[Any],
    *,
    shared_bytes: int = 0,
    tally: Tally | None = None,
    cluster: tuple[int, int, int] | None = None,
) -> Result:
    """Execute one launch, block after block.

    Parameters
    ----------
    module : Module
        From :func:`teachkit.emulator.ptx.parse`.
    kernel_name : str
        An entry function of the module.
    grid, block : int or tuple of int
        Up to three sizes, x first.
    params : sequence
        One value a parameter: an array, CPU tensor, bytearray (a pointer to its memory), ``None`` (a null
        pointer), a number, or ``bytes`` (the parameter's own bytes).
    shared_bytes : int
        Dynamic shared memory a block.
    tally : Tally, optional
        What counts, where somebody wants to see more than counts.
    cluster : tuple of int, optional
        Blocks of a cluster, x first; by default what the kernel was compiled for.

    Returns
    -------
    Result
        Exact counters (no cache model), the faults of lanes that were switched off, printed text.

    Raises
    ------
    UnsupportedInstruction
        At the first instruction, executed or decoded, that the oracle does not know.
    """
    kernel = module.functions[kernel_name]
    program = build(module, kernel)
    buffers = _module_buffers(module)
    arguments = [buffer_of(f"argument {i}", value) for i, value in enumerate(params) if _is_memory(value)]
    buffers["parameters"] = Buffer("parameters", *_aligned_octets(_parameter_bytes(kernel, params, arguments)), "param")
    layout = Layout(module, kernel, program, buffers, shared_bytes)
    _relocate(module, buffers, layout)
    state = LaunchState(
        module=module,
        kernel=kernel,
        program=program,
        grid=_three(grid),
        block=_three(block),
        memory=Memory([*buffers.values(), *(buffer for buffer, _ in arguments)]),
        layout=layout,
        dynamic_shared_bytes=shared_bytes,
        one_warp_at_a_time=_communicates(program),
        cluster=size_of(kernel, cluster),
        tally=tally or Tally(),
    )
    for number in range(math.prod(state.grid) // math.prod(state.cluster)):
        blocks = blocks_of(state.grid, state.cluster, number)
        together = Cluster([Machine(state, block, rank) for rank, block in enumerate(blocks)])
        for machine in together.machines:
            state.tally.begin_block()
            machine.cluster = together
        together.run()
    return Result(
        counters=state.tally.total(),
        by_line=state.tally.by_source(),
        faults=state.faults,
        printed=state.printed,
        module_memory={name: buffers[name].data for name in module.variables if name in buffers},
    )


def _three(sizes: int | tuple[int, ...]) -> tuple[int, int, int]:
    given = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    x, y, z = (*given, 1, 1)[:3]
    return x, y, z


def _is_memory(value: Any) -> bool:
    return not isinstance(value, (bytes, int, float, np.generic)) and value is not None


def _parameter_bytes(kernel: Function, params: Sequence[Any], arguments: list[tuple[Buffer, int]]) -> bytes:
    if len(params) != len(kernel.params):
        raise ValueError(f"{kernel.name} takes {len(kernel.params)} parameters, got {len(params)}")
    addresses = iter(address for _, address in arguments)
    packed = bytearray()
    for parameter, value in zip(kernel.params, params, strict=True):
        packed += bytes(-len(packed) % parameter.align)
        if _is_memory(value):
            packed += struct.pack("<Q", next(addresses))
        else:
            packed += _scalar_bytes(parameter, value)
    return bytes(packed)


def _scalar_bytes(parameter: Variable, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value.ljust(parameter.n_bytes, b"\0")
    if isinstance(value, np.generic):
        return value.tobytes().ljust(parameter.n_bytes, b"\0")
    if isinstance(value, float):
        return struct.pack({2: "<e", 4: "<f", 8: "<d"}[parameter.n_bytes], value)
    return (int(value or 0) % (1 << 8 * parameter.n_bytes)).to_bytes(parameter.n_bytes, "little")


def _aligned_octets(data: bytes) -> tuple[int, Any]:
    """Address and uint8 array of a copy of ``data`` that starts at a multiple of 256."""
    room = np.zeros(len(data) + _MODULE_ALIGN_BYTES, np.uint8)
    start = -room.__array_interface__["data"][0] % _MODULE_ALIGN_BYTES
    octets = room[start : start + len(data)]
    octets[:] = np.frombuffer(data, np.uint8)
    return octets.__array_interface__["data"][0], octets


def _module_buffers(module: Module) -> dict[str, Buffer]:
    return {
        variable.name: Buffer(
            variable.name, *_aligned_octets(variable.initial or bytes(variable.n_bytes)), variable.space
        )
        for variable in module.variables.values()
        if variable.space in ("global", "const") and variable.n_bytes
    }


def _relocate(module: Module, buffers: dict[str, Buffer], layout: Layout) -> None:
    for variable in module.variables.values():
        for offset, symbol in variable.relocations:
            octets = buffers[variable.name].data[offset : offset + 8]
            addend = int.from_bytes(octets.tobytes(), "little")
            address = (layout.place(symbol)[1] + addend) % (1 << 64)
            octets[:] = np.frombuffer(address.to_bytes(8, "little"), np.uint8)


def _communicates(program: Program) -> bool:
    """Whether the order of warps can show: in what atomics return, or in waiting for another warp."""
    return any(
        item.opcode.split(".")[0] in _COMMUNICATION or not {*item.opcode.split(".")}.isdisjoint(_ORDERED_MODIFIERS)
        for block in program.blocks
        for item in block.items
    )
