"""Numbers that the monitor (compiled by Numba) and the Python around it agree on: tables, events, findings.

A launch has one table and every worker an area of its own; both are arrays of 64-bit integers, indexed by the
names below. An entry whose name ends in ``_AT`` is the host address of an array.
"""

from __future__ import annotations

import enum

LANES = 32
N_BARRIERS = 16


class Table(enum.IntEnum):
    """The table of a launch."""

    RACE = 0  # whether each kind of finding is wanted
    MEMORY = 1
    INIT = 2
    SYNC = 3
    N_WARPS = 4  # of a block
    ATTRIBUTES_AT = 5  # i64[n_slots]: what each access is, see pack_attributes
    GLOBAL_SHIFT = 6  # log2 of the bytes that one shadow entry stands for
    SHARED_SHIFT = 7
    LOCAL_SHIFT = 8
    N_INTERVALS = 9
    INTERVALS_AT = 10  # i64[n][4]: low, high, index of its first shadow entry, unwritten bytes (u8[high - low], or 0)
    WRITES_AT = 11  # i64[n]: the last write to each piece of global memory, see Entry
    READS_AT = 12  # i64[2][n]: up to two reads since
    RELEASES_AT = 13  # i32[n]: the last release made there
    N_ENTRIES = 14
    EPOCHS_AT = 15  # i64[n]: warp of the launch << 24 | its clock
    N_EPOCHS = 16
    MAX_EPOCHS = 17
    N_RECORDS = 18  # releases; number 0 is none
    MAX_RECORDS = 19
    RECORD_BLOCK_AT = 20  # i64[n]
    RECORD_CLOCKS_AT = 21  # i32[n][2][n_warps]: what other blocks, and the same block, may rely on
    RECORD_FIRST_AT = 22  # i64[n + 1]: its first edge
    EDGES_AT = 23  # i32[n]: releases that a release came after
    N_EDGES = 24
    MAX_EDGES = 25
    STAMPS_AT = 26  # i32[n]: the search that visited a release last
    STACK_AT = 27  # i32[n]
    SEARCH = 28
    FINDINGS_AT = 29  # i64[n][N_FIELDS]
    N_FINDINGS = 30
    MAX_FINDINGS = 31
    N_TOTAL = 32  # findings, repetitions included
    OVERFLOW = 33  # bits of Overflow
    REPLICATED = 34  # whether threads load copies of what another one of their block is the owner of
    RESERVED = 35  # bytes at the start of shared memory that are not the kernel's
    LENGTH = 36


class Area(enum.IntEnum):
    """What a worker knows of the block it runs."""

    TABLE_AT = 0
    BLOCK = 1  # -1 before the first
    FIRST_EPOCH = 2  # entries of shared memory with a lower one are of an earlier block
    WRITES_AT = 3  # as in Table, for shared memory
    READS_AT = 4
    RELEASES_AT = 5
    N_ENTRIES = 6
    SHARED_AT = 7
    LOCAL_AT = 8  # i32[n]: number of the block that wrote each piece of local memory last
    LOCAL_BYTES = 9  # of a lane
    SERIAL = 10  # of the block on this worker
    CLOCKS_AT = 11  # i32[n_warps][n_warps]: how much each warp knows of each other, and its own time
    FENCED_AT = 12  # i32[2][n_warps][n_warps]: the same at its last fence, for other blocks and for its own
    KNOWN_AT = 13  # i32[n_warps]: the latest release that it acquired
    EPOCH_AT = 14  # i64[n_warps]: number of its current epoch, 0 for none yet
    STARTED_AT = 15  # i64[n_warps]: lanes that exist
    EXITED_AT = 16  # i64[n_warps]: lanes that are done
    WAITING_AT = 17  # i64[n_warps]: barrier, -1 for none
    WAIT_LANES_AT = 18
    WAIT_SITE_AT = 19
    WHOLE_AT = 20  # i64[n_warps]: whether that barrier is for the whole block
    BARRIER_CLOCKS_AT = 21  # i32[3][N_BARRIERS][n_warps]: clocks, and both kinds of fenced ones
    BARRIER_KNOWN_AT = 22  # i32[N_BARRIERS]
    GROUP_AT = 23  # i64[n_warps]: number of the open group of asynchronous copies
    N_COPIES_AT = 24  # i64[n_warps]
    COPIES_AT = 25  # i64[n_warps][MAX_COPIES][N_COPY_FIELDS]
    HAS_RELEASES = 26  # in shared memory
    TO_TELL_AT = 27  # i64[n_warps]: whether it has made accesses that no release covers, see below
    VERSION = 28  # of the monitor, for its cache
    SYNCED_AT = 29  # i64[n_warps]: its clock when all of its lanes met last
    PARTIAL_AT = 30  # i32[n_warps][N_PARTIAL]: lanes that met since, by clock
    LAST_AT = 31  # i32[n_warps]: its last release
    STRONG_SITE_AT = 32  # i64[n_warps]: of its last atomic or volatile access
    LENGTH = 33


