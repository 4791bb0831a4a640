"""Launches: packed parameters become arguments, and every allocation is memory that the kernel may touch."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import math
import struct
import threading
from collections.abc import Iterator, Sequence

from teachkit.emulator.arguments import Arguments, Bound
from teachkit.emulator.launches import Resources
from teachkit.errors import LaunchError, OccupancyError
from teachkit.frontends.cuda_driver import handles, stream
from teachkit.frontends.cuda_driver.code import Function
from teachkit.frontends.cuda_driver.context import require_context
from teachkit.frontends.cuda_driver.device import spec
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry, get, put
from teachkit.frontends.cuda_driver.memory import memory
from teachkit.hardware.occupancy import occupancy

Dims = tuple[int, int, int]

_COOPERATIVE, _CLUSTER = 2, 4  # CU_LAUNCH_ATTRIBUTE_COOPERATIVE, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
_BUFFER, _BUFFER_BYTES = 1, 2  # CU_LAUNCH_PARAM_BUFFER_POINTER, CU_LAUNCH_PARAM_BUFFER_SIZE
_ATTRIBUTE_BYTES = 72
_WARP, _MOST_THREADS = 32, 1024  # of a block
_BYTES_OF_BLOCK = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_int)  # CUoccupancyB2DSize


@dataclasses.dataclass(frozen=True, slots=True)
class Labels:
    """What reports and errors call the kernel and its parameters: (name, dtype, bytes of an element) each."""

    kernel: str
    parameters: Sequence[tuple[str, str, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Elements:
    """What errors say of the memory behind a pointer."""

    dtype: str
    n_bytes: int

    def element_size(self) -> int:
        return self.n_bytes


_thread = threading.local()


@contextlib.contextmanager
def labelled(labels: Labels) -> Iterator[None]:
    """Launches of this thread inside the block have these labels."""
    before = getattr(_thread, "labels", None)
    _thread.labels = labels
    try:
        yield
    finally:
        _thread.labels = before


def run(
    function: Function,
    grid: Dims,
    block: Dims,
    shared_bytes: int,
    values: Sequence[bytes],
    *,
    is_cooperative: bool = False,
    cluster: Dims | None = None,
) -> None:
    """Run a kernel to its end; ``values`` are the bytes of each parameter."""
    if 0 in grid or 0 in block:
        raise Refused(Status.INVALID_VALUE)
    labels: Labels | None = getattr(_thread, "labels", None)
    kernel = function.kernel
    name = labels.kernel if labels else kernel.name
    most = function.attributes()[0] if "maxntid" in kernel.signature.directives else math.prod(block)
    if math.prod(block) > most:
        raise LaunchError(
            f"Expected at most {most} threads in a block of kernel {name!r}, got {math.prod(block)}.",
            hint="it was compiled with launch bounds; launch smaller blocks, or compile it with wider bounds.",
        )
    if is_cooperative and math.prod(grid) > spec().n_sms * blocks_per_sm(function, math.prod(block), shared_bytes):
        raise Refused(Status.COOPERATIVE_LAUNCH_TOO_LARGE)
    function.owner.variables  # noqa: B018  # other modules' kernels may be given their addresses
    kernel.launch(
        grid,
        block,
        _arguments(function, values, labels),
        shared_bytes=shared_bytes,
        name=name,
        resources=lambda: _resources(function, block, shared_bytes),
        cluster=cluster,
    )


def _arguments(function: Function, values: Sequence[bytes], labels: Labels | None) -> Arguments:
    params = function.kernel.signature.params
    named = labels.parameters if labels and len(labels.parameters) == len(params) else None
    packed = bytearray()
    names: list[str] = []
    numbers: list[int] = []
    bounds: list[Bound | None] = []
    known = set()
    for index, (param, value) in enumerate(zip(params, values, strict=True)):
        packed += bytes(-len(packed) % param.align) + value
        name, dtype, element_bytes = named[index] if named else (param.name, "", 1)
        number = int.from_bytes(value, "little")
        found = memory.find(number) if param.n_bytes == 8 else None
        bound = None
        if found is not None:
            known.add(found.low)
            bound = Bound(name, found.low, found.high, number, _Elements(dtype or found.kind, element_bytes))
        names.append(name)
        numbers.append(number)
        bounds.append(bound)
    others = tuple(
        Bound(f"{a.kind} memory", a.low, a.high, a.low, _Elements(a.kind, 1))
        for a in memory.all()
        if a.low not in known
    )
    return Arguments(bytes(packed), names, numbers, bounds, others)


def _resources(function: Function, block: Dims, shared_bytes: int) -> Resources:
    needs = function.needs
    shared = needs.shared_bytes + shared_bytes
    try:
        fraction = occupancy(spec(), math.prod(block), needs.n_registers, shared).fraction
    except OccupancyError:
        fraction = None
    return Resources(needs.n_registers or None, needs.local_bytes, shared, fraction)


def blocks_per_sm(function: Function, n_threads: int, shared_bytes: int) -> int:
    """Blocks of a kernel that one SM of the modelled GPU holds, 0 where none fits."""
    try:
        return occupancy(
            spec(), n_threads, function.needs.n_registers, function.needs.shared_bytes + shared_bytes
        ).n_blocks_per_sm
    except OccupancyError:
        return 0


def _values(function: Function, pointers: int | None, extra: int | None) -> list[bytes]:
    """The bytes of each parameter, from an array of pointers to them or from one packed buffer."""
    params = function.kernel.signature.params
    if not params:
        return []
    if pointers:
        places = get("Q", pointers, len(params))
        return [ctypes.string_at(place, param.n_bytes) for place, param in zip(places, params, strict=True)]
    if not extra:
        raise Refused(Status.INVALID_VALUE)
    buffer, at = 0, 0
    while (kind := get("Q", extra + 8 * at)[0]) != 0:
        if kind == _BUFFER:
            (buffer,) = get("Q", extra + 8 * (at + 1))
        at += 2
    values, at = [], 0
    for param in params:
        at += -at % param.align
        values.append(ctypes.string_at(buffer + at, param.n_bytes))
        at += param.n_bytes
    return values


@entry("cuLaunchKernel", "pIIIIIIIppp")
def launch(
    function: int, gx: int, gy: int, gz: int, bx: int, by: int, bz: int, shared_bytes: int, on: int, *where: int
) -> None:
    require_context()
    stream.check(on)
    found = handles.find(function, Function)
    run(found, (gx, gy, gz), (bx, by, bz), shared_bytes, _values(found, where[0], where[1]))


@entry("cuLaunchCooperativeKernel", "pIIIIIIIpp")
def launch_cooperative(
    function: int, gx: int, gy: int, gz: int, bx: int, by: int, bz: int, shared_bytes: int, on: int, where: int
) -> None:
    require_context()
    stream.check(on)
    found = handles.find(function, Function)
    run(found, (gx, gy, gz), (bx, by, bz), shared_bytes, _values(found, where, None), is_cooperative=True)


@entry("cuLaunchKernelEx", "pppp")
def launch_with_attributes(config: int, function: int, pointers: int, extra: int) -> None:
    require_context()
    gx, gy, gz, bx, by, bz, shared_bytes = get("I", config, 7)
    on, attributes = get("Q", config + 32, 2)
    (n_attributes,) = get("I", config + 48)
    stream.check(on)
    is_cooperative, cluster = False, None  # type: bool, Dims | None
    for index in range(n_attributes):
        kind, value = struct.unpack("<i4xi", ctypes.string_at(attributes + index * _ATTRIBUTE_BYTES, 12))
        is_cooperative |= kind == _COOPERATIVE and bool(value)
        if kind == _CLUSTER:
            x, y, z = get("I", attributes + index * _ATTRIBUTE_BYTES + 8, 3)
            cluster = x, y, z
    found = handles.find(function, Function)
    values = _values(found, pointers, extra)
    run(found, (gx, gy, gz), (bx, by, bz), shared_bytes, values, is_cooperative=is_cooperative, cluster=cluster)


@entry("cuOccupancyMaxActiveBlocksPerMultiprocessor", "ppiQ")
def max_active_blocks(count: int, function: int, n_threads: int, shared_bytes: int) -> None:
    put("i", count, blocks_per_sm(handles.find(function, Function), n_threads, shared_bytes))


@entry("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags", "ppiQI")
def max_active_blocks_with_flags(count: int, function: int, n_threads: int, shared_bytes: int, flags: int) -> None:
    put("i", count, blocks_per_sm(handles.find(function, Function), n_threads, shared_bytes))


@entry("cuOccupancyMaxPotentialBlockSize", "ppppQi")
def max_potential_block_size(
    n_blocks: int, n_threads: int, function: int, shared_of: int, shared_bytes: int, limit: int
) -> None:
    """The largest block with which an SM has most threads at work, and as many blocks as then fill the GPU.

    ``shared_of`` is null or says how many bytes of shared memory a block of so many threads wants.
    """
    found = handles.find(function, Function)
    wanted = _BYTES_OF_BLOCK(shared_of) if shared_of else None
    best = 0, 0, 0  # threads of an SM at work, threads of a block, blocks of an SM
    for size in range(_WARP, min(limit or _MOST_THREADS, _MOST_THREADS) + 1, _WARP):
        blocks = blocks_per_sm(found, size, wanted(size) if wanted else shared_bytes)
        best = max(best, (blocks * size, size, blocks))
    put("i", n_blocks, best[2] * int(spec().n_sms))
    put("i", n_threads, best[1])
