"""A fault record in words: argument, offset, block, thread and the learner's own source line."""

from __future__ import annotations

import math
from typing import Any

from teachkit.emulator.arguments import Arguments, with_article
from teachkit.emulator.engine.context import (
    CLUSTER_OFFSET,
    CLUSTER_RANK_AT,
    LANES,
    NOWHERE,
    ClusterState,
    Context,
    Fault,
)
from teachkit.emulator.engine.recursion import STACK_BYTES
from teachkit.emulator.ptx.model import Function, SourceLine
from teachkit.emulator.sites import BULK, Site
from teachkit.errors import KernelFault

Dims = tuple[int, int, int]

NULL_BYTES = 1 << 16  # no process has memory below: the kernel keeps it free to catch null pointers


_MAP_REASONS = {
    1: "which is no memory of the launch",
    2: "which is not a multiple of 64 bytes from where its memory begins",
    3: "where there is none",
    4: "which has another number of dimensions than the instruction",
    5: "whose type of elements is not emulated",
    6: "whose box or element strides are out of range (1 to 256 and 1 to 8), or its rows no multiple of 16 bytes",
    7: "whose swizzle or interleaved layout is not emulated",
    8: "whose box has rows wider than its swizzle",
    9: "whose box has rows narrower than its swizzle, which is not emulated",
    10: "which fills with NaN what are no floats, or with something that does not exist",
    11: "whose address or strides are no multiples of 16 bytes, or whose sizes or strides are out of range",
    12: "for whose type of elements this reduction is not emulated",
}

_TENSOR_REASONS = {
    1: ("Expected 32, 64, 128, 256 or 512 columns of tensor memory to allocate, got {0}", "there are 512 columns."),
    2: (
        "The block allocates {0} columns of tensor memory after tcgen05.relinquish_alloc_permit",
        "allocate first, then let other blocks do so.",
    ),
    3: (
        "There are no {0} columns of tensor memory left",
        "a GPU would wait here until some are given back; a block has 512 columns, and wants them in one piece.",
    ),
    4: (
        "The columns of tensor memory that are given back from column {0} on are no allocation of this block",
        "tcgen05.dealloc takes an address that tcgen05.alloc gave, with the same number of columns, once.",
    ),
    5: (
        "Out-of-bounds access of tensor memory at lane {2}, column {1}",
        "not all its columns were allocated by tcgen05.alloc.",
    ),
    6: (
        "Access of tensor memory at lane {2}, column {1}, where it may not begin",
        "warp w has lanes 32 (w % 4) to 32 (w % 4) + 31; a matrix of 128 rows begins at lane 0, one of 64 at 0 or 16.",
    ),
    7: (
        "Expected an instruction descriptor of a product that is emulated, got {0:#010x}",
        "look at its types, its shape (M of 64 or 128), and that it asks for no sparsity and no shift.",
    ),
    8: (
        "Expected a descriptor of a matrix in shared memory that is emulated, got {0:#018x}",
        "its swizzle (bits 61 to 63) must be 0, 2, 4 or 6, and its leading offset relative (bit 52 is 0).",
    ),
    9: (
        "The block ended without giving back all tensor memory that it had allocated",
        "every tcgen05.alloc needs a tcgen05.dealloc; on a GPU, later blocks would wait for ever.",
    ),
}


