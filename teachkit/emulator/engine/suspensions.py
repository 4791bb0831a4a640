"""Where a warp stops and goes on: its entry, barriers that it resumes behind, loops whose turns are used up."""

from __future__ import annotations

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import barriers, flow, ir
from teachkit.emulator.engine.context import (
    FRAME_BARRIER,
    FRAME_PARKED,
    FRAME_RESUME,
    Status,
)
from teachkit.emulator.engine.shapes import I1, I32, I64, POINTER, WIDTHS, is_vector, vector_of
from teachkit.emulator.engine.warp_code import WarpCode


class Suspensions(WarpCode):
    """Code that moves a warp into its frame and out of it."""

    def _enter(self) -> None:
        """Start at the first block, or where the warp left off."""
        b = self.builder
        resume = b.load(self.frame.pointer, typ=I32)
        start = self.warp.append_basic_block("start")
        switch = b.switch(resume, start)
        b.position_at_end(start)
        for name in sorted(self.blocks[0].live_in):  # read before written: LLVM may turn that into anything
            zero = ir.Constant(ir.IntType(WIDTHS[self.function.registers[name]]), 0)
            self.e.put(name, zero if self._is_scalar(name) else self.e.vector(zero))
        if self.masked:
            for mask in self.masks.values():
                b.store(I32(0), mask)
            last = b.icmp_signed("==", b.add(self.e.field("warp", I64), I64(1)), self.e.field("n_warps", I64))
            full = b.select(last, b.trunc(self.e.field("last_warp_mask", I64), I32), I32(-1))
            b.store(full, self.masks[0])
        if self.mode.checked:
            hooks.start(self.e)
        b.branch(self.labels[0])
        if self.masked and self.resume_points:  # what is restored is the same everywhere, so its code stands once
            restored = self.warp.append_basic_block("restored")
            for number in range(1, len(self.resume_points) + 1 + bool(self.waits)):
                switch.add_case(I32(number), restored)
            b.position_at_end(restored)
            self._restore(self.resume_points[0])
            switch = b.switch(resume, start)
            if self.waits:  # other lanes than those that stopped go on, wherever they are
                switch.add_case(I32(len(self.resume_points) + 1), self.labels[0])
        for number, block in enumerate(self.resume_points, start=1):
            here = self.warp.append_basic_block(f"resume{block.index}")
            switch.add_case(I32(number), here)
            b.position_at_end(here)
            if not self.masked:
                self._restore(block)
            if self.mode.checked:
                hooks.resume(self.e, block.after_barrier)
            self._take_outcome(block)
            b.branch(self.labels[block.index] if not block.is_loop_header else self._header_body(block))

    def _restore(self, block: flow.Block) -> None:
        """Take what ``block`` needs out of the frame."""
        for name in self._saved(block):
            self.frame.restore(name)

    def _take_outcome(self, block: flow.Block) -> None:
        """Give the result of the reduction that the block stands behind to the lanes that waited."""
        b, e, barrier = self.builder, self.e, block.after_barrier
        if barrier is None or not barriers.is_reduction(barrier):
            return
        e.active = b.bitcast(self._lanes_of(block.index), vector_of(I1)) if self.masked else None
        e.instruction = barrier
        barriers.outcome(e, barrier, b.load(self.frame.at(FRAME_BARRIER), typ=I32))
        for name in flow.defined(barrier):
            if name in self.crossing:
                self.frame.save(name)
        e.active = None

    def _header_body(self, block: flow.Block) -> ir.Block:
        """Where a resumed warp enters a loop header: behind the check of its turns."""
        label = self.warp.append_basic_block(f"turn{block.index}")
        self.turn_blocks[block.index] = label
        return label

    def _saved(self, block: flow.Block) -> list[str]:
        """Registers to keep across a suspension. Under masks other lanes may wait anywhere, so all that cross."""
        return sorted(self.crossing if self.masked else block.live_in)

    def _suspend(self, block: flow.Block, status: Status, held: frozenset[str] = frozenset()) -> None:
        """Save what ``block`` needs beyond what the frame holds, and return; the next call goes on there."""
        b = self.builder
        number = self.resume_points.index(block) + 1
        b.store(I32(number), self.frame.at(FRAME_RESUME))
        if self.masked:
            b.store(I32(status), self.status)
            b.branch(self.away)
            return
        for name in self._saved(block):
            if name not in held:
                self.frame.save(name)
        b.ret(I32(status))

    def _leave(self) -> None:
        """Under masks every suspension saves the same: once for all of them."""
        b = self.builder
        b.position_at_end(self.away)
        for name in self._saved(self.blocks[0]):
            self.frame.save(name)
        b.ret(b.load(self.status))

    def _spend_turn(self, block: flow.Block) -> None:
        b = self.builder
        left = b.sub(b.load(self.turns), I64(1))
        b.store(left, self.turns)
        spent, go_on = self.warp.append_basic_block("spent"), self.turn_blocks[block.index]
        b.cbranch(b.icmp_signed("<", left, I64(0)), spent, go_on).set_weights([1, 4095])
        b.position_at_end(spent)
        self._suspend(block, Status.YIELDED)
        b.position_at_end(go_on)
        if self.mode.counting:
            reserve = self.llvm.globals.get("tk_trace_reserve")
            if reserve is None:
                reserve = ir.Function(self.llvm, ir.FunctionType(ir.VoidType(), [POINTER]), "tk_trace_reserve")
            b.call(reserve, [self.context])

    def _gather(self, block: flow.Block) -> None:
        """Before a warp-wide instruction: take along lanes that are parked here; let others that it needs run."""
        b, e, first = self.builder, self.e, block.instructions[0]
        members = flow.members_of(first)
        if members is None:
            return
        own = self.frame.at(self.layout.masks_at + 4 * (len(self.blocks) + block.index))
        here = b.load(own, typ=I32)
        lanes = self._add_lanes(block.index, here)
        b.store(I32(0), own)
        parked = b.and_(b.load(self.frame.at(FRAME_PARKED), typ=I32), b.not_(here))
        b.store(parked, self.frame.at(FRAME_PARKED))
        needed = e.read(members, "u32")
        if is_vector(needed):
            needed = b.extract_element(needed, b.cttz(lanes, I1(0)))
        apart, whole = (self.warp.append_basic_block(f"{name}{block.index}") for name in ("apart", "whole"))
        b.cbranch(b.icmp_unsigned("!=", b.and_(parked, needed), I32(0)), apart, whole).set_weights([1, 4095])
        b.position_at_end(apart)
        b.store(I32(Status.TOGETHER), self.status)
        b.branch(self.away)
        b.position_at_end(whole)
