"""What the code of one warp is made of: blocks and their facts, the layout of memory and of the frame, the emitter."""

from __future__ import annotations

import dataclasses

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import clusters, flow, ir
from teachkit.emulator.engine.access import MAX_LANE_BYTES
from teachkit.emulator.engine.context import LANES, offset
from teachkit.emulator.engine.dataflow import provenance, scalars
from teachkit.emulator.engine.distances import distances_of
from teachkit.emulator.engine.emit import Emitter, OnFirstUse
from teachkit.emulator.engine.frames import Frame, FrameLayout, held_at_end
from teachkit.emulator.engine.idle_loops import waits
from teachkit.emulator.engine.inline import flatten, function_addresses
from teachkit.emulator.engine.layout import local_layout, parameter_layout, shared_layout
from teachkit.emulator.engine.recursion import STACK_BYTES, StackCall, Stacked, frame_bytes
from teachkit.emulator.engine.shapes import I8, I32, I64, POINTER, WIDTHS, Value, vector_of
from teachkit.emulator.engine.stack import Stack
from teachkit.emulator.engine.steps import steps_of
from teachkit.emulator.ptx.model import Function, Module
from teachkit.emulator.ptx.reserved import reserved
from teachkit.emulator.sites import SiteBuilder

WARP_FUNCTION = "warp"


@dataclasses.dataclass(frozen=True, slots=True)
class Mode:
    """Which variant of a kernel: with counters or without, for blocks that end in a part of a warp, checked or not."""

    counting: bool = True
    partial_warps: bool = False
    checked: bool = False
    rows: bool = False  # a block is a multiple of 32 threads wide: a warp is a part of one of its rows


