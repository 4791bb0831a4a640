"""What an instruction's function works with: the operands of a warp as LLVM values, and the builder.

A value is a scalar where all 32 lanes hold the same, else a vector with one element a lane. Integer and bit
types are LLVM integers, ``f32`` and ``f64`` are ``float`` and ``double``; 16-bit floats travel as their bits.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

from teachkit.emulator.engine import ir, special_registers
from teachkit.emulator.engine.context import LANES, offset
from teachkit.emulator.engine.recursion import STACK
from teachkit.emulator.engine.shapes import (
    F32,
    F64,
    I1,
    I8,
    I32,
    I64,
    POINTER,
    WIDTHS,
    Value,
    element_of,
    is_vector,
    lane_constants,
    like,
    vector_of,
)
from teachkit.emulator.engine.values import Values
from teachkit.emulator.ptx.lex import converted
from teachkit.emulator.ptx.model import Immediate, Instruction, Negated, Operand, PredicatePair, Register, Symbol
from teachkit.errors import UnsupportedInstruction

_BUCKET = "_"  # a target that nobody wants

RESIDENT_ALIGN = 32  # of the smallest vector in a frame, one byte a lane

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Resident:
    """A register that stays in the warp's frame: what lies there, and on what multiple of bytes."""

    type: ir.Type
    align: int
    is_mask: bool = False  # a predicate of each lane, as 32 bits


class OnFirstUse(dict[str, _T]):
    """Values at the start of the function, each written there when it is first asked for."""

    def __init__(self, builder: ir.IRBuilder, make: Callable[[str], _T]) -> None:
        super().__init__()
        self._builder, self._make = builder, make

    def __missing__(self, name: str) -> _T:
        """The value."""
        with self._builder.goto_entry_block():
            self[name] = made = self._make(name)
        return made


