"""What a worker thread and the code it runs share in memory.

``Context`` is the one definition of the layout: generated code and ``runtime/*.ll`` both take their byte
offsets from it. Each worker thread owns one context, one shared memory, and one set of warp frames.
"""

from __future__ import annotations

import ctypes
import enum

LANES = 32
SECTOR_BYTES = 32

FRAME_RESUME = 0  # i32: which resume point to enter, 0 at the start of a block
FRAME_STATUS = 4  # i32: a Status
FRAME_BARRIER = 8  # i32: barrier number waited at
FRAME_EXPECTED = 12  # i32: threads that barrier waits for, 0 for the whole block
FRAME_PARKED = 16  # i32: lanes that are kept aside, see runtime/parking.ll
FRAME_HELD = 20  # i32: lanes that wait at a barrier for lanes kept aside
FRAME_PATIENCE = 24  # i32: times in a row that the warp used up its turns at one place
FRAME_YIELDED = 28  # i32: that place, also of the copy of the frame
FRAME_PARKED_AT = 32  # i32: where lanes were kept aside last
FRAME_HELD_AT = 36  # i32[3]: place, number and size of the barrier
N_BARRIERS = 16  # of a block
FRAME_REGISTERS = 64  # saved registers start here

TRACE_BLOCK_MARK = 1 << 63  # a record with this bit carries a block number, the rest are accesses
TRACE_ATOMIC_BIT = 1 << 62  # at the L2, by the L1: with the store bit reads and writes, without it reads
TRACE_STRIDE_BIT = 1 << 61  # all lanes, one sector each: the next word says how many sectors apart
TRACE_STORE_BIT = 1 << 0
TRACE_COUNT_SHIFT = 1  # (sectors - 1), 7 bits
TRACE_SECTOR_SHIFT = 8  # address / 32

CLUSTER_RANK_AT, CLUSTER_OFFSET = 24, (1 << 24) - 1  # of an address in shared::cluster; above it, 1 + the rank
NOWHERE = 1 << 56  # with the rest of such an address: a generic one that leads to no block's shared memory

CLOCK_STEP = 32  # cycles that a reading of the clock takes; nothing else takes any

# requests, lanes, sectors or wavefronts, excess wavefronts or the largest conflict; then, of requests that are not in
# these: how many were one run of memory by all lanes, and sectors of theirs beyond one each
SLOTS_PER_ACCESS = 6
LANES_SLOT, CONFLICT_SLOT, RUN_SLOT = 1, 3, 4

MAX_GROUP = 8  # neighbouring elements that a thread accesses one by one and the engine as one

# One number tells the runtime what an access is: its site, and from these bits on
APART_BYTES = 32  # bytes a lane, 8 bits
APART_INTERVAL = 40  # 1 + the number of the interval it must stay in, 0 where that is unknown; 16 bits
APART_HOW = 56  # How, 3 bits
APART_CLEARS = 1 << 59  # lanes that are off load zeros; else what the staging buffer holds
APART_SILENT = 1 << 63  # it is not counted


class Status(enum.IntEnum):
    """What a warp returns to the scheduler."""

    EXITED = 0
    BARRIER = 1
    YIELDED = 2
    TOGETHER = 3  # some lanes need others of their warp that are parked


class How(enum.IntEnum):
    """How the lanes' addresses of an access are given."""

    EACH = 0  # in the staging buffer
    OFFSETS = 1  # there, as offsets in shared memory of 32 bits
    BY_STRIDE = 2  # the first and the stride
    BY_STRIDE_IN_32_BITS = 3  # of offsets in shared memory
    INDEXED = 4  # in the staging buffer, as indices of 32 bits with a sign; the first is the base, the stride the scale
    INDEXED_UNSIGNED = 5


class Fault(enum.IntEnum):
    """Why a launch stopped."""

    NONE = 0
    OUT_OF_BOUNDS = 1
    MISALIGNED = 2
    DEADLOCK = 3
    TRAP = 4
    ASSERT = 5
    PARTIAL_COPY = 6
    STACK_OVERFLOW = 7
    BREAKPOINT = 8
    TENSOR_MAP = 9  # n_bytes says why, see faults.py
    TENSOR_MEMORY = 10  # the same
    NO_FUNCTION = 11  # that a call through a pointer leads to


class Stop(ctypes.Structure):
    """Whether the threads of a launch go on. ``value`` 1: only with blocks below ``block``, the lowest that failed, so
    that the lowest of all is found; 2: no longer, and running blocks are left as well."""

    _fields_ = [("value", ctypes.c_int64), ("block", ctypes.c_int64)]


class FaultRecord(ctypes.Structure):
    """The first fault that a worker met; blocks are taken in order, so it is the lowest of that worker."""

    _fields_ = [
        ("fault", ctypes.c_int64),
        ("block", ctypes.c_int64),
        ("warp", ctypes.c_int64),
        ("site", ctypes.c_int64),
        ("lanes", ctypes.c_int64),
        ("address", ctypes.c_uint64),
        ("n_bytes", ctypes.c_int64),
    ]