def explain(
    program: Any,
    kernel: str,
    grid: Dims,
    block: Dims,
    arguments: Arguments,
    shared_bytes: int,
    context: Context,
    assertion: str = "",
) -> KernelFault:
    """The error for the fault in ``context``; ``kernel`` is what reports call it."""
    record = context.fault
    site = next((s for s in program.sites if s.slot == record.site and s.kind in ("access", "guard", "tensor")), None)
    where = _Place(kernel, grid, block, record, site)
    if record.fault == Fault.DEADLOCK:
        return where.error(
            "Some warps of the block wait at a barrier that the others never reach",
            "deadlock",
            hint="every thread of a block must reach the same barrier; look for one inside an if.",
        )
    if record.fault == Fault.ASSERT:
        return where.error(
            f"A device-side assertion failed: {assertion}",
            "failed assertion",
            hint="the kernel checks this itself; look at the values that reach the assertion.",
        )
    if record.fault == Fault.TRAP:
        return where.error(
            "The kernel stopped itself (trap)",
            "trap",
            hint="it ran __trap(), or something without a meaning in C++, where compilers put a trap: a store to "
            "__constant__ memory, for example.",
        )
    if record.fault == Fault.NO_FUNCTION:
        return where.error(
            "A call through a pointer leads to no function that takes such arguments",
            "wrong call",
            hint="the pointer is null, nobody has set it, or it is no address in this module's GPU code.",
        )
    if record.fault == Fault.BREAKPOINT:
        return where.error(
            "The kernel stopped at a breakpoint (brkpt), and there is no debugger to let it go on",
            "breakpoint",
            hint="remove __brkpt() or brkpt from the kernel, else look at what led there.",
        )
    if record.fault == Fault.PARTIAL_COPY:
        return where.error(
            "Expected an asynchronous copy of all its bytes or of none, got one of a part",
            "partial copy",
            hint="such copies are not emulated; no compiler that was tried emits them.",
        )
    if record.fault == Fault.STACK_OVERFLOW:
        return where.error(
            f"A function called itself until the stack of its thread was full ({STACK_BYTES} bytes)",
            "stack overflow",
            hint="look for recursion that never ends, else use a loop: a GPU has 1024 bytes of stack a thread "
            "unless cudaDeviceSetLimit asks for more, and the emulator stops at the number above.",
        )
    if record.fault == Fault.TENSOR_MAP:
        return where.error(
            f"Expected a tensor map at address {record.address:#x}, {_MAP_REASONS[record.n_bytes]}",
            "tensor map",
            hint="pass a TensorDescriptor or what cuTensorMapEncodeTiled made, or look at how the kernel makes it.",
        )
    if record.fault == Fault.TENSOR_MEMORY:
        what, hint = _TENSOR_REASONS[record.n_bytes]
        address = record.address
        return where.error(what.format(address, address & 0xFFFF, address >> 16), "tensor memory", hint=hint)
    is_shared = site is not None and site.space == "shared"
    verb = "store" if site is not None and site.is_store else "load"
    if site is not None and site.is_atomic:
        verb = "atomic operation"
    if site is not None and site.opcode.startswith(BULK):
        verb = "bulk copy" if site.opcode.startswith("cp.") else "update of a tensor map"
    what = f"{verb} of {record.n_bytes} bytes"
    if context.cluster and record.address & NOWHERE:
        place, hint = _in_cluster(context, record, shared_bytes)
        return where.error(f"Out-of-bounds {what} {place}", "out-of-bounds access", hint=hint)
    if is_shared:
        at, whose = record.address - (context.shared or 0), ""
        if context.cluster:
            state = ClusterState.from_address(context.cluster)
            rank, at = divmod(record.address - state.arena, 1 << state.shift)
            whose = f" of block {rank} of its cluster"
        target, name = f"at byte {at} of shared memory{whose}, which has {shared_bytes} bytes", None
    elif site is not None and (site.space == "local" or site.opcode.startswith(("ld.param", "st.param"))):
        has = program.local_bytes
        target, name = f"at byte {record.address} of the thread's local memory, which has {has} bytes", None
    else:
        root = site.root if site is not None else ""
        target, name = target_of(program.kernel.function, arguments, root, record.address, record.n_bytes)
    if record.fault == Fault.MISALIGNED and site is not None and site.opcode.startswith(BULK):
        return where.error(
            f"Misaligned {verb} {target}",
            "misaligned access",
            name,
            hint=f"expected an address that is a multiple of {record.n_bytes} bytes, and a size that is one of 16.",
        )
    if record.fault == Fault.MISALIGNED:
        return where.error(
            f"Misaligned {what} {target}",
            "misaligned access",
            name,
            hint=f"an access of {record.n_bytes} bytes needs an address that is a multiple of {record.n_bytes}.",
        )
    hint = "the access was not carried out. Mask the lanes past the end, or check the strides that were passed."
    if site is not None and ".bulk.tensor" in site.opcode and not is_shared:
        hint = "nothing was copied. The tensor map describes more than the tensor has: check its shape and strides."
    elif site is not None:
        hint += what_may_be_missing(program, arguments, site)
    return where.error(f"Out-of-bounds {what} {target}", "out-of-bounds access", name, hint=hint)


def what_may_be_missing(program: Any, arguments: Arguments, site: Site) -> str:
    """What else to look at where an access is out of bounds: what a launch has to be told. Empty for nothing."""
    if site.space == "shared":
        variables = program.kernel.owner.module.variables.values()
        if not any(variable.space == "shared" and not variable.n_bytes for variable in variables):
            return ""
        return " What the kernel declares extern __shared__ has the size that the launch gives: [grid, block, bytes]."
    names = [parameter.name for parameter in program.kernel.function.params]
    is_found = site.root in names and arguments.bounds[names.index(site.root)].is_memory
    if site.space != "global" or is_found or (site.root and site.root not in names) or not names:
        return ""
    return " A CUDA C++ kernel that finds an array by an address in memory or in a structure needs memory=[array]."


