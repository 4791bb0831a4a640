"""One thread block: registers as arrays over its threads, and the loop that decides which lanes run next.

The block's threads run together, always the earliest basic block first (``order.py``), so lanes that parted
meet again at the first block that all of them reach. A kernel with atomics or other communication between
warps runs warp by warp instead, so that atomics happen in (block, warp, lane) order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.access import Access, Fault
from teachkit.emulator.oracle.clusters import AT_BARRIER, Cluster
from teachkit.emulator.oracle.launch_state import LaunchState
from teachkit.emulator.oracle.memory_map import LOCAL_WINDOW
from teachkit.emulator.oracle.parking import Parking
from teachkit.emulator.oracle.program import members_of
from teachkit.emulator.oracle.recursion import STACK_BYTES, Activations
from teachkit.emulator.oracle.special import clock, special_registers
from teachkit.emulator.oracle.table import Lanes, decode, unsupported
from teachkit.emulator.oracle.tally import LANES
from teachkit.emulator.oracle.values import UINT, Array, encode, is_signed, raw, width
from teachkit.emulator.oracle.values import decode as decode_bits
from teachkit.emulator.ptx.lex import converted
from teachkit.emulator.ptx.model import Address, Immediate, Instruction, Negated, Operand, Part, Register, Symbol

if TYPE_CHECKING:
    from teachkit.emulator.oracle.tcgen05 import TensorMemory

EXITED = np.iinfo(np.int64).max
_TURNS = 5000  # basic blocks that one warp may run while others wait, where warps run one after another
_MAX_ROUNDS = 2_000_000
_CLOCK_STEP = 32  # cycles of a reading of the clock; nothing else takes any


class Machine:
    """The state of one thread block, and its execution."""

    def __init__(self, launch: LaunchState, block: tuple[int, int, int], rank: int = 0) -> None:
        self.launch = launch
        self.program, self.memory, self.tally = launch.program, launch.memory, launch.tally
        self.block_index = block
        n = launch.block[0] * launch.block[1] * launch.block[2]
        self.n_threads = -(-n // LANES) * LANES
        self.registers = {
            name: np.zeros(self.n_threads, bool if kind == "pred" else UINT[width(kind)])
            for name, kind in self.program.registers.items()
            if not kind.startswith(("v2", "v4", "b128"))
        }
        self.specials = special_registers(launch, block, self.n_threads)
        self.shared = np.zeros(launch.layout.shared_bytes, np.uint8)
        stack_bytes = STACK_BYTES if self.program.bodies else 0
        self.local = np.zeros((self.n_threads, launch.layout.local_bytes + stack_bytes), np.uint8)
        self.activations = Activations(self, self.program.bodies, launch.layout.local_bytes)
        self.tensor: TensorMemory | None = None  # once a block uses it
        self.carry = np.zeros(self.n_threads, bool)
        self.access = Access(self)
        self.parking = Parking(self)
        self.at = np.where(np.arange(self.n_threads) < n, 0, EXITED)  # the block where each thread stands
        self.barrier = np.full(self.n_threads, -1)  # the barrier at which each thread waits
        self.barrier_sizes: dict[int, int] = {}
        self.arrived: dict[int, int] = {}
        self.reductions: dict[int, tuple[str, Operand, Operand]] = {}
        self.next = self.at
        self.clock = 0
        self.rank = rank  # in the cluster
        self.cluster: Cluster | None = None
        self.has_begun = False
        self.is_in_vain = False  # some warp has met what only another block may change
        self.is_turn_over = False  # the warp has met a barrier; others go first, even if it may go on

    # ------------------------------------------------------------------------------------------------ running

    @property
    def is_running(self) -> bool:
        """Whether the block has begun and not ended."""
        return self.has_begun and bool((self.at != EXITED).any())

    @property
    def can_run(self) -> bool:
        """Whether some thread waits for nothing."""
        return bool(((self.at != EXITED) & (self.barrier < 0)).any())

    def turns(self) -> Iterator[None]:
        """Run all threads to their end; yields where it is time for another block."""
        warp, turns = 0, 0
        self.has_begun = True
        for _ in range(_MAX_ROUNDS):
            runnable: Array = np.asarray((self.at != EXITED) & (self.barrier < 0))
            if not runnable.any():
                if (self.at == EXITED).all():
                    return
                if (self.barrier == AT_BARRIER).any():
                    yield
                    continue
                self.fault("deadlock", None, int(np.flatnonzero(self.at != EXITED)[0]))
                return
            if self.launch.one_warp_at_a_time:
                runnable = self.parking.ready(runnable)
                can_run: Array = np.asarray(runnable.reshape(-1, LANES).any(1))
                turns += 1
                if not can_run[warp] or turns > _TURNS or self.is_turn_over:
                    self.is_in_vain |= turns > _TURNS
                    before = warp
                    warp = next(
                        w % can_run.size for w in range(warp + 1, warp + 1 + can_run.size) if can_run[w % can_run.size]
                    )
                    turns, self.is_turn_over = 0, False
                    if self.is_in_vain and warp <= before:
                        self.is_in_vain = False
                        yield
                runnable &= np.arange(self.n_threads) // LANES == warp
            number = int(self.at[runnable].min())
            active = np.asarray(runnable & (self.at == number))
            if not self.launch.one_warp_at_a_time or not self._waits(number, active, runnable & ~active):
                self._run_block(number, active)
        self.fault("endless", None, int(np.flatnonzero(self.at != EXITED)[0]))

    def _waits(self, number: int, active: Array, others: Array) -> bool:
        """Whether lanes of a warp let others of it go first."""
        items = self.program.blocks[number].items
        members = members_of(items[0]) if items else None
        if members is not None and self.parking.parked.any():
            masks = np.broadcast_to(self.read(members, "u32"), self.n_threads)
            if self.parking.waits_for(number, active, masks):
                return True
        return self.parking.steps_aside(number, active, others)

    def _run_block(self, number: int, active: Array) -> None:
        self.code = self.program.blocks[number]
        self.next = np.full(self.n_threads, EXITED if self.code.following is None else self.code.following)
        for item in self.code.items:
            self._execute(item, active)
        if self.code.through is not None and self.code.push is not None:
            self.activations.call(self.code.through, self.code.push, active)
        self.at = np.where(active, self.next, self.at)
        if (self.at[active] == EXITED).any():
            for waited in np.unique(self.barrier[self.barrier >= 0]):
                if waited != AT_BARRIER:
                    self.release(int(waited))
            if self.cluster is not None:
                self.cluster.settle()

    def _execute(self, item: Instruction, active: Array) -> None:
        operation = decode(item)
        on = active
        if item.guard is not None:
            predicate = self.registers[item.guard.register.name]
            on = active & (predicate != item.guard.negated)
        self.tally.executed(item, active, on)
        n_on = int(on.sum())
        self.tally.add(item, **{name: n * n_on for name, n in operation.counts.items()})
        if not n_on:
            return
        with np.errstate(all="ignore"):
            if isinstance(operation, Lanes):
                target, *sources = item.operands
                if any(isinstance(operand, Part) for operand in item.operands):
                    raise unsupported(item, "a part of a register")
                if len(sources) != len(operation.sources):
                    raise unsupported(item, f"{len(item.operands)} operands")
                values = [self.read(s, kind) for s, kind in zip(sources, operation.sources, strict=True)]
                self.write(target, operation.compute(*values), operation.result, on)
                return
            n_warps = on.reshape(-1, LANES).any(1).sum()
            self.tally.add(item, **{name: n * n_warps for name, n in operation.per_warp.items()})
            operation.run(self, item, on)

    def release(self, number: int) -> None:
        """Let threads go on from barrier ``number`` if all that it waits for are there."""
        waiting = self.barrier == number
        n_expected = self.barrier_sizes.get(number, 0)
        if n_expected:
            n_warps = waiting.reshape(-1, LANES).any(1).sum()
            is_complete = LANES * n_warps + self.arrived.get(number, 0) >= n_expected
        else:
            is_complete = bool(waiting[self.at != EXITED].all())
        if not is_complete or not waiting.any():
            return
        if number in self.reductions:
            kind, target, predicate = self.reductions.pop(number)
            votes = np.broadcast_to(self.read(predicate, "pred"), waiting.shape)[waiting]
            result = {"popc": votes.sum(), "and": votes.all(), "or": votes.any()}[kind]
            self.write(target, np.atleast_1d(result), "u32" if kind == "popc" else "pred", waiting)
        self.barrier[waiting] = -1
        self.arrived.pop(number, None)

    def fault(self, kind: str, item: Instruction | None, thread: int, address: int = 0, n_bytes: int = 0) -> None:
        """Note what a thread did that it may not do."""
        line, source = (item.ptx_line, item.source) if item is not None else (0, None)
        self.launch.faults.append(Fault(kind, line, source, self.block_index, thread, address, n_bytes))

    # -------------------------------------------------------------------------------------------------- names

    def place(self, name: str) -> tuple[str, int | Array]:
        """State space and address of a variable, parameter or function; of each thread where they differ."""
        if self.activations.has(name):
            return "local", self.activations.place(name)
        return self.launch.layout.place(name)

    def columns(self, name: str, n_bytes: int) -> Array:
        """Where a local variable lies in the rows of ``local``: [n_threads, n_bytes]."""
        start = np.broadcast_to(np.asarray(self.place(name)[1], np.int64), self.n_threads)
        return np.asarray(np.minimum(start[:, None] + np.arange(n_bytes), self.local.shape[1] - 1))

    def is_parameter(self, name: str) -> bool:
        """Whether the name is a parameter of a device function or of a call."""
        return self.activations.is_parameter(name) or self.launch.layout.is_parameter(name)

    def register_type(self, name: str) -> str:
        """PTX type of a register; special registers count as 32 bits unless their name says 64."""
        if name in self.program.registers:
            return self.program.registers[name]
        return "b64" if name.endswith("64") else "b32"

    # ---------------------------------------------------------------------------------------------- operands

    def read(self, operand: Operand, kind: str) -> Array:
        """Values of an operand as ``kind``: [n_threads], or [1] for what all threads share."""
        if isinstance(operand, Negated):
            return ~self.registers[operand.register.name]
        if isinstance(operand, Register):
            if operand.name == "_":
                bits: Array = np.zeros(1, UINT[64])
            elif operand.name in self.registers:
                bits = self.registers[operand.name]
            elif operand.name.startswith(("%clock", "%globaltimer")):
                self.clock += _CLOCK_STEP
                bits = clock(operand.name, self.clock)
            else:
                bits = self.specials[operand.name]
            return decode_bits(bits if kind == "pred" else bits.astype(UINT[width(kind)], copy=False), kind)
        if isinstance(operand, Immediate):
            if kind == "pred":
                return np.array([operand.value != 0])
            if operand.kind != "int":
                operand = converted(operand, f"f{width(kind)}")
            return decode_bits(np.array([operand.value % (1 << width(kind))], UINT[width(kind)]), kind)
        symbol, offset = (operand.base, operand.offset) if isinstance(operand, Address) else (operand, 0)
        assert isinstance(symbol, Symbol)
        space, address = self.place(symbol.name)
        if space == "local" and self.is_parameter(symbol.name):
            address = address + LOCAL_WINDOW  # parameters have no space of their own, so their address is generic
        at = np.atleast_1d(np.asarray(address, np.uint64)) + np.uint64(offset % (1 << 64))
        return decode_bits(at.astype(UINT[width(kind)]), kind)

    def write(self, operand: Operand, values: Array, kind: str, mask: Array) -> None:
        """Set a register in the lanes of ``mask``; a wider register gets the value extended by its type."""
        assert isinstance(operand, Register)
        if operand.name == "_":
            return
        register = self.registers[operand.name]
        bits = encode(np.broadcast_to(values, (self.n_threads, *values.shape[1:])), kind)
        if kind != "pred" and register.dtype.itemsize > bits.dtype.itemsize and is_signed(kind):
            bits = decode_bits(bits, kind).astype(f"i{register.dtype.itemsize}").view(register.dtype)
        np.copyto(register, bits.astype(register.dtype, copy=False), where=mask)

    def register_bits(self, operand: Operand) -> Array:
        """The bits of a register as they are."""
        assert isinstance(operand, Register)
        return self.read(operand, raw(self.register_type(operand.name)))
