"""How a block ends: branches under masks and without, branch tables, calls on a stack, barriers, traps."""

from __future__ import annotations

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import barriers, clusters, flow, tally
from teachkit.emulator.engine.context import (
    FRAME_BARRIER,
    FRAME_EXPECTED,
    LANES,
    Fault,
    Status,
)
from teachkit.emulator.engine.inline import function_addresses
from teachkit.emulator.engine.recursion import Jump, NoFunction, StackCall, StackReturn
from teachkit.emulator.engine.shapes import I32, I64, Value
from teachkit.emulator.engine.suspensions import Suspensions
from teachkit.emulator.isa.host import tell_host
from teachkit.emulator.isa.table import lookup
from teachkit.emulator.ptx.model import Instruction, Register


class BlockEnds(Suspensions):
    """Code that sends lanes to the blocks where they go on."""

    def _terminate(self, block: flow.Block, last: Instruction | None, lanes: Value) -> None:
        if last is not None:
            self.e.instruction = last
            if lookup(last.opcode) is None:
                raise self.e.unsupported("")
        if last is not None and flow.is_barrier(last):
            self._barrier(block, last, lanes)
            return
        if last is not None and flow.pauses(last):
            self._pause(block, last, lanes)
            return
        if self.stack is not None and isinstance(last, StackCall):
            site = self.sites.guard(last, is_part=not last.is_counted)
            if self.mode.counting and last.is_counted:
                tally.add_lanes(self.e, site, lanes)
            self._send(block, [(block.successors[0], self.stack.call(self.e, last, lanes, site))])
            return
        if last is not None and flow.dispatches(last):
            self._dispatch(block, last, lanes)
            return
        condition: Value | None = None
        if last is not None:
            condition = self.e.guard_of(last)
            if flow.base(last) in ("trap", "brkpt", "call"):
                self._trap(condition, lanes)
        if self.masked:
            self._masked_end(block, last, condition, lanes)
        else:
            self._plain_end(block, last, condition)

    def _plain_end(self, block: flow.Block, last: Instruction | None, condition: Value | None) -> None:
        b = self.builder
        leaves = last is not None and flow.leaves(last)
        if last is not None:
            self._count_branch(last, condition, None)
        if condition is None:
            b.branch(self.exit if leaves or not block.successors else self.labels[block.successors[0]])
        elif leaves:
            b.cbranch(condition, self.exit, self.labels[block.successors[0]])
        else:
            target, following = (block.successors * 2)[:2]
            b.cbranch(condition, self.labels[target], self.labels[following])

    def _masked_end(self, block: flow.Block, last: Instruction | None, condition: Value | None, lanes: Value) -> None:
        b = self.builder
        leaves = last is not None and flow.leaves(last)
        taken: Value = lanes
        if condition is not None:
            taken = b.and_(self.e.lane_bits(condition), lanes)
        rest = b.and_(lanes, b.not_(taken))
        if last is not None:
            self._count_branch(last, condition, (taken, rest))
        targets: list[tuple[int, Value]] = []
        if self.stack is not None and isinstance(last, StackReturn):
            number = self.stack.landing_number(self.e, taken)
            n_landings = len(block.successors) - (condition is not None)
            for place, successor in enumerate(block.successors[:n_landings]):
                here = b.icmp_unsigned("==", number, self.e.constant(number, place))
                targets.append((successor, b.and_(b.bitcast(here, I32), taken)))
            targets += [(successor, rest) for successor in block.successors[n_landings:]]
        elif leaves:
            if self.mode.checked:
                hooks.leave(self.e, taken)
            if self.spans_blocks:
                clusters.leave(self.e, taken)
            targets = [(s, rest) for s in block.successors[:1]]
        elif condition is None:
            targets = [(s, lanes) for s in block.successors[:1]]
        else:
            target, following = (block.successors * 2)[:2]
            targets = [(target, taken), (following, rest)]
        self._send(block, targets)

    def _send(self, block: flow.Block, targets: list[tuple[int, Value]]) -> None:
        """Add lanes to the masks of the blocks where they go on; then on to the next block that may have some."""
        b = self.builder
        for target, mask in targets:
            self._add_lanes(target, mask)
        following_label = self.labels[block.index + 1] if block.index + 1 < len(self.blocks) else self.exit
        for target in sorted({t for t, _ in targets if t <= block.index}):
            onward = self.warp.append_basic_block(f"onward{block.index}")
            waiting = b.icmp_signed("!=", self._lanes_of(target), I32(0))
            b.cbranch(waiting, self.labels[target], onward)
            b.position_at_end(onward)
        b.branch(following_label)

    def _dispatch(self, block: flow.Block, last: Instruction, lanes: Value) -> None:
        """A branch table, or a call through a pointer: each successor has the number that leads to it.

        Behind the functions that a pointer may lead to stands where lanes go that it leads to none of them.
        """
        b, e = self.builder, self.e
        if last.guard is not None:
            raise e.unsupported("under a predicate")
        self.sites.plain(last)
        is_call = flow.base(last) == "call"
        names = self.function.branch_targets[flow.table_of(last)]
        numbers = list(range(len(names)))
        if is_call:
            addresses = function_addresses(self.module)
            numbers = [addresses[name.removeprefix(flow.table_of(last))] for name in names[:-1]]
        value = e.read(next(o for o in last.operands if isinstance(o, Register)), "u64" if is_call else "u32")
        if not self.masked:
            switch = b.switch(value, self.labels[block.successors[-1]] if is_call else self.exit)
            for number, successor in zip(numbers, block.successors, strict=not is_call):
                switch.add_case(value.type(number), self.labels[successor])
            return
        value = e.vector(value)
        targets = []
        rest = lanes
        for number, successor in zip(numbers, block.successors, strict=not is_call):
            here = b.bitcast(b.icmp_unsigned("==", value, e.constant(value, number)), I32)
            targets.append((successor, b.and_(here, lanes)))
            rest = b.and_(rest, b.not_(here))
        if is_call:
            targets.append((block.successors[-1], rest))
        self._send(block, targets)

    def _count_branch(self, last: Instruction, condition: Value | None, ways: tuple[Value, Value] | None) -> None:
        b = self.builder
        if isinstance(last, Jump) or (isinstance(last, StackReturn) and not last.is_counted):
            return
        if condition is None:
            self.sites.plain(last)
            return
        guard_slot = self.sites.guard(last)
        branch_slot = self.sites.branch(last) if flow.base(last) == "bra" else None
        if not self.mode.counting:
            return
        if ways is None:
            tally.add(self.e, guard_slot, b.select(condition, I64(LANES), I64(0)))
            return
        taken, rest = ways
        tally.add_lanes(self.e, guard_slot, taken)
        if branch_slot is not None:
            split = b.and_(b.icmp_signed("!=", taken, I32(0)), b.icmp_signed("!=", rest, I32(0)))
            tally.add(self.e, branch_slot, b.zext(split, I64))

    def _barrier(self, block: flow.Block, last: Instruction, lanes: Value) -> None:
        b, e = self.builder, self.e
        (after,) = block.successors
        if self.masked:
            self._add_lanes(after, lanes)
        waiting = lanes
        if last.guard is None:
            self.sites.plain(last)
        else:
            waiting = self._some_wait(block, last, lanes)
        number, expected = barriers.numbers(e, last, waiting)
        if barriers.is_reduction(last):
            barriers.vote(e, last, number, waiting)
        if self.mode.checked:
            hooks.wait(e, last, number, expected, waiting)
        b.store(number, self.frame.at(FRAME_BARRIER))
        b.store(expected, self.frame.at(FRAME_EXPECTED))
        self._suspend(self.blocks[after], Status.BARRIER, self.held[block.index])

    def _pause(self, block: flow.Block, last: Instruction, lanes: Value) -> None:
        (after,) = block.successors
        if self.masked:
            self._add_lanes(after, lanes)
        self.sites.plain(last)
        self._suspend(self.blocks[after], Status.YIELDED, self.held[block.index])

    def _some_wait(self, block: flow.Block, last: Instruction, lanes: Value) -> Value:
        """Go on without waiting where the predicate holds for no lane; else the warp waits, for those it holds."""
        b, e = self.builder, self.e
        if barriers.is_reduction(last):
            raise e.unsupported("under a predicate")
        condition = e.guard_of(last)
        assert condition is not None
        waiting = b.and_(e.lane_bits(condition), lanes)
        slot = self.sites.guard(last)
        if self.mode.counting:
            tally.add_lanes(e, slot, waiting)
        wait, past = (self.warp.append_basic_block(f"{name}{block.index}") for name in ("wait", "past"))
        b.cbranch(b.icmp_unsigned("!=", waiting, I32(0)), wait, past)
        b.position_at_end(past)
        b.branch(
            self.labels[min(block.index + 1, block.successors[0])] if self.masked else self.labels[block.successors[0]]
        )
        b.position_at_end(wait)
        return waiting

    def _trap(self, condition: Value | None, lanes: Value) -> None:
        b = self.builder
        assert self.e.instruction is not None
        hit = lanes if condition is None else b.and_(self.e.lane_bits(condition), lanes)
        site = self.sites.guard(self.e.instruction, is_part=True)  # it is counted as the end of its block
        is_breakpoint = flow.base(self.e.instruction) == "brkpt"
        kind = Fault.BREAKPOINT if is_breakpoint else Fault.TRAP
        if isinstance(self.e.instruction, NoFunction):
            kind = Fault.NO_FUNCTION
        if flow.fails(self.e.instruction):
            kind = Fault.ASSERT
        with b.if_then(b.icmp_signed("!=", hit, I32(0))):
            if kind == Fault.ASSERT:
                tell_host(self.e, "tk_host_assert", hit)
            self.e.fault(kind, site, hit)
