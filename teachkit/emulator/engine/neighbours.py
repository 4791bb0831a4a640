"""Neighbouring elements that a thread loads or stores one by one: what Triton writes where lanes may be masked off.

Four instructions, each with 16 bytes from lane to lane, touch one run of memory together. Where all lanes are on, they
are done as one access and dealt out; each is counted and traced as the one that it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from teachkit.emulator.engine import apart, tally
from teachkit.emulator.engine.access import inside, prefetch
from teachkit.emulator.engine.addresses import place_of
from teachkit.emulator.engine.context import LANES, MAX_GROUP
from teachkit.emulator.engine.distances import Form
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.interleave import load_dealt, store_interleaved
from teachkit.emulator.engine.paths import all_of, either, every_lane, is_aligned
from teachkit.emulator.engine.shapes import I64, POINTER, WIDTHS, Value
from teachkit.emulator.ptx.model import Address, Group, Immediate, Instruction, Operand, Register

_TYPES = {f"{kind}{bits}" for kind in "bus" for bits in (16, 32, 64)} | {"f32", "f64"}
_QUALIFIERS = {"nc", "weak", "ca", "cg", "cs", "lu", "wb", "wt"}
_MAX_BYTES = 16  # of a lane in a group


@dataclasses.dataclass(frozen=True, slots=True)
class Neighbours:
    """``accesses`` as one, after ``before``: what gives the lanes that are off a value.

    ``roots``: for each, the first one that its address is a known distance from. That those lie beside each other is
    seen when they run: Triton computes the address of a loop's first element in 32 bits and of the others in 64.
    """

    accesses: tuple[Instruction, ...]
    before: tuple[Instruction, ...]
    roots: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Finder:
    """Finds neighbours in a block.

    ``strides`` of registers from lane to lane; ``origins`` and ``forms`` of registers: see ``distances.py``.
    """

    strides: Mapping[str, int]
    origins: Mapping[str, tuple[str, int]]
    forms: Mapping[str, Form]

    def grouped(self, body: Sequence[Instruction]) -> Iterator[Instruction | Neighbours]:
        """The instructions of a block, neighbours together."""
        at = 0
        while at < len(body):
            group = self._group(body[at : at + 2 * _MAX_BYTES])
            if group is None:
                yield body[at]
                at += 1
            else:
                yield group
                at += len(group.accesses) + len(group.before)

    def _group(self, body: Sequence[Instruction]) -> Neighbours | None:
        accesses: list[Instruction] = []
        before: list[Instruction] = []
        firsts: dict[tuple[str, int], int] = {}  # first access with its address from a register, less its own offset
        roots: list[int] = []
        start: Form = ((), 0)
        n = 0
        for instruction in body:
            if not accesses and not before and instruction.opcode.partition(".")[0] not in ("mov", "ld", "st"):
                return None
            if _sets_value(instruction):
                if instruction.operands[0] in map(_register, accesses):  # it was loaded, and is set after that
                    return None
                before.append(instruction)
                continue
            n_bytes = _element_bytes(instruction)
            if not n_bytes or (accesses and instruction.opcode != accesses[0].opcode):
                return None
            address = _address(instruction)
            assert isinstance(address.base, Register)
            name = address.base.name
            terms, constant = self.forms.get(name, (((name, 1),), 0))
            constant += address.offset
            stride = self.strides.get(name)
            if not accesses:
                if stride is None or stride % n_bytes or stride // n_bytes not in (2, 4, MAX_GROUP):
                    return None
                if stride > _MAX_BYTES:
                    return None
                start, n = (terms, constant), stride // n_bytes
            if stride != n * n_bytes or (terms, constant) != (start[0], start[1] + n_bytes * len(accesses)):
                return None
            root, distance = self.origins.get(name, (name, 0))
            place = (root, distance + address.offset - n_bytes * len(accesses))
            roots.append(firsts.setdefault(place, len(accesses)))
            accesses.append(instruction)
            if len(accesses) == n:
                if not _independent(accesses, before):
                    return None
                return Neighbours(tuple(accesses), tuple(before), tuple(roots))
        return None


def _sets_value(instruction: Instruction) -> bool:
    return (
        instruction.opcode.startswith("mov.")
        and instruction.guard is None
        and isinstance(instruction.operands[0], Register)
        and isinstance(instruction.operands[1], (Immediate, Register))
    )


def _element_bytes(instruction: Instruction) -> int:
    """Bytes of the one element that a load or store of global memory moves, 0 for anything else."""
    verb, *parts = instruction.opcode.split(".")
    if verb not in ("ld", "st") or parts[0] != "global" or parts[-1] not in _TYPES:
        return 0
    if any(part not in _QUALIFIERS and not part.startswith(("L1::evict", "L2::")) for part in parts[1:-1]):
        return 0
    if "L2::cache_hint" in parts or len(instruction.operands) != 2:
        return 0
    if not isinstance(_address(instruction).base, Register) or not isinstance(_register(instruction), Register):
        return 0
    return WIDTHS[parts[-1]] // 8


def _address(instruction: Instruction) -> Address:
    address = instruction.operands[instruction.opcode.startswith("ld")]
    assert isinstance(address, Address)
    return address


def _register(instruction: Instruction) -> Operand | None:
    operand = instruction.operands[instruction.opcode.startswith("st")]
    if isinstance(operand, Group):
        return operand.items[0] if len(operand.items) == 1 else None
    return operand


def _independent(accesses: Sequence[Instruction], before: Sequence[Instruction]) -> bool:
    """Whether what is set before may be set before all of them, and no load changes what another one reads."""
    targets = [r.name for a in accesses if a.opcode.startswith("ld") and isinstance(r := _register(a), Register)]
    read = [a.guard.register.name for a in accesses if a.guard is not None]
    for access in accesses:
        base = _address(access).base
        read += [base.name] if isinstance(base, Register) else []
    set_before = [i.operands[0].name for i in before if isinstance(i.operands[0], Register)]
    read += [i.operands[1].name for i in before if isinstance(i.operands[1], Register)]
    if len(set(targets)) < len(targets) or not set(read).isdisjoint([*targets, *set_before]):
        return False
    return len(set(set_before)) == len(set_before) and set(set_before) <= set(targets)


def translate(e: Emitter, group: Neighbours) -> None:
    """Write the code of a group, after what is set before it."""
    b = e.builder
    first_one = group.accesses[0]
    store = first_one.opcode.startswith("st")
    kind = first_one.opcode.rpartition(".")[2]
    bits, n = WIDTHS[kind], len(group.accesses)
    lane_bytes, stride = bits // 8, n * bits // 8
    run_passes = tally.passes("global", store, stride, lane_bytes)
    guards = [e.guard_of(access) for access in group.accesses]
    sites, lanes = [], []
    for access, guard in zip(group.accesses, guards, strict=True):
        e.instruction, e.guard = access, guard
        sites.append(e.sites.access(access, "global", store, lane_bytes, run_passes=run_passes))
        lanes.append(e.lanes())
    place = place_of(e, "global", _address(first_one))
    first = place.address
    registers = [register for access in group.accesses if (register := _register(access)) is not None]
    firsts = _firsts(e, group, first, lane_bytes)
    conditions = [inside(e, first, LANES * stride, place), *is_aligned(e, first, lane_bytes)]
    for i in sorted(set(group.roots) - {0}):
        conditions.append(b.icmp_unsigned("==", firsts[i], b.add(first, I64(i * lane_bytes))))
    all_lanes = [one for i, one in enumerate(lanes) if group.accesses[i].guard != first_one.guard or i == 0]
    is_masked = e.active is not None or any(guard is not None for guard in guards)
    if is_masked:
        together = all_lanes[0]
        for one in all_lanes[1:]:
            together = b.and_(together, one)
        conditions.append(every_lane(e, together))

    memory, packed = b.inttoptr(first, POINTER), e.scratch["packed"]

    def as_one() -> list[Value]:
        prefetch(e, first, LANES * stride, LANES * stride, store)
        if e.sites.counting:
            counted = tally.from_sector(e, first, place.low, lane_bytes)
            tally.runs_in_global(e, sites, counted, lane_bytes, (LANES - 1) * stride + lane_bytes, store)
        return [] if store else [memory]

    def by_runtime() -> list[Value]:
        old = [e.held(register, bits) for register in registers] if is_masked and not store else []
        apart.call_group(e, "store" if store else "load", place, firsts, lanes, lane_bytes, sites, old)
        return [] if store else [packed]

    if store:
        is_run = all_of(e, conditions)
        values = [e.vector(e.read(register, f"b{bits}")) for register in registers]
        store_interleaved(e, values, b.select(is_run, memory, packed), lane_bytes)
        either(e, [is_run], as_one, by_runtime)
        results: list[Value] = []
    else:
        (where,) = either(e, conditions, as_one, by_runtime)
        results = load_dealt(e, where, bits, n)
    for access, guard, register, result in zip(group.accesses, guards, registers, results, strict=False):
        e.instruction, e.guard = access, guard
        e.write_loaded(register, result, kind)
    e.guard = None


def _firsts(e: Emitter, group: Neighbours, first: Value, lane_bytes: int) -> list[Value]:
    """The address of lane 0 in each access."""
    firsts = [first]
    for i, root in enumerate(group.roots[1:], 1):
        if root == i:
            firsts.append(place_of(e, "global", _address(group.accesses[i])).address)
        else:
            firsts.append(e.builder.add(firsts[root], I64((i - root) * lane_bytes)))
    return firsts
