"""The memory that the monitor of one launch works on, and its findings afterwards."""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from teachkit.emulator.checks.findings import Dims, Finding
from teachkit.emulator.checks.first_guesses import first_guesses
from teachkit.emulator.checks.layout import (
    IS_ASYNC,
    IS_ATOMIC,
    IS_GPU,
    IS_RELEASE,
    IS_STORE,
    IS_STRONG,
    MAX_COPIES,
    MAX_EPOCH,
    N_BARRIERS,
    N_COPY_FIELDS,
    N_FIELDS,
    N_PARTIAL,
    SPACES,
    Area,
    Found,
    Overflow,
    Table,
)
from teachkit.emulator.checks.sentences import Writer
from teachkit.emulator.engine.context import LANES, Context
from teachkit.emulator.sites import BULK, Site
from teachkit.errors import LaunchError

Interval = tuple[int, int]

_MAX_EPOCHS = MAX_EPOCH
_MAX_RECORDS = 1 << 18
_MAX_EDGES = 1 << 21
_MAX_FINDINGS = 256
_NOTES = {
    Overflow.EPOCHS: "the launch has more than 2^25 steps between barriers; races after them were not looked for",
    Overflow.RECORDS: "the launch has more releases than are kept; races between blocks after them were not looked for",
    Overflow.COPIES: "a warp has more asynchronous copies on their way than are kept; the rest were made at once",
}


