"""Special registers: where a thread is in its launch, and what it may ask about the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.emulator.engine.context import CLOCK_STEP, LANES, offset
from teachkit.emulator.engine.shapes import I8, I32, I64, POINTER, Value, lane_constants, lane_numbers, vector_of
from teachkit.emulator.ptx.reserved import VALUES

if TYPE_CHECKING:
    from teachkit.emulator.engine.emit import Emitter

_GRID_WORKSPACE = "tk_grid_workspace"  # a variable of frontends/device_runtime.ptx


def read(e: Emitter, name: str) -> Value:
    """A special register: scalar where it is the same in all lanes."""
    base, _, axis = name.partition(".")
    if base in ("%ctaid", "%nctaid", "%ntid"):
        return e.field(base[1:], I32, 4 * "xyz".index(axis))
    if base == "%tid":
        table = e.field("thread_ids", POINTER)
        row = e.field("warp", I64)
        if axis != "x":
            before = e.builder.mul(e.field("n_warps", I64), I64("xyz".index(axis)))
            row = e.builder.add(before, row)
        slot = e.builder.gep(table, [e.builder.mul(row, I64(4 * LANES))], source_etype=I8)
        return e.builder.load(slot, typ=I32 if e.lane_zero else vector_of(I32), align=4)
    if name == "%laneid":
        return I32(0) if e.lane_zero else lane_numbers()
    if name == "%warpid":
        return e.builder.trunc(e.field("warp", I64), I32)
    if name == "%nwarpid":
        return e.builder.trunc(e.field("n_warps", I64), I32)
    if name in ("%total_smem_size", "%dynamic_smem_size"):
        total = e.builder.trunc(e.field("shared_bytes", I64), I32)
        if name == "%total_smem_size" and e.reserved_bytes:
            total = e.builder.sub(total, I32(e.reserved_bytes))
        # Dynamic memory begins at a multiple of 16 behind what the kernel declares.
        declared = I32(0 if name == "%total_smem_size" else -(-e.shared_bytes // 16) * 16)
        return e.intrinsic("llvm.usub.sat", total, declared)
    if name in VALUES:
        return I32(VALUES[name])
    masks = {
        "%lanemask_eq": lambda lane: 1 << lane,
        "%lanemask_lt": lambda lane: (1 << lane) - 1,
        "%lanemask_le": lambda lane: (2 << lane) - 1,
        "%lanemask_gt": lambda lane: 0xFFFFFFFF & ~((2 << lane) - 1),
        "%lanemask_ge": lambda lane: 0xFFFFFFFF & ~((1 << lane) - 1),
    }
    if name in masks:
        return lane_constants(I32, [masks[name](lane) for lane in range(LANES)])
    if name == "%gridid":
        return I32(0)
    if name.startswith(("%cluster", "%ncluster", "%is_explicit_cluster")):
        return _in_cluster(e, base, axis)
    if name in ("%envreg1", "%envreg2") and _GRID_WORKSPACE in e.globals:  # upper and lower half of its address
        place = e.symbol(_GRID_WORKSPACE, "u64")
        return e.builder.trunc(e.builder.lshr(place, I64(32)) if name == "%envreg1" else place, I32)
    if name in ("%smid", "%nsmid"):
        n_sms = e.field("n_sms", I64)
        number = n_sms if name == "%nsmid" else e.builder.urem(e.field("block", I64), n_sms)
        return e.builder.trunc(number, I32)
    if name.startswith(("%clock", "%globaltimer")):
        return _clock(e, name)
    raise e.unsupported(f"special register {name}")


def _in_cluster(e: Emitter, base: str, axis: str) -> Value:
    """Where a block is in its cluster, and a cluster in the grid. Without clusters every block is one."""
    b = e.builder
    if base == "%is_explicit_cluster":
        return b.icmp_unsigned("!=", e.field("is_cluster", I32), I32(0))
    if base in ("%cluster_ctarank", "%cluster_nctarank"):
        sizes = [e.field("cluster_nctaid", I32, 4 * i) for i in range(3)]
        if base == "%cluster_nctarank":
            return b.mul(b.mul(sizes[0], sizes[1]), sizes[2])
        x, y, z = (b.urem(e.field("ctaid", I32, 4 * i), sizes[i]) for i in range(3))
        return b.add(b.mul(b.add(b.mul(z, sizes[1]), y), sizes[0]), x)
    at = 4 * "xyz".index(axis)
    size = e.field("cluster_nctaid", I32, at)
    if base == "%cluster_nctaid":
        return size
    number = e.field("nctaid" if base == "%nclusterid" else "ctaid", I32, at)
    return b.urem(number, size) if base == "%cluster_ctaid" else b.udiv(number, size)


def _clock(e: Emitter, name: str) -> Value:
    """A block's time stands still but for readings of it, so that a program that measures or waits does the same
    in every run. Cycles and nanoseconds are the same thing here."""
    slot = e.builder.gep(e.context, [I64(offset("clock"))], source_etype=I8)
    now = e.builder.add(e.builder.load(slot, typ=I64), I64(CLOCK_STEP))
    e.builder.store(now, slot)
    if name.endswith("_hi"):
        return e.builder.trunc(e.builder.lshr(now, I64(32)), I32)
    return now if name in ("%clock64", "%globaltimer") else e.builder.trunc(now, I32)
