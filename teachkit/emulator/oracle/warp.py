"""Communication between the lanes of a warp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.table import Form, Operation, Step, instruction
from teachkit.emulator.oracle.tally import LANES, warps
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Instruction, PredicatePair

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_BIT = np.uint32(1) << np.arange(LANES, dtype=np.uint32)


def members(machine: Machine, item: Instruction, mask: Array) -> Array:
    """[n_threads]: the lanes that are on and named by the member mask, which is the last operand."""
    named = np.broadcast_to(machine.read(item.operands[-1], "u32"), mask.shape)
    lane = np.arange(mask.size) % LANES
    return np.asarray(mask & (named >> lane.astype(np.uint32) & np.uint32(1)).astype(bool))


def named(machine: Machine, item: Instruction) -> Array:
    """[n_threads]: the member mask that each lane comes with; groups of one warp may have masks of their own."""
    return np.broadcast_to(machine.read(item.operands[-1], "u32"), machine.n_threads)


def ballots(votes: Array) -> Array:
    """One word a warp from [n_threads] booleans, [n_warps, 1]."""
    return np.asarray(np.sum(warps(votes) * _BIT, 1, np.uint32, keepdims=True))


def _spread(per_warp: Array) -> Array:
    return np.repeat(per_warp.reshape(-1), LANES)


@instruction("shfl")
def shuffle(form: Form) -> Operation:
    """Source: PTX ISA, "shfl.sync", with its names."""
    form.one("sync")
    mode = form.one("up", "down", "bfly", "idx")
    form.one("b32")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        target, value, b, c = item.operands[:4]
        lane = np.arange(machine.n_threads) % LANES
        start = np.arange(machine.n_threads) - lane
        b_value = machine.read(b, "u32").astype(np.int64) & 31
        c_value = machine.read(c, "u32").astype(np.int64)
        clamp, segment = c_value & 31, c_value >> 8 & 31
        low = lane & segment
        high = low | (clamp & ~segment)
        source = {
            "up": lane - b_value,
            "down": lane + b_value,
            "bfly": lane ^ b_value,
            "idx": low | (b_value & ~segment),
        }[mode]
        in_range = source >= high if mode == "up" else source <= high
        source = np.where(in_range, source, lane)
        values = np.broadcast_to(machine.read(value, "b32"), machine.n_threads)[start + source % LANES]
        first, second = (target.first, target.second) if isinstance(target, PredicatePair) else (target, None)
        machine.write(first, values, "b32", mask)
        if second is not None:
            machine.write(second, in_range, "pred", mask)

    return Step(run)


@instruction("vote")
def vote(form: Form) -> Operation:
    form.one("sync")
    mode = form.one("all", "any", "uni", "ballot")
    form.one("pred" if mode != "ballot" else "b32")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        taking_part = members(machine, item, mask)
        said = np.broadcast_to(machine.read(item.operands[1], "pred"), mask.shape)
        yes = _spread(ballots(said & taking_part)) & named(machine, item)
        if mode == "ballot":
            machine.write(item.operands[0], yes, "b32", mask)
            return
        everyone = _spread(ballots(taking_part)) & named(machine, item)
        result = {"all": yes == everyone, "any": yes != 0, "uni": (yes == everyone) | (yes == 0)}[mode]
        machine.write(item.operands[0], result, "pred", mask)

    return Step(run)


@instruction("activemask")
def active_mask(form: Form) -> Operation:
    form.one("b32")
    return Step(lambda machine, item, mask: machine.write(item.operands[0], _spread(ballots(mask)), "b32", mask))


@instruction("elect")
def elect(form: Form) -> Operation:
    """The lowest member is elected; every lane learns which it was."""
    form.one("sync")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        group = _spread(ballots(members(machine, item, mask))) & named(machine, item)
        lowest = group & (~group + np.uint32(1))
        leader = np.log2(np.maximum(lowest, 1).astype(np.float64)).astype(np.uint32)
        target = item.operands[0]
        assert isinstance(target, PredicatePair)
        machine.write(target.first, leader, "b32", mask)
        machine.write(target.second, np.arange(mask.size) % LANES == leader, "pred", mask)

    return Step(run)


@instruction("match")
def match(form: Form) -> Operation:
    mode = form.one("any", "all")
    form.one("sync")
    kind = form.one("b32", "b64")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        taking_part = warps(members(machine, item, mask))
        values = warps(np.broadcast_to(machine.read(item.operands[1], kind), mask.shape).copy())
        same = (values[:, :, None] == values[:, None, :]) & taking_part[:, None, :] & taking_part[:, :, None]
        peers = (same * _BIT).sum(2).astype(np.uint32).reshape(-1) & named(machine, item)
        target = item.operands[0]
        if mode == "any":
            machine.write(target, peers, "b32", mask)
            return
        everyone = _spread(ballots(taking_part.reshape(-1))) & named(machine, item)
        agreed = peers == everyone
        first, second = (target.first, target.second) if isinstance(target, PredicatePair) else (target, None)
        machine.write(first, np.where(agreed, everyone, np.uint32(0)), "b32", mask)
        if second is not None:
            machine.write(second, agreed, "pred", mask)

    return Step(run)


@instruction("redux")
def reduce(form: Form) -> Operation:
    form.one("sync")
    name = form.one("add", "min", "max", "and", "or", "xor")
    absolute, keeps_nan = form.flag("abs"), form.flag("NaN")
    kind = form.one("u32", "s32", "b32", "f32")
    functions = {
        "add": np.add,
        "min": np.minimum if keeps_nan or kind != "f32" else np.fmin,
        "max": np.maximum if keeps_nan or kind != "f32" else np.fmax,
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
    }

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        taking_part = members(machine, item, mask)
        values = np.broadcast_to(machine.read(item.operands[1], kind), mask.shape)
        result = np.zeros_like(values)
        for start in range(0, mask.size, LANES):
            warp = slice(start, start + LANES)
            groups = named(machine, item)[warp]
            for group in np.unique(groups[taking_part[warp]]):
                inside = (group >> np.arange(LANES, dtype=np.uint32) & np.uint32(1)).astype(bool)
                chosen = values[warp][taking_part[warp] & inside]
                if chosen.size:
                    result[warp][groups == group] = functions[name].reduce(np.abs(chosen) if absolute else chosen)
        machine.write(item.operands[0], result, kind, mask)

    return Step(run)