def attributes_of(site: Site, guesses: Collection[int] = ()) -> int:
    """What the monitor has to know of an access, as one number; ``guesses`` are PTX lines of loads that never race."""
    number = SPACES.get(site.space, 0)
    if site.kind != "access" or not number:
        return 0
    parts = site.opcode.split(".")
    if site.opcode.startswith(BULK) and not site.is_atomic:
        return number | IS_STORE * site.is_store
    completes = site.opcode.startswith(BULK) and site.space == "shared"
    if "mbarrier" in parts[:3] or completes:  # to arrive is a release, to find a phase over an acquire
        is_strong = site.is_atomic or not site.is_store
        return number | IS_STORE * site.is_store | (IS_ATOMIC | IS_RELEASE) * site.is_atomic | IS_STRONG * is_strong
    is_strong = site.is_atomic or not {"volatile", "relaxed", "acquire", "release", "mmio"}.isdisjoint(parts)
    is_strong |= site.ptx_line in guesses
    number |= IS_STORE * site.is_store | IS_ATOMIC * site.is_atomic | IS_STRONG * is_strong
    number |= IS_RELEASE * bool({"release", "acq_rel", "sc"} & set(parts))
    number |= IS_GPU * (is_strong and "cta" not in parts)
    return number | IS_ASYNC * (site.is_store and parts[:2] == ["cp", "async"])


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The allocations behind some arguments, each once, in order."""
    found: list[Interval] = []
    for low, high in sorted((low, high) for low, high in intervals if high > low):
        if found and low < found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


class Watch:
    """The monitor's side of one launch.

    Parameters
    ----------
    program : Program
        The kernel, compiled in checked mode.
    checks : collection of str
        Which of "memory", "race", "init", "sync" are on.
    intervals : sequence of (int, int)
        [low, high) of every argument and module variable.
    marks : mapping
        Lowest address of a buffer to its unwritten bytes (u8, 1: nobody wrote it), for those that are followed.
    """

    def __init__(
        self,
        program: Any,
        block: Dims,
        shared_bytes: int,
        checks: Sequence[str],
        intervals: Iterable[Interval],
        marks: Mapping[int, npt.NDArray[np.uint8]],
    ) -> None:
        self.program, self.shared_bytes = program, shared_bytes
        self.n_warps = -(-(block[0] * block[1] * block[2]) // LANES)
        self._kept: list[Any] = []
        self.areas: list[npt.NDArray[np.int64]] = []
        self.table = t = np.zeros(Table.LENGTH, np.int64)
        t[Table.MEMORY], t[Table.RACE], t[Table.INIT], t[Table.SYNC] = (
            name in checks for name in ("memory", "race", "init", "sync")
        )
        t[Table.N_WARPS], t[Table.RESERVED] = self.n_warps, program.reserved_bytes
        t[Table.REPLICATED] = program.kernel.owner.has_replicated_scalars
        accesses = [site for site in program.sites if site.kind == "access"]
        self._has_copies = "sync" in checks and any(
            site.opcode.startswith("cp.async") and not site.opcode.startswith(BULK) for site in accesses
        )
        guesses = first_guesses(program.kernel.owner.module.functions.values())
        attributes = np.zeros(program.n_slots + 1, np.int64)
        for site in accesses:
            attributes[site.slot] = attributes_of(site, guesses) & ~(0 if self._has_copies else IS_ASYNC)
        t[Table.ATTRIBUTES_AT] = self._at(attributes)
        for space in ("global", "shared", "local"):
            widths = [site.lane_bytes for site in accesses if site.space == space]
            t[Table[f"{space.upper()}_SHIFT"]] = min(widths, default=1).bit_length() - 1
        try:
            self._rooms(merged(intervals), marks, "race" in checks)
        except MemoryError as error:
            raise LaunchError(
                "Expected memory for the checks of a launch, about seven times the tensors' own, and got none.",
                hint="check a smaller problem, or leave races out: check(race=False).",
            ) from error

    def _rooms(self, allocations: list[Interval], marks: Mapping[int, npt.NDArray[np.uint8]], has_races: bool) -> None:
        t, shift = self.table, int(self.table[Table.GLOBAL_SHIFT])
        rows, n_entries = np.zeros((len(allocations) + 1, 4), np.int64), 0
        for row, (low, high) in zip(rows, allocations, strict=False):
            row[:] = low, high, n_entries, self._at(marks[low]) if low in marks else 0
            n_entries += (high - 1 >> shift) - (low >> shift) + 1
        t[Table.N_INTERVALS], t[Table.INTERVALS_AT] = len(allocations), self._at(rows)
        n = n_entries if has_races else 1
        t[Table.N_ENTRIES] = n
        # Pages that nobody touches cost nothing: all of these are as large as they might have to be.
        for name, n_items, kind in (
            ("WRITES_AT", n, np.int64),
            ("READS_AT", 2 * n, np.int64),
            ("RELEASES_AT", n, np.int32),
            ("EPOCHS_AT", _MAX_EPOCHS, np.int64),
            ("RECORD_BLOCK_AT", _MAX_RECORDS, np.int64),
            ("RECORD_CLOCKS_AT", 2 * self.n_warps * _MAX_RECORDS, np.int32),
            ("RECORD_FIRST_AT", _MAX_RECORDS + 1, np.int64),
            ("EDGES_AT", _MAX_EDGES, np.int32),
            ("STAMPS_AT", _MAX_RECORDS, np.int32),
            ("STACK_AT", _MAX_RECORDS, np.int32),
            ("FINDINGS_AT", _MAX_FINDINGS * N_FIELDS, np.int64),
        ):
            t[Table[name]] = self._at(np.zeros(n_items, kind))
        t[Table.N_EPOCHS] = t[Table.N_RECORDS] = 1
        t[Table.MAX_EPOCHS], t[Table.MAX_RECORDS] = _MAX_EPOCHS, _MAX_RECORDS
        t[Table.MAX_EDGES], t[Table.MAX_FINDINGS] = _MAX_EDGES, _MAX_FINDINGS

    def _at(self, array: npt.NDArray[Any]) -> int:
        self._kept.append(array)
        return int(array.ctypes.data)

    def attach(self, context: Context) -> None:
        """Make the worker with this context tell the monitor."""
        n, a = self.n_warps, np.zeros(Area.LENGTH, np.int64)
        n_entries = (max(self.shared_bytes, 1) >> int(self.table[Table.SHARED_SHIFT])) + 16
        n_local = n * LANES * self.program.local_bytes >> int(self.table[Table.LOCAL_SHIFT])
        a[Area.TABLE_AT], a[Area.BLOCK] = self.table.ctypes.data, -1
        a[Area.SHARED_AT], a[Area.N_ENTRIES] = context.shared, n_entries
        a[Area.LOCAL_BYTES] = self.program.local_bytes
        n_copies = n * MAX_COPIES * N_COPY_FIELDS if self._has_copies else 1
        for name, n_items, kind in (
            ("WRITES_AT", n_entries, np.int64),
            ("READS_AT", 2 * n_entries, np.int64),
            ("RELEASES_AT", n_entries, np.int32),
            ("LOCAL_AT", n_local + 16, np.int32),
            ("CLOCKS_AT", n * n, np.int32),
            ("FENCED_AT", 2 * n * n, np.int32),
            ("KNOWN_AT", n, np.int32),
            ("LAST_AT", n, np.int32),
            ("BARRIER_CLOCKS_AT", 3 * N_BARRIERS * n, np.int32),
            ("BARRIER_KNOWN_AT", N_BARRIERS, np.int32),
            ("COPIES_AT", n_copies, np.int64),
            ("PARTIAL_AT", n * N_PARTIAL, np.int32),
        ):
            a[Area[name]] = self._at(np.zeros(n_items, kind))
        for name in ("EPOCH", "STARTED", "EXITED", "WAITING", "WAIT_LANES", "WAIT_SITE", "WHOLE", "GROUP"):
            a[Area[f"{name}_AT"]] = self._at(np.zeros(n, np.int64))
        for name in ("N_COPIES_AT", "TO_TELL_AT", "STRONG_SITE_AT", "SYNCED_AT"):
            a[Area[name]] = self._at(np.zeros(n, np.int64))
        self.areas.append(a)
        context.checks = a.ctypes.data

    def stuck(self, block: int) -> list[npt.NDArray[np.int64]]:
        """Rows for the warps of a block that wait for ever: one for each place where some wait."""
        rows: dict[int, npt.NDArray[np.int64]] = {}
        for area in self.areas:
            if area[Area.BLOCK] != block:
                continue
            waiting, sites, lanes = (self._read(area, name) for name in ("WAITING_AT", "WAIT_SITE_AT", "WAIT_LANES_AT"))
            for warp in range(self.n_warps):
                if waiting[warp] < 0:
                    continue
                if (row := rows.get(int(sites[warp]))) is None:
                    row = rows[int(sites[warp])] = np.full(N_FIELDS, -1, np.int64)
                    first = (int(lanes[warp]) & -int(lanes[warp])).bit_length() - 1
                    row[:] = Found.DEADLOCK, sites[warp], -1, block, warp * LANES + max(first, 0), -1, -1, 0, 0, 0, 0
                row[-1] += 1
        return list(rows.values())

    def _read(self, area: npt.NDArray[np.int64], name: str) -> list[int]:
        return list((ctypes.c_int64 * self.n_warps).from_address(int(area[Area[name]])))

    def findings(self, writer: Writer, extra: Iterable[Any] = ()) -> tuple[list[Finding], int, list[str]]:
        """Everything found, the number of occurrences, and notes."""
        t = self.table
        n = int(t[Table.N_FINDINGS])
        raw = (ctypes.c_int64 * (N_FIELDS * _MAX_FINDINGS)).from_address(int(t[Table.FINDINGS_AT]))
        rows = [raw[N_FIELDS * i : N_FIELDS * (i + 1)] for i in range(n)] + list(extra)
        total = int(t[Table.N_TOTAL]) + len(rows) - n
        notes = [f"kernel {writer.name!r}: {text}" for bit, text in _NOTES.items() if int(t[Table.OVERFLOW]) & bit]
        return [writer.finding(row) for row in rows], total, notes
