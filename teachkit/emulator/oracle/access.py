"""Checked access to every state space, with its counting."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.clusters import ranks_and_offsets, reaches
from teachkit.emulator.oracle.memory_map import LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BYTES
from teachkit.emulator.oracle.table import unsupported
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Address, Instruction, Operand, Register, SourceLine, Symbol

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """Something a lane may not do. ``kind`` is "bounds", "alignment", "trap", "breakpoint", "assert" or "deadlock"."""

    kind: str
    ptx_line: int
    source: SourceLine | None
    block: tuple[int, int, int]
    thread: int
    address: int = 0
    n_bytes: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Lanes of one access that are good and lie in one space; offsets are into it (addresses if global)."""

    space: str
    lanes: Array
    offsets: Array

    def only(self, i: int) -> Part:
        """The part with just its lane number ``i``."""
        return Part(self.space, self.lanes[i : i + 1], self.offsets[i : i + 1])


class Access:
    """Memory as the instructions of one thread block see it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def addresses(self, operand: Operand, space: str) -> tuple[str, Array]:
        """The space and the address of each lane (an offset in shared and local memory)."""
        machine = self.machine
        assert isinstance(operand, Address)
        if isinstance(operand.base, Symbol):
            own_space, start = machine.place(operand.base.name)
            if space in ("param", "generic"):
                space = own_space
            base: Array = np.atleast_1d(np.asarray(start, np.uint64))
        elif isinstance(operand.base, Register) and machine.register_type(operand.base.name).endswith("32"):
            # 32-bit addresses wrap at 32 bits.
            base = machine.read(operand.base, "u32") + np.uint32(operand.offset % (1 << 32))
            return space, np.broadcast_to(base.astype(np.uint64), machine.n_threads)
        else:
            base = machine.read(operand.base, "u64")
        base = base + np.uint64(operand.offset % (1 << 64))
        return ("generic" if space == "param" else space), np.broadcast_to(base, machine.n_threads)

    def load(
        self, item: Instruction, space: str, operand: Operand, n_bytes: int, mask: Array, shift: Array | None = None
    ) -> Array:
        """Bytes [n_threads, n_bytes]; lanes that are off or at fault get zeros. ``shift``: bytes beyond the address."""
        result = np.zeros((mask.size, n_bytes), np.uint8)
        for part in self.parts(item, space, operand, n_bytes, mask, shift):
            result[part.lanes] = self.fetch(part, n_bytes)
            self._count(item, part, n_bytes, store=False)
        return result

    def store(
        self, item: Instruction, space: str, operand: Operand, octets: Array, mask: Array, shift: Array | None = None
    ) -> None:
        """Store ``octets`` [n_threads, n_bytes] of the lanes that are on."""
        n_bytes = octets.shape[1]
        for part in self.parts(item, space, operand, n_bytes, mask, shift):
            self.put(part, octets[part.lanes])
            self._count(item, part, n_bytes, store=True)

    def copy_async(
        self, item: Instruction, to: Operand, source: Operand, n_bytes: int, wanted: Array, mask: Array
    ) -> None:
        """Global to shared: ``wanted`` [n_threads] bytes of each lane, the rest zeros."""
        octets = np.zeros((mask.size, n_bytes), np.uint8)
        good = [np.zeros(0, np.int64)]
        for size in np.unique(wanted[mask & (wanted > 0)]):
            for part in self.parts(item, "global", source, int(size), mask & (wanted == size)):
                octets[part.lanes, :size] = self.fetch(part, int(size))
                good.append(part.lanes)
        lanes = np.sort(np.concatenate(good))
        _, addresses = self.addresses(source, "global")
        self.machine.tally.global_access(item, addresses[lanes], lanes, wanted[lanes], store=False)
        self.store(item, "shared", to, octets, mask)

    def fetch(self, part: Part, n_bytes: int) -> Array:
        """Bytes [n, n_bytes] of a part, uncounted."""
        if part.space in ("global", "const"):
            return self.machine.memory.load(part.offsets, n_bytes)
        columns = part.offsets.astype(np.int64)[:, None] + np.arange(n_bytes)
        if part.space == "cluster":
            result = np.zeros(columns.shape, np.uint8)
            for shared, here, columns in self._by_block(part, n_bytes):
                result[here] = shared[columns]
            return result
        if part.space == "shared":
            return np.asarray(self.machine.shared[columns])
        return np.asarray(self.machine.local[part.lanes[:, None], columns])

    def put(self, part: Part, octets: Array) -> None:
        """Store the bytes of a part, uncounted; the highest lane wins."""
        if part.space in ("global", "const"):
            self.machine.memory.store(part.offsets, octets)
            return
        columns = part.offsets.astype(np.int64)[:, None] + np.arange(octets.shape[1])
        if part.space == "cluster":
            for shared, here, columns in self._by_block(part, octets.shape[1]):
                shared[columns] = octets[here]
        elif part.space == "shared":
            self.machine.shared[columns] = octets
        else:
            self.machine.local[part.lanes[:, None], columns] = octets

    def _by_block(self, part: Part, n_bytes: int) -> Iterator[tuple[Array, Array, Array]]:
        """Shared memory of each block that a part reaches, which lanes do, and the columns of their bytes."""
        ranks, offsets = ranks_and_offsets(self.machine, part.offsets)
        cluster = self.machine.cluster
        for rank in np.unique(ranks):
            here = ranks == rank
            shared = self.machine.shared if cluster is None else cluster.machines[rank].shared
            yield shared, here, offsets[here, None] + np.arange(n_bytes)

    def _count(self, item: Instruction, part: Part, n_bytes: int, *, store: bool) -> None:
        tally = self.machine.tally
        if part.space == "global":
            tally.global_access(item, part.offsets, part.lanes, n_bytes, store=store)
        elif part.space in ("shared", "cluster"):
            tally.shared_access(item, part.offsets, part.lanes, n_bytes, store=store)
        elif part.space == "local" and not item.opcode.startswith(("ld.param", "st.param")):
            tally.add(item, local_bytes=n_bytes * part.lanes.size)

    def parts(
        self, item: Instruction, space: str, operand: Operand, n_bytes: int, mask: Array, shift: Array | None = None
    ) -> Iterator[Part]:
        """The good lanes by space; the others are reported and left out. Counts nothing."""
        space, addresses = self.addresses(operand, space)
        if shift is not None:
            addresses = addresses + shift.astype(np.uint64)
        in_shared = (addresses >= SHARED_WINDOW) & (addresses < SHARED_WINDOW + WINDOW_BYTES)
        in_local = (addresses >= LOCAL_WINDOW) & (addresses < LOCAL_WINDOW + WINDOW_BYTES)
        if space == "generic":
            others = self.machine.cluster
            is_shared = others is None or (
                len(others.machines) == 1 and not (addresses[mask & in_shared] >> 24 & 255).any()
            )
            groups = [
                ("shared" if is_shared else "cluster", mask & in_shared, addresses - np.uint64(SHARED_WINDOW)),
                ("local", mask & in_local, addresses - np.uint64(LOCAL_WINDOW)),
                ("global", mask & ~in_shared & ~in_local, addresses),
            ]
        else:
            groups = [(space, mask, addresses)]
        for name, lanes_on, offsets in groups:
            if lanes_on.any():
                yield from self._good(item, name, lanes_on, offsets, n_bytes, is_generic=space == "generic")

    def _good(
        self, item: Instruction, space: str, mask: Array, offsets: Array, n_bytes: int, *, is_generic: bool
    ) -> Iterator[Part]:
        machine = self.machine
        if space in ("global", "const"):
            inside = machine.memory.find(offsets, n_bytes) >= 0
        elif space == "cluster":
            inside = reaches(machine, offsets, n_bytes)
        elif space in ("shared", "local"):
            limit = machine.shared.size if space == "shared" else machine.local.shape[1]
            inside = offsets + np.uint64(n_bytes) <= limit
            inside &= offsets < limit
        else:
            raise unsupported(item, f"space {space}")
        aligned = offsets % np.uint64(n_bytes) == 0 if n_bytes & (n_bytes - 1) == 0 else np.ones(mask.shape, bool)
        for kind, bad in (("bounds", mask & ~inside), ("alignment", mask & inside & ~aligned)):
            for thread in np.flatnonzero(bad):
                machine.fault(kind, item, int(thread), int(offsets[thread]), n_bytes)
        good = mask & inside & aligned
        if space == "cluster":  # where lanes meet does not depend on how the address was made
            is_own = offsets >> np.uint64(24) == 0
            offsets = np.where(is_own, offsets + np.uint64((1 + machine.rank) << 24), offsets)
        if space == "global" and is_generic:
            # Tables in constant memory and parameters are reached generically too, and are not global traffic.
            is_global = machine.memory.is_in(offsets, "global")
            yield from self._nonempty("const", good & ~is_global, offsets)
            good = good & is_global
        yield from self._nonempty(space, good, offsets)

    @staticmethod
    def _nonempty(space: str, good: Array, offsets: Array) -> Iterator[Part]:
        lanes = np.flatnonzero(good)
        if lanes.size:
            yield Part(space, lanes, offsets[lanes])
