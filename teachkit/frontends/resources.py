"""Registers, spills, shared memory and occupancy of a kernel, as ``ptxas`` and the GPU's allocation rules say.

Modelled: occupancy (:mod:`teachkit.hardware.occupancy`). Registers and spills are facts about the cubin.
Not modelled: launches that the driver limits further (MPS, MIG, cooperative grids).

``ptxas`` takes some 50 ms, so nothing here runs before somebody asks; each text is assembled once in a process.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from teachkit.emulator.launches import Resources
from teachkit.errors import AssemblerError, OccupancyError
from teachkit.hardware.occupancy import occupancy
from teachkit.hardware.spec import GpuSpec

_TARGET = re.compile(r"^\s*\.target\s+(sm_(\d+)\w*)", re.MULTILINE)
_VERSION = re.compile(r"^\s*\.version\s+(\d+)\.(\d+)", re.MULTILINE)
_ENTRY = re.compile(r"Compiling entry function '([^']+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")

# Triton carries two assemblers: one for PTX up to 8.7, one (CUDA 13) for what is newer.
_NEWEST_PTX_OF_PTXAS = (8, 7)


@dataclasses.dataclass(frozen=True)
class Usage:
    """What ``ptxas -v`` reports of one kernel; bytes of stack and spills are per thread, shared bytes per block."""

    n_registers: int
    n_stack_bytes: int
    n_spill_bytes: int
    static_shared_bytes: int


@dataclasses.dataclass(frozen=True)
class Assembly:
    """A cubin, and the resource usage of each kernel in it by name."""

    cubin: bytes = dataclasses.field(repr=False)
    usage: Mapping[str, Usage]


@functools.lru_cache(maxsize=256)
def assemble(ptx: str) -> Assembly:
    """Assemble PTX text for the architecture that its ``.target`` names.

    Parameters
    ----------
    ptx : str
        The text of one module.

    Raises
    ------
    AssemblerError
        If there is no ``ptxas``, or it rejects the text.
    """
    target = _TARGET.search(ptx)
    if target is None:
        raise AssemblerError("expected PTX with a .target line, found none")
    with tempfile.TemporaryDirectory(prefix="teachkit-ptxas-") as folder:
        source, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx)
        # The options of Triton's own call, so that the numbers are those of the kernel that a GPU would run.
        command = [_ptxas(ptx), "-v", "-lineinfo", "--regAllocOptLevel=2", f"--gpu-name={target.group(1)}"]
        done = subprocess.run([*command, str(source), "-o", str(cubin)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssemblerError(f"expected ptxas to assemble the kernel, it said:\n{done.stderr.strip()}")
        return Assembly(cubin.read_bytes(), parse_ptxas_log(done.stderr))


def parse_ptxas_log(log: str) -> dict[str, Usage]:
    """Resource usage by kernel name, read from the output of ``ptxas -v``.

    >>> log = '''ptxas info    : Compiling entry function 'k' for 'sm_80'
    ...     8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
    ... ptxas info    : Used 26 registers, used 1 barriers, 512 bytes smem, 400 bytes cmem[0]'''
    >>> parse_ptxas_log(log)["k"]
    Usage(n_registers=26, n_stack_bytes=8, n_spill_bytes=8, static_shared_bytes=512)
    """
    usage = {}
    # Every part begins with a kernel's name; what stands before the first is about the module.
    names_and_parts = _ENTRY.split(log)[1:]
    for name, part in zip(names_and_parts[::2], names_and_parts[1::2], strict=True):
        used, frame, shared = _USED.search(part), _FRAME.search(part), _SHARED.search(part)
        if used is None:
            continue
        stack, stores, loads = (int(number) for number in frame.groups()) if frame else (0, 0, 0)
        usage[name] = Usage(int(used.group(1)), stack, stores + loads, int(shared.group(1)) if shared else 0)
    return usage


def kernel_resources(ptx: str, name: str, *, n_threads: int, dynamic_shared_bytes: int, gpu: GpuSpec) -> Resources:
    """Resources of one launch configuration of a kernel.

    Parameters
    ----------
    ptx : str
        The module.
    name : str
        The kernel's name in it.
    n_threads : int
        Threads in a block.
    dynamic_shared_bytes : int
        Shared memory that the launch adds to what the kernel declares, bytes per block.
    gpu : GpuSpec
        The GPU whose rules decide the occupancy.

    Returns
    -------
    Resources
        With an occupancy of 0 where no SM of ``gpu`` can hold such a block.

    Raises
    ------
    AssemblerError
        If the PTX cannot be assembled.
    """
    usage = assemble(ptx).usage[name]
    shared_bytes = usage.static_shared_bytes + dynamic_shared_bytes
    fraction = _occupancy(gpu, n_threads, usage.n_registers, shared_bytes)
    return Resources(usage.n_registers, usage.n_spill_bytes, shared_bytes, fraction)


def _occupancy(gpu: GpuSpec, n_threads: int, n_registers: int, shared_bytes: int) -> float:
    try:
        return occupancy(gpu, n_threads, n_registers, shared_bytes).fraction
    except OccupancyError:
        return 0.0


def _ptxas(ptx: str) -> str:
    version = _VERSION.search(ptx)
    newer = version is not None and (int(version.group(1)), int(version.group(2))) > _NEWEST_PTX_OF_PTXAS
    binary = "ptxas-blackwell" if newer else "ptxas"
    if path := os.environ.get(f"TRITON_{binary.upper().replace('-', '_')}_PATH"):
        return path
    # Asking for the folder does not import Triton.
    triton = importlib.util.find_spec("triton")
    for folder in (triton.submodule_search_locations or []) if triton else []:
        bundled = Path(folder, "backends", "nvidia", "bin", binary)
        if bundled.exists():
            return str(bundled)
    if found := shutil.which("ptxas"):
        return found
    raise AssemblerError(
        f"expected {binary} in the triton package or on the PATH, found neither",
        hint="install triton for Linux; kernels run without it, but their registers and spills stay unknown",
    )