def _in_cluster(context: Context, record: Any, shared_bytes: int) -> tuple[str, str]:
    """Where an address leads that is in the shared memory of no block of the cluster, and what to do about it."""
    size, rank = math.prod(context.cluster_nctaid), (record.address >> CLUSTER_RANK_AT & 0xFF) - 1
    at = record.address & CLUSTER_OFFSET
    if rank < 0 or record.address >> 32 & 0xFFFFFF:
        return "at an address that is in no block's shared memory", "give mapa an address in shared memory."
    if rank >= size:
        return (
            f"at byte {at} of shared memory of block {rank} of a cluster of {size} blocks",
            "the access was not carried out. Ranks are 0 to the size of the cluster minus 1.",
        )
    place = f"at byte {at} of shared memory of block {rank} of its cluster"
    if at + record.n_bytes > shared_bytes:
        return f"{place}, which has {shared_bytes} bytes", "the access was not carried out."
    return (
        f"{place}, which has not begun, or has ended",
        "wait at the barrier of the cluster before the first access to another block's shared memory and behind the "
        "last one: cluster.sync().",
    )


def target_of(
    function: Function, arguments: Arguments, root: str, address: int, n_bytes: int
) -> tuple[str, str | None]:
    """The argument that the address is computed from, as far as the code shows, else the one that lies nearest."""
    names = [parameter.name for parameter in function.params]
    if root in names:
        bound = arguments.bounds[names.index(root)]
    elif root:
        return f"of the module's variable {root!r}", root
    elif address < NULL_BYTES:
        return f"at address {address:#x}: a null pointer, or one that is no address at all", None
    else:
        pointers = [bound for bound in arguments.bounds + arguments.others if bound.high > bound.low]
        if not pointers:
            return f"at address {address:#x}; no argument is a tensor", None
        bound = min(pointers, key=lambda bound: max(bound.low - address, address + n_bytes - bound.high, 0))
    if not bound.is_memory:
        return f"at address {address:#x}, computed from argument {bound.name!r}, which is {bound.shown}", bound.name
    offset, skipped = address - bound.data, bound.data - bound.low
    begins = f" that begins {skipped} bytes before it" if skipped else ""
    return (
        f"at byte offset {offset} (element {offset // bound.element_bytes}) of argument {bound.name!r}, "
        f"{with_article(bound.shown)} in an allocation of {bound.high - bound.low} bytes{begins}",
        bound.name,
    )


def block_at(number: int, grid: Dims) -> Dims:
    """Indices of the block with that number, x first."""
    return number % grid[0], number // grid[0] % grid[1], number // (grid[0] * grid[1])


def shown_line(source: SourceLine) -> str:
    """Where a line is, and the line itself where its file is here."""
    return f"at {source}" + (f":  {source.text}" if source.text else "")


class _Place:
    """Block, thread and source line of a fault."""

    def __init__(self, kernel: str, grid: Dims, block: Dims, record: Any, site: Site | None) -> None:
        self.kernel = kernel
        self.block = block_at(record.block, grid)
        lane = (record.lanes & -record.lanes).bit_length() - 1 if record.lanes else 0
        linear = record.warp * LANES + lane
        self.thread = (
            linear % block[0],
            linear // block[0] % block[1],
            linear // (block[0] * block[1]),
        )
        self.n_lanes = record.lanes.bit_count()
        self.site = site

    def error(self, what: str, kind: str, argument: str | None = None, *, hint: str) -> KernelFault:
        lanes = f" (and {self.n_lanes - 1} more lanes of its warp)" if self.n_lanes > 1 else ""
        lines = [f"{what},", f"in kernel {self.kernel!r}, block {self.block}, thread {self.thread}{lanes}"]
        source = ""
        if self.site is not None and self.site.source is not None:
            source = str(self.site.source)
            lines.append(shown_line(self.site.source))
        elif self.site is not None:
            lines.append(f"at PTX line {self.site.ptx_line}: {self.site.opcode}")
        return KernelFault(
            "\n  ".join(lines),
            hint=hint,
            kernel=self.kernel,
            kind=kind,
            block=self.block,
            thread=self.thread,
            argument=argument,
            source=source,
        )
