"""Barriers of a block: where a warp stops, and what it brings along and takes away.

Numbers may stand in registers, only some warps may take part, and a barrier may count the threads for which a
predicate holds. Votes are collected in the worker's context and handed out when the scheduler lets go.
"""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import LANES, N_BARRIERS, offset
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I8, I32, I64, Value, is_vector
from teachkit.emulator.ptx.model import Instruction, Operand


def is_reduction(instruction: Instruction) -> bool:
    """Whether the barrier gives a result."""
    return "red" in instruction.opcode.split(".")


def numbers(e: Emitter, instruction: Instruction, lanes: Value) -> tuple[Value, Value]:
    """The barrier's number, and how many threads it waits for (0: the whole block)."""
    operands = list(instruction.operands)
    if is_reduction(instruction):
        operands = operands[1:-1]
    values = [_one(e, operand, lanes) for operand in operands]
    number, expected = [*values, I32(0), I32(0)][:2]
    return e.builder.and_(number, I32(N_BARRIERS - 1)), expected


def _one(e: Emitter, operand: Operand, lanes: Value) -> Value:
    """The value that the lowest lane has."""
    value = e.read(operand, "u32")
    if not is_vector(value):
        return value
    return e.builder.extract_element(value, e.builder.cttz(lanes, ir.IntType(1)(0)))


def vote(e: Emitter, instruction: Instruction, number: Value, lanes: Value) -> None:
    """Add the lanes for which the last operand holds to the barrier's votes."""
    b = e.builder
    yes = b.and_(e.lane_bits(e.read(instruction.operands[-1], "pred")), lanes)
    _add(e, "votes", number, e.intrinsic("llvm.ctpop", yes))
    _add(e, "voters", number, e.intrinsic("llvm.ctpop", lanes))


def arrive(e: Emitter, number: Value) -> None:
    """Count a warp that does not wait."""
    _add(e, "arrived", number, I32(LANES))


def _add(e: Emitter, field: str, number: Value, amount: Value) -> None:
    slot = _slot(e, field, number)
    e.builder.store(e.builder.add(e.builder.load(slot, typ=I32), amount), slot)


def _slot(e: Emitter, field: str, number: Value) -> Value:
    start = e.builder.gep(e.context, [I64(offset(field))], source_etype=I8)
    return e.builder.gep(start, [e.builder.zext(number, I64)], source_etype=I32)


def outcome(e: Emitter, instruction: Instruction, number: Value) -> None:
    """Write the result of a reduction into its register."""
    b = e.builder
    votes, voters = (b.load(_slot(e, field, number), typ=I32) for field in ("vote_result", "voter_result"))
    parts = instruction.opcode.split(".")
    if "popc" in parts:
        e.write(instruction.operands[0], votes, "u32")
    elif "and" in parts:
        e.write(instruction.operands[0], b.icmp_unsigned("==", votes, voters), "pred")
    else:
        e.write(instruction.operands[0], b.icmp_unsigned("!=", votes, I32(0)), "pred")