@dataclasses.dataclass
class Emitter(Values):
    """Builds the code of one kernel; instruction functions call its methods.

    ``active`` is the mask of lanes that run the current block, None where all 32 do; ``guard`` that of the
    current instruction's predicate, None without one.
    """

    context: Value
    registers: dict[str, Value]  # where registers are that live across blocks; the others are in ``values``
    residents: dict[str, Resident]
    register_types: dict[str, str]
    uniform: frozenset[str]
    strides: dict[str, int]  # registers kept as their value in lane 0, and what is added from lane to lane
    shared_across_blocks: frozenset[str]
    symbols: dict[str, int]  # shared, local and parameter offsets
    globals: dict[str, int]  # module variables: index into the table of host addresses
    provenance: dict[str, str | None]
    intervals: dict[str, int]  # parameters and module variables by their numbers in the launch's table
    bounds: dict[str, tuple[Value, Value]]  # of these
    sites: Any
    scratch: dict[str, Value]
    parameter_offsets: dict[str, int] = dataclasses.field(default_factory=dict)
    values: dict[str, Value] = dataclasses.field(default_factory=dict)  # of the current block
    laid_out: dict[tuple[str, ...], int] = dataclasses.field(default_factory=dict)  # see isa/fragments.py
    is_in_loop: bool = False  # the current block
    n_inline: int = 0  # accesses whose common case stands where they do, see access.py
    n_rooms: int = 0  # where what the block has loaded stays, see interleave.py
    active: Value | None = None
    guard: Value | None = None
    lane_zero: bool = False  # while set, registers with a stride read as their value in lane 0
    instruction: Instruction | None = None
    carry: Value | None = None  # the carry flag, where this block has set it
    functions: dict[str, int] = dataclasses.field(default_factory=dict)  # what stands for their addresses
    local_bytes: int = 0  # private memory of a lane
    shared_bytes: int = 0  # of a block, as the kernel declares them
    reserved_bytes: int = 0  # of these, what the toolkit keeps to itself
    slots: dict[str, int] = dataclasses.field(default_factory=dict)  # variables on the stack, from where it is empty
    variable_bytes: dict[str, int] = dataclasses.field(default_factory=dict)
    constants: frozenset[str] = frozenset()  # module variables in constant space
    is_checked: bool = False  # a monitor looks at every access
    leaving: list[Value] = dataclasses.field(default_factory=list)  # where the masks of blocks that only leave are
    spans_blocks: bool = False  # the kernel reaches other blocks of its cluster
    is_ordered: bool = False  # set by what makes the order of blocks show: float sums, what atomics return

    @functools.cached_property
    def has_resident_vectors(self) -> bool:
        """Whether there are more vectors than the processor can keep."""
        return any(isinstance(resident.type, ir.VectorType) for resident in self.residents.values())

    # ------------------------------------------------------------------------------------- reading operands

    def read(self, operand: Operand, ptx_type: str) -> Value:
        """The operand as a value of ``ptx_type``: a scalar where it is the same in all lanes."""
        if isinstance(operand, Immediate):
            return self._immediate(operand, ptx_type)
        if isinstance(operand, Register):
            if operand.name not in self.register_types:
                return self.special(operand.name)
            return self._as_type(self.load(operand.name), ptx_type)
        if isinstance(operand, Negated):
            return self.builder.not_(self.load(operand.register.name))
        if isinstance(operand, Symbol):
            return self.symbol(operand.name, ptx_type)
        raise self.unsupported(f"operand {operand!r}")

    def is_predicate(self, operand: Operand) -> bool:
        """Whether the operand is a predicate register."""
        register = operand.register if isinstance(operand, Negated) else operand
        return isinstance(register, Register) and self.register_types.get(register.name) == "pred"

    def held(self, target: Operand, bits: int) -> Value:
        """What the lowest ``bits`` of a target of a load are in every lane; zero of PTX's bit bucket."""
        if isinstance(target, Register) and target.name == _BUCKET:
            return self.vector(ir.Constant(ir.IntType(bits), 0))
        return self.vector(self.read(target, f"b{bits}"))

    def load(self, register: str) -> Value:
        """A register's value in every lane, or one scalar for all."""
        value = self._fetch(register)
        stride = self.strides.get(register)
        if stride is None or self.lane_zero:
            return value
        steps = lane_constants(value.type, [lane * stride for lane in range(LANES)])
        return self.builder.add(self.vector(value), steps)

    def _fetch(self, register: str) -> Value:
        place = self.registers.get(register)
        if place is None:
            known = self.values.get(register)
            if isinstance(known, ir.Stored):
                return known.again(self.builder)
            return self._nothing(register) if known is None else known
        resident = self.residents.get(register)
        if resident is None:
            return self.builder.load(place)
        value = self.builder.load(place, typ=resident.type, align=resident.align)
        return self.builder.bitcast(value, vector_of(I1)) if resident.is_mask else value

    def _nothing(self, register: str) -> Value:
        """What a register holds that no instruction has written."""
        element = ir.IntType(WIDTHS[self.register_types[register]])
        is_scalar = register in self.uniform or register in self.strides
        return ir.Constant(element if is_scalar else vector_of(element), None)

    def put(self, register: str, value: Value) -> None:
        """Store what a register holds, in the shape in which it is kept."""
        if register not in self.registers:
            self.values[register] = value
            return
        resident = self.residents.get(register)
        if resident is not None and resident.is_mask:
            value = self.builder.bitcast(value, I32)
        self.builder.store(value, self.registers[register], align=None if resident is None else resident.align)

    def _as_type(self, value: Value, ptx_type: str) -> Value:
        wanted = WIDTHS[ptx_type]
        width = element_of(value.type).width
        if width > wanted:
            value = self.builder.trunc(value, like(value.type, ir.IntType(wanted)))
        elif width < wanted:
            value = self.builder.zext(value, like(value.type, ir.IntType(wanted)))
        if ptx_type == "f32":
            return self.builder.bitcast(value, like(value.type, F32))
        if ptx_type == "f64":
            return self.builder.bitcast(value, like(value.type, F64))
        return value

    def _immediate(self, operand: Immediate, ptx_type: str) -> Value:
        width = WIDTHS[ptx_type]
        if ptx_type in ("f32", "f64"):
            if operand.kind == "int":
                raise self.unsupported("an integer constant where a floating-point number is expected")
            return ir.FloatBits(F32 if width == 32 else F64, converted(operand, ptx_type).value)
        if operand.kind != "int" and operand.kind != f"f{width}":
            raise self.unsupported(f"a {operand.kind} constant where {width} bits are expected")
        return ir.Constant(ir.IntType(width), operand.value % (1 << width))

    def symbol(self, name: str, ptx_type: str) -> Value:
        """Address of a variable, in the window of its space."""
        if name in self.slots:
            at = self.builder.add(self.load(STACK), self.vector(I64(self.slots[name])))
            return at if WIDTHS[ptx_type] == 64 else self.cast("trunc", at, ir.IntType(WIDTHS[ptx_type]))
        if name in self.symbols:
            return ir.Constant(ir.IntType(WIDTHS[ptx_type]), self.symbols[name])
        if name in self.globals:
            table = self.field("globals", POINTER)
            slot = self.builder.gep(table, [I64(8 * self.globals[name])], source_etype=I8)
            return self.builder.load(slot, typ=I64)
        if name in self.parameter_offsets:
            start = self.builder.ptrtoint(self.scratch["params"], I64)
            return self.builder.add(start, I64(self.parameter_offsets[name]))
        if name in self.functions:
            return I64(self.functions[name])
        raise self.unsupported(f"address of {name!r}")

    # ------------------------------------------------------------------------------------- writing results

    def write(self, operand: Operand, value: Value, ptx_type: str, *, keep_off_lanes: bool = True) -> None:
        """Put ``value`` into a register, in the lanes that the guard and the block's mask leave on.

        With ``keep_off_lanes=False`` the value already holds the old one in the lanes that are off.
        """
        if isinstance(operand, PredicatePair):
            self.write(operand.first, value, ptx_type)
            self.write(operand.second, self.builder.not_(value), ptx_type)
            return
        if not isinstance(operand, Register):
            raise self.unsupported(f"destination {operand!r}")
        if operand.name == _BUCKET:
            return
        name = operand.name
        value = self._as_bits(value, WIDTHS[self.register_types[name]], signed=ptx_type.startswith("s"))
        if name in self.uniform or name in self.strides:
            if is_vector(value):
                value = self.first_active(value)
        else:
            value = self.vector(value)
            if keep_off_lanes and self.active is not None and name in self.shared_across_blocks:
                value = self.builder.select(self.active, value, self.load(name))
        if keep_off_lanes and self.guard is not None:
            value = self.select(self.guard, value, self.load(name))
        self.put(name, value)

    def write_loaded(self, operand: Operand, value: Value, ptx_type: str) -> None:
        """The same of elements of memory, which hold the register's own value in the lanes that are off.

        Of a register that is wider they only hold a part.
        """
        name = operand.name if isinstance(operand, Register) else ""
        is_whole = WIDTHS[self.register_types.get(name, ptx_type)] == WIDTHS[ptx_type]
        self.write(operand, value, ptx_type, keep_off_lanes=not is_whole)

    def first_active(self, value: Value) -> Value:
        """What a vector holds in the first lane that is on; in lane 0 where none is."""
        lane: Value = I32(0)
        if self.mask() is not None:
            lanes = self.lanes()
            first = self.intrinsic("llvm.cttz", lanes, ir.IntType(1)(0))
            lane = self.builder.and_(first, I32(LANES - 1))
        return self.builder.extract_element(value, lane)

    def _as_bits(self, value: Value, width: int, signed: bool) -> Value:
        element = element_of(value.type)
        if element in (F32, F64):
            bits = I32 if element == F32 else I64
            value, element = self.builder.bitcast(value, like(value.type, bits)), bits
        if element.width < width:
            extend = self.builder.sext if signed and element.width > 1 else self.builder.zext
            return extend(value, like(value.type, ir.IntType(width)))
        if element.width > width:
            return self.builder.trunc(value, like(value.type, ir.IntType(width)))
        return value

    # ------------------------------------------------------------------------------------- the launch around

    def once(self, key: str, make: Callable[[], Value]) -> Value:
        """What ``make`` writes where the kernel begins, written for the first that asks for ``key``."""
        if key not in self.scratch:
            with self.builder.goto_entry_block():
                self.scratch[key] = make()
        return self.scratch[key]

    def field(self, name: str, element: ir.Type, extra: int = 0) -> Value:
        """A field of the worker's context."""
        slot = self.builder.gep(self.context, [I64(offset(name) + extra)], source_etype=I8)
        return self.builder.load(slot, typ=element)

    def special(self, name: str) -> Value:
        """A special register: scalar where it is the same in all lanes."""
        return special_registers.read(self, name)

    def fault(self, kind: int, site: int, lanes: Value) -> None:
        """Report ``lanes`` (32 bits, not all zero) as at fault, for the reason ``kind``."""
        function = self.module.globals.get("tk_fault")
        if function is None:
            signature = ir.FunctionType(ir.VoidType(), [POINTER, I64, I64, I32, I64, I64])
            function = ir.Function(self.module, signature, "tk_fault")
        self.builder.call(function, [self.context, I64(kind), I64(site), lanes, I64(0), I64(0)])

    def lanes(self) -> Value:
        """The lanes that run this instruction, as 32 bits."""
        if self.active is None:
            return I32(-1) if self.guard is None else self.lane_bits(self.guard)
        mask = self.mask()
        assert mask is not None
        return self.lane_bits(mask)

    def lane_bits(self, predicate: Value) -> Value:
        """A predicate of each lane, or one of all lanes, as 32 bits."""
        return self.builder.bitcast(predicate, I32) if is_vector(predicate) else self.builder.sext(predicate, I32)

    def guard_of(self, instruction: Instruction) -> Value | None:
        """Where the instruction's predicate holds, None without one."""
        if instruction.guard is None:
            return None
        value = self.load(instruction.guard.register.name)
        return self.builder.not_(value) if instruction.guard.negated else value

    def mask(self) -> Value | None:
        """The lanes that run this instruction as a vector of bits, None for all."""
        guard = None if self.guard is None else self.vector(self.guard)
        if self.active is None or guard is None:
            return self.active if guard is None else guard
        return self.builder.and_(self.active, guard)

    def unsupported(self, what: str) -> UnsupportedInstruction:
        """The error for the current instruction."""
        instruction = self.instruction
        assert instruction is not None
        return UnsupportedInstruction(instruction.opcode, instruction.ptx_line, str(instruction.source or ""), what)