class WarpCode:
    """A kernel on its way to an LLVM function. What the parts that write its code share stands here."""

    def __init__(self, module: Module, function: Function, mode: Mode) -> None:
        function = flatten(module, function)
        self.spans_blocks = clusters.spans_blocks(function)
        self.function = function = clusters.with_loops(function) if self.spans_blocks else function
        self.mode, self.module = mode, module
        self.blocks = flow.build(function)
        self.steps = steps_of(self.blocks)
        facts, self.affine = scalars(function, self.blocks, self.steps, mode.partial_warps, mode.rows)
        self.masked = facts.divergent
        if self.masked and waits([b for b in self.blocks if b.is_resume_point], self.blocks):
            self.blocks = flow.build(function, apart=True)
            self.steps = steps_of(self.blocks)
        self.uniform = facts.uniform
        self.distances = distances_of(self.blocks, self.steps)
        self.provenance = provenance(function, self.steps)
        self.sites = SiteBuilder(mode.counting, provenance=self.provenance)
        self.symbols, self.shared_bytes = shared_layout(module, function)
        self.reserved_bytes = sum(variable.n_bytes for variable in reserved(function.body))
        local_places, self.local_bytes = local_layout(function)
        self.symbols |= local_places
        self.stack = self._stack(function)
        self.global_names = tuple(v.name for v in module.variables.values() if v.space in ("global", "const"))
        self.parameter_offsets, self.parameter_bytes = parameter_layout(function)
        self.crossing = frozenset().union(*(block.live_in for block in self.blocks))
        self.resume_points = [block for block in self.blocks if block.is_resume_point]
        self.waits = waits(self.resume_points, self.blocks) if self.masked else []
        self.layout = FrameLayout(
            function.registers, self.crossing, self._is_scalar, len(self.blocks), self.masked, parks=bool(self.waits)
        )
        self.held = [frozenset[str]()] * len(self.blocks) if self.masked else held_at_end(self.blocks)

        self.llvm = ir.Module()
        self.warp = ir.Function(self.llvm, ir.FunctionType(I32, [POINTER, POINTER]), WARP_FUNCTION)
        self.warp.attributes.add('"stackrealign"')  # a vector that lies across two pages takes a hundred times as long
        self.context, frame = self.warp.args
        self.entry = self.warp.append_basic_block("entry")
        self.builder = ir.IRBuilder(self.entry)
        self.e = self._emitter(module)
        self.frame = Frame(self.layout, self.e, frame)
        self._places()

    def _places(self) -> None:
        """Where lanes are and go: a label a block, and under masks the lanes that it has to run."""
        b = self.builder
        self.turn_blocks: dict[int, ir.Block] = {}
        self.turns = b.alloca(I64)
        b.store(self.e.field("turns", I64), self.turns)
        self.e.scratch["turns"] = self.turns
        self.masks = {block.index: self.frame.mask(block.index) for block in self.blocks} if self.masked else {}
        if self.masked and self.mode.checked:
            self.e.leaving = [self.masks[block.index] for block in self.blocks if hooks.has_left(block.instructions)]
        self.labels = {block.index: self.warp.append_basic_block(f"block{block.index}") for block in self.blocks}
        self.bodies = self.labels
        if self.masked:
            self.bodies = {i: self.warp.append_basic_block(f"body{i}") for i in self.labels}
        self.exit = self.warp.append_basic_block("exit")
        if self.masked and self.resume_points:
            self.status, self.away = b.alloca(I32), self.warp.append_basic_block("away")

    def _lanes_of(self, index: int) -> Value:
        """The lanes that a block has to run."""
        return self.builder.load(self.masks[index], typ=I32)

    def _add_lanes(self, index: int, lanes: Value) -> Value:
        """Have a block run these too; returns all that it then has to run."""
        found = self.builder.or_(self._lanes_of(index), lanes)
        self.builder.store(found, self.masks[index])
        return found

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

    def _passing(self) -> frozenset[str]:
        """Registers that never live from one block to another, so that they need no memory: LLVM's own values will do.

        Not those that tensor cores work on, which must lie in memory, nor any where a stack is kept.
        """
        if self.stack is not None:
            return frozenset()
        placed = {name for step in self.steps if "mma" in step.mnemonic for name in (*step.reads, *step.writes)}
        return frozenset(self.function.registers) - self.crossing - placed

    def _emitter(self, module: Module) -> Emitter:
        b = self.builder
        registers = {}
        residents, passing = self.layout.residents, self._passing()
        for name, kind in self.function.registers.items():
            if name in residents:
                registers[name] = b.gep(self.warp.args[1], [I64(self.layout.slots[name])], source_etype=I8)
                continue
            if name in passing:
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
            intervals={name: i for i, name in enumerate((*(p.name for p in self.function.params), *self.global_names))},
            bounds=OnFirstUse(b, self._bounds),
            sites=self.sites,
            scratch=OnFirstUse(b, self._scratch),
        )
        e.is_checked = e.is_ordered = self.mode.checked
        e.parameter_offsets = self.parameter_offsets
        e.functions, e.spans_blocks = function_addresses(module), self.spans_blocks
        e.local_bytes, e.shared_bytes, e.reserved_bytes = self.local_bytes, self.shared_bytes, self.reserved_bytes
        e.variable_bytes = {v.name: v.n_bytes for v in self.function.variables}
        if self.stack is not None:
            e.slots = self.stack.slots
            e.variable_bytes |= self.stack.sizes
        e.constants = frozenset(v.name for v in module.variables.values() if v.space == "const")
        return e

    def _bounds(self, name: str) -> tuple[Value, Value]:
        b, at = self.builder, 16 * self.e.intervals[name]
        table = self.e.scratch["bounds"]
        low, high = (b.gep(table, [I64(place)], source_etype=I8) for place in (at, at + 8))
        return b.load(low, typ=I64), b.load(high, typ=I64)

    def _scratch(self, name: str) -> Value:
        b, e = self.builder, self.e
        fields: dict[str, tuple[str, ir.Type]] = {
            "packed": ("staging", POINTER),
            "sites": ("sites", POINTER),
            "params": ("params", POINTER),
            "bounds": ("bounds", POINTER),
            "shared_base": ("shared", I64),
            "shared_end": ("shared_end", I64),
        }
        if name in fields:
            return e.field(*fields[name])
        if name == "addresses":
            return b.gep(e.scratch["packed"], [I64(LANES * MAX_LANE_BYTES)], source_etype=I8)
        if name == "parameters_low":
            return b.ptrtoint(e.scratch["params"], I64)
        if name == "parameters_high":
            return b.add(e.scratch["parameters_low"], I64(self.parameter_bytes))
        if name == "local_base":
            own = b.mul(e.field("warp", I64), I64(LANES * self.local_bytes))
            return b.add(e.field("local", I64), own)
        if name in ("cluster_low", "cluster_shift", "cluster_size"):
            field = {"cluster_low": "cluster.arena"}.get(name, name.replace("_", "."))
            place = b.gep(e.field("cluster", POINTER), [I64(offset(field))], source_etype=I8)
            return b.load(place, typ=I64)
        if name == "cluster_high":
            return b.add(e.scratch["cluster_low"], b.shl(e.scratch["cluster_size"], e.scratch["cluster_shift"]))
        raise KeyError(name)