class Context(ctypes.Structure):
    """One worker's view of the launch. Pointers are 64-bit host addresses."""

    _fields_ = [
        ("params", ctypes.c_void_p),
        ("shared", ctypes.c_void_p),
        ("shared_bytes", ctypes.c_int64),
        ("reserved_bytes", ctypes.c_int64),  # of these, the first; they are zero when a block begins
        ("shared_end", ctypes.c_int64),  # of what may be touched
        ("local", ctypes.c_void_p),
        ("staging", ctypes.c_void_p),  # packed data of 32 lanes, then their addresses
        ("globals", ctypes.c_void_p),  # u64[n]: host address of each module variable
        ("bounds", ctypes.c_void_p),  # u64[n][2]: [low, high) of each parameter, then of everything else
        ("n_bounds", ctypes.c_int64),
        ("sites", ctypes.c_void_p),  # i64[n]: counters, one group per place in the kernel
        ("thread_ids", ctypes.c_void_p),  # i32[3][n_warps * 32]: tid.x, tid.y, tid.z
        ("frames", ctypes.c_void_p),
        ("frame_bytes", ctypes.c_int64),
        ("n_warps", ctypes.c_int64),
        ("last_warp_mask", ctypes.c_int64),
        ("trace_begin", ctypes.c_void_p),
        ("trace_cursor", ctypes.c_void_p),
        ("trace_end", ctypes.c_void_p),
        ("trace_reserve", ctypes.c_int64),  # bytes the code may append between two checks
        ("trace_limit", ctypes.c_int64),  # bytes after which the worker takes no further block
        ("turns", ctypes.c_int64),  # loop iterations before a warp yields
        ("yields", ctypes.c_int64),  # times that warps of a block yield before the worker comes back
        ("stop", ctypes.c_void_p),  # a Stop, shared by all workers
        ("block", ctypes.c_int64),
        ("warp", ctypes.c_int64),
        ("budget", ctypes.c_int64),  # blocks that the worker may take before it comes back
        ("unfinished", ctypes.c_int64),  # the last call returned in the middle of a block
        ("clock", ctypes.c_int64),  # of the block that runs, see Emitter.special
        ("arrivals", ctypes.c_int64),  # at barriers in shared memory
        ("n_sms", ctypes.c_int64),  # of the modelled GPU
        ("tensor", ctypes.c_void_p),  # tensor memory, once a block has allocated some
        ("tensor_room", ctypes.c_void_p),  # what that lies in
        ("tensor_held", ctypes.c_int64),  # of it, see runtime/tensor_memory.ll
        ("ctaid", ctypes.c_uint32 * 3),
        ("nctaid", ctypes.c_uint32 * 3),
        ("ntid", ctypes.c_uint32 * 3),
        ("arrived", ctypes.c_uint32 * N_BARRIERS),  # threads that do not wait themselves, by barrier
        ("votes", ctypes.c_uint32 * N_BARRIERS),  # threads whose predicate holds, so far
        ("voters", ctypes.c_uint32 * N_BARRIERS),
        ("vote_result", ctypes.c_uint32 * N_BARRIERS),  # the same of the last time the barrier let go
        ("voter_result", ctypes.c_uint32 * N_BARRIERS),
        ("masks_at", ctypes.c_int64),  # of the blocks' masks in a frame; those of parked and of held lanes follow
        ("n_masks", ctypes.c_int64),  # 0 where no lanes are ever parked
        ("group_firsts", ctypes.c_uint64 * MAX_GROUP),  # addresses of lane 0 in the accesses of a group
        ("group_lanes", ctypes.c_uint64 * MAX_GROUP),  # which lanes are on, 32 bits
        ("waits", ctypes.c_void_p),  # i32[n]: by place, what runtime/parking.ll must know of the loop there
        ("scan", ctypes.c_int64),  # place from which all blocks are looked through
        ("copies", ctypes.c_void_p),  # frames of warps that used their turns up
        ("fault", FaultRecord),
        ("checks", ctypes.c_void_p),  # what the monitor of a checked launch keeps for this worker
        ("cluster_nctaid", ctypes.c_uint32 * 3),
        ("is_cluster", ctypes.c_uint32),  # the launch has a cluster size of its own
        ("cluster", ctypes.c_void_p),  # ClusterState, where blocks run as clusters
        ("cluster_lanes", ctypes.c_void_p),  # u32[2][n_warps]: parity of the phase a lane arrived in last; lanes gone
    ]


class ClusterState(ctypes.Structure):
    """What the blocks of a cluster share. The shared memory of block ``rank`` begins at ``arena + (rank << shift)``."""

    _fields_ = [
        ("phase", ctypes.c_uint32),  # of the barrier: 0, or all ones
        ("rest", ctypes.c_uint32),
        ("n_counted", ctypes.c_int64),  # threads that have arrived in this phase, or are gone
        ("n_gone", ctypes.c_int64),
        ("n_threads", ctypes.c_int64),
        ("arena", ctypes.c_uint64),
        ("shift", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("limits", ctypes.c_uint64 * 256),  # bytes that may be touched, by 1 + rank; 0 of a block that does not run
    ]


def offset(name: str) -> int:
    """Byte offset of a field; ``fault.block`` names one of its fault record, ``cluster.phase`` of a ClusterState"""
    first, _, rest = name.partition(".")
    if first == "cluster" and rest:
        return int(getattr(ClusterState, rest).offset)
    base: int = getattr(Context, first).offset
    return base + (getattr(FaultRecord, rest).offset if rest else 0)
