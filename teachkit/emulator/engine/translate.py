"""A PTX kernel as an LLVM function that runs one warp until it exits, waits or yields."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Iterable, Iterator, Sequence

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import clusters, flow, indexed, neighbours, tally
from teachkit.emulator.engine.block_ends import BlockEnds
from teachkit.emulator.engine.context import (
    LANES,
    Status,
)
from teachkit.emulator.engine.idle_loops import asking_loops, closed_loops, cluster_waits, idle_loops, looks_around
from teachkit.emulator.engine.recursion import Landing
from teachkit.emulator.engine.shapes import I1, I32, I64, Value, vector_of
from teachkit.emulator.engine.warp_code import Mode
from teachkit.emulator.isa.table import lookup
from teachkit.emulator.ptx.model import Function, Instruction, Module
from teachkit.emulator.ptx.wide import halved
from teachkit.emulator.sites import Site


@dataclasses.dataclass(frozen=True, slots=True)
class Translation:
    """LLVM text of a kernel, and what the launcher must know about it."""

    text: str
    sites: tuple[Site, ...]
    n_slots: int
    frame_bytes: int
    shared_bytes: int
    reserved_bytes: int  # of these, no part of what the kernel has for itself
    globals: tuple[str, ...]
    trace_reserve: int
    local_bytes: int  # private memory of a lane
    is_ordered: bool  # the order of blocks shows in the result, so they run one after another
    waits: tuple[int, ...]  # by resume point; empty where lanes never wait for others of their warp
    masks_at: int  # of the blocks' masks in a frame
    n_masks: int
    idle_loops: dict[int, Instruction]  # resume points where a warp can only wait: where they stand
    closed_loops: dict[int, Instruction]  # the same of loops that store in the block's shared memory only
    looks: bool  # whether some loop may have to wait for another block
    asking_loops: list[int]  # idle ones that ask a barrier in shared memory
    cluster_waits: list[int]  # where a warp asks the barrier of its cluster
    spans_blocks: bool  # it meets or reaches other blocks of its cluster


def translate(module: Module, function: Function, mode: Mode) -> Translation:
    """Translate one kernel.

    Raises
    ------
    UnsupportedInstruction
        At the first instruction that is not on the whitelist, with its PTX line and kernel source line.
    """
    with _collector_paused():
        module = halved(module)
        function = module.functions[function.name]
        return _Translator(module, function, mode).run()


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Many small objects, all needed until the end: to look for garbage among them takes longer than the work."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Translator(BlockEnds):
    def run(self) -> Translation:
        b = self.builder
        self._enter()
        for block in self.blocks:
            self._block(block)
        if self.masked and self.resume_points:
            self._leave()
        b.position_at_end(self.exit)
        if self.spans_blocks:
            clusters.leave(self.e, I32(-1))
        if self.mode.checked:
            hooks.leave(self.e, I32(-1))
        b.ret(I32(Status.EXITED))
        idle = idle_loops(self.resume_points, self.blocks)
        n_accesses = sum(1 for site in self.sites.sites if site.kind == "access")
        return Translation(
            text=str(self.llvm),
            sites=tuple(self.sites.sites),
            n_slots=self.sites.n_slots,
            frame_bytes=self.layout.n_bytes,
            shared_bytes=self.shared_bytes,
            reserved_bytes=self.reserved_bytes,
            globals=self.global_names,
            local_bytes=self.local_bytes,
            is_ordered=self.e.is_ordered,
            idle_loops=idle,
            closed_loops=closed_loops(self.resume_points, self.blocks),
            looks=looks_around(self.resume_points, self.blocks),
            asking_loops=asking_loops(self.resume_points, self.blocks, idle),
            cluster_waits=cluster_waits(self.resume_points),
            spans_blocks=self.spans_blocks,
            waits=tuple(self.waits),
            masks_at=self.layout.masks_at,
            n_masks=len(self.blocks),
            trace_reserve=8 * LANES * (n_accesses + 1) if self.mode.counting else 0,
        )

    def _block(self, block: flow.Block) -> None:
        b, e = self.builder, self.e
        b.position_at_end(self.labels[block.index])
        lanes: Value = I32(-1)
        e.active = e.carry = None
        e.values.clear()
        e.laid_out.clear()
        e.n_rooms, e.is_in_loop = 0, block.is_in_loop
        if self.masked:
            following = self.labels[block.index + 1] if block.index + 1 < len(self.blocks) else self.exit
            lanes = self._lanes_of(block.index)
            b.cbranch(b.icmp_signed("==", lanes, I32(0)), following, self.bodies[block.index])
            b.position_at_end(self.bodies[block.index])
        if block.is_loop_header:
            self._spend_turn(block)
        if self.waits and block.instructions:
            self._gather(block)
        if self.masked:
            lanes = self._lanes_of(block.index)
            b.store(I32(0), self.masks[block.index])
            e.active = b.bitcast(lanes, vector_of(I1))
        self._count_block(lanes)
        body, last = block.instructions, None
        if body and flow.ends_block(body[-1]):
            body, last = body[:-1], body[-1]
        for item in self._items(body):
            alone = (item,) if isinstance(item, Instruction) else item.before
            for instruction in alone:
                self._instruction(instruction)
            if not isinstance(item, Instruction):
                neighbours.translate(self.e, item)
            self._forget(alone if isinstance(item, Instruction) else (*alone, *item.accesses))
        self._terminate(block, last, lanes)

    def _forget(self, done: Sequence[Instruction]) -> None:
        """What was made of registers that are written now no longer holds."""
        if known := self.e.laid_out:
            written = {name for instruction in done for name in flow.defined(instruction)}
            self.e.laid_out = {key: slot for key, slot in known.items() if written.isdisjoint(key)}

    def _items(self, body: Sequence[Instruction]) -> Iterable[Instruction | neighbours.Neighbours]:
        if self.mode.checked:
            return body
        return neighbours.Finder(self.e.strides, *self.distances).grouped(body)

    def _count_block(self, lanes: Value) -> None:
        slot = self.sites.block(is_whole=not self.masked)
        if not self.mode.counting:
            return
        tally.add(self.e, slot, I64(1))
        if self.masked:
            tally.add_lanes(self.e, slot + 1, lanes)

    def _instruction(self, instruction: Instruction) -> None:
        e = self.e
        e.instruction = instruction
        if self.stack is not None and isinstance(instruction, Landing):
            self.stack.land(e, instruction)
            return
        if isinstance(instruction, clusters.Asks):
            (answer,) = flow.defined(instruction)
            clusters.ask(e, instruction, self._is_scalar(answer))
            return
        found = lookup(instruction.opcode)
        if found is None:
            raise e.unsupported("")
        row, form = found
        e.guard = e.guard_of(instruction)
        e.lane_zero = any(self._is_scalar(name) for name in flow.defined(instruction))
        n_sites = len(self.sites.sites)
        if self.mode.checked:
            hooks.before(e, instruction)
        if row.reads is None:
            row.translate(e, form, *instruction.operands)
        else:
            names = {"T": form.required[-1] if form.required else "", "D": form.required[0] if form.required else ""}
            operands = instruction.operands
            target, sources = (operands[0], operands[1:]) if row.writes else (None, operands)
            if len(sources) != len(row.reads):
                raise e.unsupported(f"{len(operands)} operands")
            values = [e.read(o, names.get(t, t)) for o, t in zip(sources, row.reads, strict=True)]
            result = indexed.of(e.builder, instruction.opcode, values, row.translate(e, form, *e.alike(*values)))
            if target is not None:
                e.write(target, result, names.get(row.writes, row.writes))
        if not any(site.kind in ("access", "guard") for site in self.sites.sites[n_sites:]):
            tally.plain(e, instruction)
        e.guard, e.lane_zero = None, False