# Accesses behind the warp's last fence for its block, behind that for the GPU, and behind its last release though not
# behind its last fence.
UNFENCED_BLOCK, UNFENCED_GPU, UNRELEASED = 1, 2, 4

N_PARTIAL = 64  # meetings of some lanes that are kept; what lies before counts as a meeting of all


MAX_COPIES = 8192  # asynchronous copies of a warp that may be on their way
N_COPY_FIELDS = 6  # address, group << 8 | lane, bytes, entry, two words of data

# An access as a shadow entry: lane (5 bits), strong, whole GPU, still on its way, site (20 bits), epoch (25 bits); of
# a write, which load of the same thread it came after (8 bits, see shadow.py).
ENTRY_STRONG = 5
ENTRY_GPU = 6
ENTRY_PENDING = 7
ENTRY_SITE = 10
ENTRY_EPOCH = 30
ENTRY_READER = 55
MAX_SITE = (1 << 20) - 1
MAX_EPOCH = (1 << 25) - 1

# Attributes of a site.
SPACE_MASK = 7
GLOBAL, SHARED, LOCAL, CONST = 1, 2, 3, 4
SPACES = {"global": GLOBAL, "shared": SHARED, "local": LOCAL, "const": CONST}
IS_STORE, IS_ATOMIC, IS_STRONG, IS_RELEASE, IS_GPU, IS_ASYNC = (1 << bit for bit in range(3, 9))


class Overflow(enum.IntEnum):
    """What a launch was too long for."""

    EPOCHS = 1
    RECORDS = 2
    COPIES = 4


class Event(enum.IntEnum):
    """What a warp tells the monitor besides its accesses."""

    START = 0
    EXIT = 1
    BARRIER = 2
    RESUME = 3
    ARRIVE = 4
    FENCE = 5
    WARP_BARRIER = 6
    TOGETHER = 7  # shfl, vote, match, redux: lanes that must take part
    ALIGNED = 8  # mma, ldmatrix...: all lanes must
    COMMIT = 9
    WAIT = 10


class Found(enum.IntEnum):
    """Kinds of findings as the monitor numbers them."""

    OUT_OF_BOUNDS = 1
    MISALIGNED = 2
    OUTSIDE_VIEW = 3
    READ_AFTER_WRITE = 4
    WRITE_AFTER_WRITE = 5
    WRITE_AFTER_READ = 6
    SAME_INSTRUCTION = 7
    UNINITIALISED = 8
    COPY_NOT_WAITED = 9
    COPY_NOT_COMMITTED = 10
    DIVERGENT_BARRIER = 11
    BARRIER_AFTER_EXIT = 12
    ABSENT_LANE = 13
    UNNAMED_LANE = 14
    READS_ABSENT_LANE = 15
    LANES_OFF = 16
    DEADLOCK = 17


class Field(enum.IntEnum):
    """Columns of a finding. Threads are numbered in their block."""

    KIND = 0
    SITE = 1
    OTHER_SITE = 2
    BLOCK = 3
    THREAD = 4
    OTHER_BLOCK = 5
    OTHER_THREAD = 6
    ADDRESS = 7  # of the host in global memory, else an offset
    N_BYTES = 8
    LANES = 9  # that the finding speaks of
    COUNT = 10


N_FIELDS = len(Field)
