"""A PTX kernel as an LLVM function that runs one warp until it exits, waits or yields."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Iterator

from llvmlite import ir

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import barriers, flow
from teachkit.emulator.engine.access import MAX_LANE_BYTES, add_counts
from teachkit.emulator.engine.context import (
    FRAME_BARRIER,
    FRAME_EXPECTED,
    FRAME_PARKED,
    FRAME_RESUME,
    LANES,
    Fault,
    Status,
)
from teachkit.emulator.engine.dataflow import provenance, scalars
from teachkit.emulator.engine.emit import I1, I8, I32, I64, POINTER, WIDTHS, Emitter, Value, is_vector, vector_of
from teachkit.emulator.engine.frames import Frame, FrameLayout, held_at_end
from teachkit.emulator.engine.idle_loops import asking_loops, idle_loops, waits
from teachkit.emulator.engine.inline import flatten, function_addresses
from teachkit.emulator.engine.layout import local_layout, parameter_layout, shared_layout
from teachkit.emulator.engine.recursion import STACK_BYTES, Jump, Landing, StackCall, Stacked, StackReturn, frame_bytes
from teachkit.emulator.engine.stack import Stack
from teachkit.emulator.isa.host import tell_host
from teachkit.emulator.isa.table import lookup
from teachkit.emulator.ptx.model import Function, Instruction, Module, Register
from teachkit.emulator.sites import Site, SiteBuilder

WARP_FUNCTION = "warp"


@dataclasses.dataclass(frozen=True, slots=True)
class Mode:
    """Which variant of a kernel: with counters or without, for blocks that end in a part of a warp, checked or not."""

    counting: bool = True
    partial_warps: bool = False
    checked: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Translation:
    """LLVM text of a kernel, and what the launcher must know about it."""

    text: str
    sites: tuple[Site, ...]
    n_slots: int
    frame_bytes: int
    shared_bytes: int
    globals: tuple[str, ...]
    trace_reserve: int
    local_bytes: int  # private memory of a lane
    is_ordered: bool  # the order of blocks shows in the result, so they run one after another
    waits: tuple[int, ...]  # by resume point; empty where lanes never wait for others of their warp
    masks_at: int  # of the blocks' masks in a frame
    n_masks: int
    idle_loops: dict[int, Instruction]  # resume points where a warp can only wait: where they stand
    asking_loops: list[int]  # those of them that ask a barrier in shared memory


def translate(module: Module, function: Function, mode: Mode) -> Translation:
    """Translate one kernel.

    Raises
    ------
    UnsupportedInstruction
        At the first instruction that is not on the whitelist, with its PTX line and kernel source line.
    """
    with _collector_paused():
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


class _Translator:
    def __init__(self, module: Module, function: Function, mode: Mode) -> None:
        self.function = function = flatten(module, function)
        self.mode, self.module = mode, module
        self.blocks = flow.build(function)
        facts, self.affine = scalars(function, self.blocks, mode.partial_warps)
        self.masked = facts.divergent
        if self.masked and waits([b for b in self.blocks if b.is_resume_point], self.blocks):
            self.blocks = flow.build(function, apart=True)
        self.uniform = facts.uniform
        self.provenance = provenance(self.function, self.blocks)
        self.sites = SiteBuilder(mode.counting, provenance=self.provenance)
        self.symbols, self.shared_bytes = shared_layout(module, function)
        local_places, self.local_bytes = local_layout(function)
        self.symbols |= local_places
        self.stack = self._stack(function)
        self.global_names = tuple(v.name for v in module.variables.values() if v.space in ("global", "const"))
        self.parameter_offsets, self.parameter_bytes = parameter_layout(function)
        self.crossing = frozenset().union(*(block.live_in for block in self.blocks))
        self.resume_points = [block for block in self.blocks if block.is_resume_point]
        self.waits = waits(self.resume_points, self.blocks) if self.masked else []
        parks = bool(self.waits)
        self.layout = FrameLayout(function.registers, self.crossing, self._is_scalar, len(self.blocks), parks)
        self.held = [frozenset[str]()] * len(self.blocks) if self.masked else held_at_end(self.blocks)

        self.llvm = ir.Module()
        self.warp = ir.Function(self.llvm, ir.FunctionType(I32, [POINTER, POINTER]), WARP_FUNCTION)
        self.context, frame = self.warp.args
        self.entry = self.warp.append_basic_block("entry")
        self.builder = ir.IRBuilder(self.entry)
        self.e = self._emitter(module)
        self.frame = Frame(self.layout, self.e, frame)

    def _stack(self, function: Function) -> Stack | None:
        """Room for functions that call themselves, behind the other private memory of a lane."""
        if not isinstance(function, Stacked):
            return None
        calls = [i for block in self.blocks for i in block.instructions if isinstance(i, StackCall)]
        start = self.local_bytes
        self.local_bytes += STACK_BYTES
        return Stack(function, frame_bytes(function, calls), start)

    def _is_scalar(self, name: str) -> bool:
        return name in self.uniform or name in self.affine

    def _emitter(self, module: Module) -> Emitter:
        b = self.builder
        registers = {}
        residents = {name: vector_of(ir.IntType(self.layout.width(name))) for name in self.layout.residents()}
        for name, kind in self.function.registers.items():
            if name in residents:
                registers[name] = b.gep(self.warp.args[1], [I64(self.layout.slots[name])], source_etype=I8)
                continue
            element = ir.IntType(WIDTHS[kind])
            shape = element if self._is_scalar(name) else vector_of(element)
            registers[name] = b.alloca(shape)
        e = Emitter(
            builder=b,
            module=self.llvm,
            context=self.context,
            registers=registers,
            residents=residents,
            register_types=self.function.registers,
            uniform=self.uniform,
            strides={name: a.stride for name, a in self.affine.items()},
            shared_across_blocks=self.crossing,
            symbols=self.symbols,
            globals={name: i for i, name in enumerate(self.global_names)},
            provenance=self.provenance,
            bounds={},
            sites=self.sites,
            scratch={},
        )
        e.is_checked = e.is_ordered = self.mode.checked
        packed = e.field("staging", POINTER)
        addresses = b.gep(packed, [I64(LANES * MAX_LANE_BYTES)], source_etype=I8)
        e.scratch = {"packed": packed, "addresses": addresses, "sites": e.field("sites", POINTER)}
        shared = e.field("shared", I64)
        n_bytes = e.field("shared_bytes", I64)
        # Dynamic memory comes in larger pieces than asked for; compilers know, and read whole vectors at its end.
        pieces = b.and_(b.add(n_bytes, I64(15)), I64(-16))
        is_dynamic = b.icmp_unsigned(">", n_bytes, I64(self.shared_bytes))
        e.scratch |= {"shared_base": shared, "shared_end": b.add(shared, b.select(is_dynamic, pieces, n_bytes))}
        e.scratch["params"] = e.field("params", POINTER)
        e.parameter_offsets = self.parameter_offsets
        e.functions = function_addresses(module)
        e.local_bytes, e.shared_bytes = self.local_bytes, self.shared_bytes
        e.variable_bytes = {v.name: v.n_bytes for v in self.function.variables}
        if self.stack is not None:
            e.slots = self.stack.slots
            e.variable_bytes |= self.stack.sizes
        if self.local_bytes:
            own = b.mul(e.field("warp", I64), I64(LANES * self.local_bytes))
            e.scratch["local_base"] = b.add(e.field("local", I64), own)
        low = b.ptrtoint(e.scratch["params"], I64)
        e.scratch["parameter_limits"] = (low, b.add(low, I64(self.parameter_bytes)))
        e.constants = frozenset(v.name for v in module.variables.values() if v.space == "const")
        table = e.field("bounds", POINTER)
        names = [p.name for p in self.function.params] + list(self.global_names)
        for index, name in enumerate(names):
            low = b.gep(table, [I64(16 * index)], source_etype=I8)
            high = b.gep(table, [I64(16 * index + 8)], source_etype=I8)
            e.bounds[name] = (b.load(low, typ=I64), b.load(high, typ=I64))
        return e

    # ------------------------------------------------------------------------------------------- whole kernel

    def run(self) -> Translation:
        b = self.builder
        self.turn_blocks: dict[int, ir.Block] = {}
        self.turns = b.alloca(I64)
        b.store(self.e.field("turns", I64), self.turns)
        self.e.scratch["turns"] = self.turns
        self.masks = {block.index: b.alloca(I32) for block in self.blocks} if self.masked else {}
        if self.masked and self.mode.checked:
            self.e.leaving = [self.masks[block.index] for block in self.blocks if hooks.has_left(block.instructions)]
        self.labels = {block.index: self.warp.append_basic_block(f"block{block.index}") for block in self.blocks}
        self.bodies = self.labels
        if self.masked:
            self.bodies = {i: self.warp.append_basic_block(f"body{i}") for i in self.labels}
        self.exit = self.warp.append_basic_block("exit")
        if self.masked and self.resume_points:
            self.status, self.away = b.alloca(I32), self.warp.append_basic_block("away")
        self._enter()
        for block in self.blocks:
            self._block(block)
        if self.masked and self.resume_points:
            self._leave()
        b.position_at_end(self.exit)
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
            globals=self.global_names,
            local_bytes=self.local_bytes,
            is_ordered=self.e.is_ordered,
            idle_loops=idle,
            asking_loops=asking_loops(self.resume_points, self.blocks, idle),
            waits=tuple(self.waits),
            masks_at=self.layout.masks_at,
            n_masks=len(self.blocks),
            trace_reserve=8 * LANES * (n_accesses + 1) if self.mode.counting else 0,
        )

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
        self.frame.restore_masks(self.masks)

    def _take_outcome(self, block: flow.Block) -> None:
        """Give the result of the reduction that the block stands behind to the lanes that waited."""
        b, e, barrier = self.builder, self.e, block.after_barrier
        if barrier is None or not barriers.is_reduction(barrier):
            return
        e.active = b.bitcast(b.load(self.masks[block.index]), vector_of(I1)) if self.masked else None
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
        self.frame.save_masks(self.masks)
        b.ret(b.load(self.status))

    # --------------------------------------------------------------------------------------------- one block

    def _block(self, block: flow.Block) -> None:
        b, e = self.builder, self.e
        b.position_at_end(self.labels[block.index])
        lanes: Value = I32(-1)
        e.active = e.carry = None
        if self.masked:
            following = self.labels[block.index + 1] if block.index + 1 < len(self.blocks) else self.exit
            lanes = b.load(self.masks[block.index])
            b.cbranch(b.icmp_signed("==", lanes, I32(0)), following, self.bodies[block.index])
            b.position_at_end(self.bodies[block.index])
        if block.is_loop_header:
            self._spend_turn(block)
        if self.waits and block.instructions:
            self._gather(block)
        if self.masked:
            lanes = b.load(self.masks[block.index])
            b.store(I32(0), self.masks[block.index])
            e.active = b.bitcast(lanes, vector_of(I1))
        self._count_block(lanes)
        body, last = block.instructions, None
        if body and flow.ends_block(body[-1]):
            body, last = body[:-1], body[-1]
        for instruction in body:
            self._instruction(instruction)
        self._terminate(block, last, lanes)

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
        lanes = b.or_(b.load(self.masks[block.index]), here)
        b.store(lanes, self.masks[block.index])
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

    def _count_block(self, lanes: Value) -> None:
        slot = self.sites.block()
        if not self.mode.counting:
            return
        n: Value = I64(LANES)
        if self.masked:
            n = self.builder.zext(self.e.intrinsic("llvm.ctpop", lanes), I64)
        add_counts(self.e, slot, [I64(1), n])

    def _instruction(self, instruction: Instruction) -> None:
        e = self.e
        e.instruction = instruction
        if self.stack is not None and isinstance(instruction, Landing):
            self.stack.land(e, instruction)
            return
        found = lookup(instruction.opcode)
        if found is None:
            raise e.unsupported("")
        row, form = found
        e.guard = None
        if instruction.guard is not None:
            e.guard = e.load(instruction.guard.register.name)
            if instruction.guard.negated:
                e.guard = self.builder.not_(e.guard)
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
            result = row.translate(e, form, *e.alike(*values))
            if target is not None:
                e.write(target, result, names.get(row.writes, row.writes))
        if not any(site.kind in ("access", "guard") for site in self.sites.sites[n_sites:]):
            self._count_plain(instruction)
        e.guard, e.lane_zero = None, False

    def _count_plain(self, instruction: Instruction) -> None:
        """An instruction without counters of its own is worth its block's; a guarded one counts its lanes."""
        if self.e.guard is None:
            self.sites.plain(instruction)
            return
        slot = self.sites.guard(instruction)
        if self.mode.counting:
            lanes = self.e.lanes()
            add_counts(self.e, slot, [self.builder.zext(self.e.intrinsic("llvm.ctpop", lanes), I64)])

    # ------------------------------------------------------------------------------------------ block endings

    def _terminate(self, block: flow.Block, last: Instruction | None, lanes: Value) -> None:
        if last is not None:
            self.e.instruction = last
            if lookup(last.opcode) is None:
                raise self.e.unsupported("")
        if last is not None and flow.is_barrier(last):
            self._barrier(block, last, lanes)
            return
        if self.stack is not None and isinstance(last, StackCall):
            site = self.sites.guard(last, is_part=not last.is_counted)
            if self.mode.counting and last.is_counted:
                add_counts(self.e, site, [self.builder.zext(self.e.intrinsic("llvm.ctpop", lanes), I64)])
            self._send(block, [(block.successors[0], self.stack.call(self.e, last, lanes, site))])
            return
        if last is not None and flow.dispatches(last):
            self._dispatch(block, last, lanes)
            return
        condition: Value | None = None
        if last is not None:
            if last.guard is not None:
                condition = self.e.load(last.guard.register.name)
                condition = self.builder.not_(condition) if last.guard.negated else condition
            if flow.base(last) in ("trap", "call"):
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
            taken = b.and_(b.bitcast(self.e.vector(condition), I32), lanes)
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
            b.store(b.or_(b.load(self.masks[target]), mask), self.masks[target])
        following_label = self.labels[block.index + 1] if block.index + 1 < len(self.blocks) else self.exit
        for target in sorted({t for t, _ in targets if t <= block.index}):
            onward = self.warp.append_basic_block(f"onward{block.index}")
            waiting = b.icmp_signed("!=", b.load(self.masks[target]), I32(0))
            b.cbranch(waiting, self.labels[target], onward)
            b.position_at_end(onward)
        b.branch(following_label)

    def _dispatch(self, block: flow.Block, last: Instruction, lanes: Value) -> None:
        """A branch table, or a call through a pointer: each successor has the number that leads to it."""
        b, e = self.builder, self.e
        if last.guard is not None:
            raise e.unsupported("under a predicate")
        self.sites.plain(last)
        is_call = flow.base(last) == "call"
        names = self.function.branch_targets[flow.table_of(last)]
        numbers = list(range(len(names)))
        if is_call:
            addresses = function_addresses(self.module)
            numbers = [addresses[name.removeprefix(flow.table_of(last))] for name in names]
        value = e.read(next(o for o in last.operands if isinstance(o, Register)), "u64" if is_call else "u32")
        if not self.masked:
            switch = b.switch(value, self.exit)
            for number, successor in zip(numbers, block.successors, strict=True):
                switch.add_case(value.type(number), self.labels[successor])
            return
        value = e.vector(value)
        targets = []
        for number, successor in zip(numbers, block.successors, strict=True):
            here = b.icmp_unsigned("==", value, e.constant(value, number))
            targets.append((successor, b.and_(b.bitcast(here, I32), lanes)))
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
            add_counts(self.e, guard_slot, [b.select(condition, I64(LANES), I64(0))])
            return
        taken, rest = ways
        add_counts(self.e, guard_slot, [b.zext(self.e.intrinsic("llvm.ctpop", taken), I64)])
        if branch_slot is not None:
            split = b.and_(b.icmp_signed("!=", taken, I32(0)), b.icmp_signed("!=", rest, I32(0)))
            add_counts(self.e, branch_slot, [b.zext(split, I64)])

    def _barrier(self, block: flow.Block, last: Instruction, lanes: Value) -> None:
        b, e = self.builder, self.e
        (after,) = block.successors
        if self.masked:
            b.store(b.or_(b.load(self.masks[after]), lanes), self.masks[after])
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

    def _some_wait(self, block: flow.Block, last: Instruction, lanes: Value) -> Value:
        """Go on without waiting where the predicate holds for no lane; else the warp waits, for those it holds."""
        b, e = self.builder, self.e
        assert last.guard is not None
        if barriers.is_reduction(last):
            raise e.unsupported("under a predicate")
        condition = e.load(last.guard.register.name)
        condition = b.not_(condition) if last.guard.negated else condition
        waiting = b.and_(b.bitcast(e.vector(condition), I32), lanes)
        slot = self.sites.guard(last)
        if self.mode.counting:
            add_counts(e, slot, [b.zext(e.intrinsic("llvm.ctpop", waiting), I64)])
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
        hit = lanes if condition is None else b.and_(b.bitcast(self.e.vector(condition), I32), lanes)
        site = self.sites.guard(self.e.instruction, is_part=True)  # it is counted as the end of its block
        kind = Fault.ASSERT if flow.fails(self.e.instruction) else Fault.TRAP
        with b.if_then(b.icmp_signed("!=", hit, I32(0))):
            if kind == Fault.ASSERT:
                tell_host(self.e, "tk_host_assert", hit)
            self.e.fault(kind, site, hit)
