"""Runs a kernel: picks the compiled variant, refuses what cannot be launched, keeps what was counted."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from teachkit.emulator import launches
from teachkit.emulator.arguments import Arguments, in_whole_words
from teachkit.emulator.checks import session as checks
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.inline import function_addresses
from teachkit.emulator.engine.launching import Launching
from teachkit.emulator.engine.program import Program
from teachkit.emulator.engine.warp_code import Mode
from teachkit.emulator.engine.worker import Dims, aligned
from teachkit.emulator.launches import Launch, Resources
from teachkit.emulator.ptx.model import Module
from teachkit.errors import LaunchError

if TYPE_CHECKING:
    from teachkit.hardware.spec import GpuSpec

_VARIABLE_ALIGN_BYTES = 256  # so that the sectors and banks of a module's variables are the same in every run


def allocate_variables(module: Module) -> dict[str, Any]:
    """Memory of module variables in global and constant space: name -> (memory, address)."""
    places: dict[str, Any] = {}
    for variable in module.variables.values():
        if variable.space in ("global", "const"):
            memory, address = aligned(max(variable.n_bytes, 1), max(variable.align, _VARIABLE_ALIGN_BYTES))
            if variable.initial is not None:
                ctypes.memmove(address, variable.initial, len(variable.initial))
            places[variable.name] = (memory, address, variable.n_bytes)
    functions = function_addresses(module)
    for variable in module.variables.values():
        for at, symbol in variable.relocations if variable.name in places else ():
            address = places[symbol][1] if symbol in places else functions[symbol]
            addend = int.from_bytes((variable.initial or b"")[at : at + 8], "little")
            target = places[variable.name][1] + at
            ctypes.memmove(target, ((address + addend) % (1 << 64)).to_bytes(8, "little"), 8)
    return places


_programs_lock = threading.Lock()


def program_of(kernel: Any, mode: Mode) -> Program:
    """The compiled kernel, once a process."""
    cache: dict[Mode, Program] = kernel.__dict__.setdefault("_programs", {})
    program = cache.get(mode)
    if program is None:
        with _programs_lock:
            program = cache.get(mode) or Program(kernel, mode)
            cache[mode] = program
    return program


def run(
    kernel: Any,
    grid: Dims,
    block: Dims,
    arguments: Arguments,
    *,
    shared_bytes: int,
    counting: bool,
    name: str,
    resources: Resources | Callable[[], Resources] | None,
    cluster: Dims | None = None,
) -> Launch | None:
    """Run every block. See :meth:`teachkit.emulator.kernel.Kernel.launch`."""
    n_block_threads = block[0] * block[1] * block[2]
    checking = checks.active()
    if checking is not None and cluster not in (None, (1, 1, 1)):
        raise _unchecked(name, f"clusters of {cluster} blocks")
    mode = Mode(counting, n_block_threads % LANES != 0, checking is not None, rows=block[0] % LANES == 0)
    program = program_of(kernel, mode)
    shared = program.shared_bytes
    if shared_bytes:
        shared = -(-shared // 16) * 16 + shared_bytes
    gpu = modelled_gpu(kernel.owner.architecture)
    _check_shared(name, shared - program.reserved_bytes, gpu)
    _check_writable(program, arguments, name)
    if program.swaps_words:
        arguments = in_whole_words(arguments)
    launching = Launching(program, grid, block, arguments, shared, name, gpu, cluster)
    if checking is not None and launching.is_clustered:
        raise _unchecked(name, "instructions for clusters")
    if checking is None:
        launching.run_all()
    else:
        checking.run(launching, name)
    if launching.record is None:
        return None
    needs = resources or Resources(shared_bytes=shared - program.reserved_bytes)
    launch = Launch(name, grid, block, launching.record.counted, needs, kernel.owner.text)
    launches.backlog.add(launch, launching.record.n_bytes)
    return launch


def _unchecked(name: str, what: str) -> LaunchError:
    return LaunchError(
        f"Expected a kernel without clusters to check, got {name!r} with {what}.",
        hint="launch it outside check(): accesses to the shared memory of other blocks are not checked.",
    )


def _check_shared(name: str, shared: int, spec: GpuSpec) -> None:
    if shared > spec.shared_bytes_per_block_max:
        raise LaunchError(
            f"Expected at most {spec.shared_bytes_per_block_max} bytes of shared memory a block, the limit of "
            f"{spec.name}, got {shared} for kernel {name!r}.",
            hint="make the tile smaller or use fewer pipeline stages; H100 allows 232448 bytes.",
        )


def _check_writable(program: Program, arguments: Arguments, name: str) -> None:
    """An array that NumPy holds read-only may be memory that the process cannot write."""
    written: frozenset[str] | None = None
    for parameter, bound in zip(program.kernel.signature.params, arguments.memory, strict=True):
        if bound is None or not bound.is_read_only:
            continue
        if written is None:
            written = frozenset(s.root for s in program.sites if s.is_store and s.space == "global")
        if parameter.name in written or "" in written:
            raise LaunchError(
                f"Expected an array that kernel {name!r} may write for argument {bound.name!r}, "
                f"got a read-only {bound.shown}.",
                hint="pass a copy of it: array.copy().",
            )


def modelled_gpu(architecture: int) -> GpuSpec:
    """The data sheet of the GPU that is modelled: the one that was chosen, else one that runs such code."""
    from teachkit.emulator.kernel import settings
    from teachkit.hardware.spec import default_gpu_name, gpu

    name = settings.gpu or default_gpu_name(architecture)
    return gpu(name) if name.endswith(".toml") else _named_gpu(name)


@functools.lru_cache(maxsize=32)
def _named_gpu(name: str) -> GpuSpec:
    """A data sheet that comes with the library, which does not change while a program runs."""
    from teachkit.hardware.spec import gpu

    return gpu(name)
