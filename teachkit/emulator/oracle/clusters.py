"""Thread block clusters: blocks that run together, their barrier, and addresses in each other's shared memory.

Such an address is an offset of 24 bits and, above it, 1 + the rank of a block, or 0 for the block that uses it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.barrier_word import Barrier
from teachkit.emulator.oracle.memory_map import SHARED_WINDOW
from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction
from teachkit.emulator.oracle.values import UINT, Array, width
from teachkit.emulator.ptx.model import Function, Group, Instruction

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

Dims = tuple[int, int, int]

AT_BARRIER = 1 << 20  # a barrier number that no block has: that of the cluster
_RANK_AT, _OFFSET = np.uint64(24), np.uint64((1 << 24) - 1)
_NONE, _ARRIVED, _PASSED = range(3)  # of a thread: what it did in this phase; passed: its phase ended since it arrived


class Cluster:
    """The blocks of one cluster by rank, and how far each of their threads is at the barrier."""

    def __init__(self, machines: list[Machine]) -> None:
        self.machines = machines
        self._states = [np.full(machine.n_threads, _NONE) for machine in machines]

    def run(self) -> None:
        """Run all blocks to their end; they take turns."""
        turns = {machine: machine.turns() for machine in self.machines}
        while turns:
            turns = {machine: each for machine, each in turns.items() if next(each, "ended") != "ended"}
            if turns and not any(machine.can_run for machine in turns):
                machine = next(iter(turns))
                machine.fault("deadlock", None, int(np.flatnonzero(machine.barrier == AT_BARRIER)[0]))
                return

    def arrive(self, machine: Machine, mask: Array) -> None:
        """Threads have come this far."""
        self._states[self.machines.index(machine)][mask] = _ARRIVED
        self.settle()

    def wait(self, machine: Machine, mask: Array) -> None:
        """Threads go on when the phase that they arrived in is over."""
        states = self._states[self.machines.index(machine)]
        waiting = mask & (states == _ARRIVED)
        machine.barrier[waiting] = AT_BARRIER
        states[mask & ~waiting] = _NONE

    def settle(self) -> None:
        """End the phase if every thread has arrived that has not ended."""
        ended = np.iinfo(np.int64).max
        pairs = list(zip(self.machines, self._states, strict=True))
        if not all(((states == _ARRIVED) | (machine.at == ended)).all() for machine, states in pairs):
            return
        for machine, states in pairs:
            states[states == _ARRIVED] = _PASSED
            released = machine.barrier == AT_BARRIER
            states[released] = _NONE
            machine.barrier[released] = -1


def size_of(kernel: Function, given: Dims | None) -> Dims:
    """Blocks of a cluster: what the launch says, else what the kernel was compiled for, else one."""
    return given or (*kernel.directives.get("reqnctapercluster", ()), 1, 1, 1)[:3]  # type: ignore[return-value]


def blocks_of(grid: Dims, size: Dims, number: int) -> list[Dims]:
    """The blocks of a cluster by rank."""
    n = [blocks // each for blocks, each in zip(grid, size, strict=True)]
    first = number % n[0] * size[0], number // n[0] % n[1] * size[1], number // (n[0] * n[1]) * size[2]
    ranks = range(math.prod(size))
    return [
        (first[0] + r % size[0], first[1] + r // size[0] % size[1], first[2] + r // (size[0] * size[1])) for r in ranks
    ]


def ranks_and_offsets(machine: Machine, addresses: Array) -> tuple[Array, Array]:
    """Where addresses in shared::cluster lead."""
    number = (addresses >> _RANK_AT).astype(np.int64)
    return np.where(number == 0, machine.rank, number - 1), (addresses & _OFFSET).astype(np.int64)


def reaches(machine: Machine, addresses: Array, n_bytes: int) -> Array:
    """Whether they lead to shared memory of blocks that run."""
    ranks, offsets = ranks_and_offsets(machine, addresses)
    others = machine.cluster.machines if machine.cluster is not None else [machine]
    limits = np.array([other.shared.size if other.is_running else 0 for other in others] + [0])
    known = np.where((ranks >= 0) & (ranks < len(others)), ranks, len(others))
    return np.asarray(offsets + n_bytes <= limits[known])


@instruction("barrier")
def cluster_barrier(form: Form) -> Operation:
    if not form.flag("cluster"):
        raise UnmatchedForm("a barrier of the block")
    arrives = form.one("arrive", "wait") == "arrive"
    form.maybe(*(("release", "relaxed") if arrives else ("acquire",)))
    form.flag("aligned")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        assert machine.cluster is not None
        (machine.cluster.arrive if arrives else machine.cluster.wait)(machine, mask)
        machine.is_turn_over |= not arrives

    return Step(run, per_warp={"barriers": 1} if arrives else {})


@instruction("st", "cp")
def tells_a_barrier(form: Form) -> Operation:
    """Stores, and copies from the block's own shared memory, that tell a barrier how many bytes have come."""
    form.flag("weak")
    is_copy = form.base == "cp"
    if not form.flag("async") or form.flag("bulk") != is_copy or not form.flag("shared::cluster"):
        raise UnmatchedForm("not to another block")
    if is_copy:
        form.one("shared::cta")
    form.one("mbarrier::complete_tx::bytes")
    n = int(form.maybe("v2", "v4", default="v1")[1:])
    bits = 0 if is_copy else width(form.one(*(f"{kind}{bits}" for kind in "bus" for bits in (32, 64)), "f32", "f64"))

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        barrier = item.operands[-1]
        if not is_copy:
            values = item.operands[1].items if isinstance(item.operands[1], Group) else (item.operands[1],)
            columns = [np.broadcast_to(machine.read(value, f"b{bits}"), mask.shape) for value in values]
            octets = np.stack(columns, 1).copy().view(np.uint8).reshape(mask.size, -1)
            machine.access.store(item, "cluster", item.operands[0], octets, mask)
            amounts = np.full(mask.shape, n * bits // 8)
        else:
            amounts = np.broadcast_to(machine.read(item.operands[2], "u32"), mask.shape).astype(np.int64)
            _copy(machine, item, amounts, mask)
        for part in machine.access.parts(item, "cluster", barrier, 8, mask):
            for i, lane in enumerate(part.lanes):
                one = part.only(i)
                word = Barrier.of(int(machine.access.fetch(one, 8).copy().view(np.uint64)[0, 0]))
                word.owed_bytes -= int(amounts[lane])
                word.settle()
                machine.access.put(one, np.array([[word.word()]], np.uint64).view(np.uint8))

    return Step(run)


def _copy(machine: Machine, item: Instruction, amounts: Array, mask: Array) -> None:
    to, source = (machine.access.addresses(operand, "shared")[1] for operand in item.operands[:2])
    for lane in np.flatnonzero(mask):
        n_bytes, only = int(amounts[lane]), np.arange(mask.size) == lane
        if not reaches(machine, to[lane : lane + 1], n_bytes).all():
            machine.fault("bounds", item, int(lane), int(to[lane]), n_bytes)
            continue
        ranks, offsets = ranks_and_offsets(machine, to[only])
        assert machine.cluster is not None
        shared, at, start = machine.cluster.machines[int(ranks[0])].shared, int(offsets[0]), int(source[lane])
        shared[at : at + n_bytes] = machine.shared[start : start + n_bytes].copy()


@instruction("mapa", "getctarank")
def map_address(form: Form) -> Operation:
    """``mapa``: the same place in another block; ``getctarank``: the block that an address leads to."""
    start = np.uint64(0 if form.flag("shared::cluster") else SHARED_WINDOW)
    kind = form.one("u32", "u64")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        address = machine.read(item.operands[1], kind).astype(np.uint64) - start
        if form.base == "getctarank":
            machine.write(item.operands[0], ranks_and_offsets(machine, address)[0].astype(np.uint32), "u32", mask)
            return
        rank = machine.read(item.operands[2], "u32").astype(np.uint64)
        result = start + (address & _OFFSET) + ((np.minimum(rank, np.uint64(254)) + np.uint64(1)) << _RANK_AT)
        machine.write(item.operands[0], result.astype(UINT[width(kind)]), kind, mask)

    return Step(run)
