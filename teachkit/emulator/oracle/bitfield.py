"""Bit counting, fields and permutations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.table import Form, Lanes, Operation, Step, counting, instruction, unsupported
from teachkit.emulator.oracle.values import Array, is_signed, width
from teachkit.emulator.ptx.model import Instruction, PredicatePair

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine


@instruction("popc", "clz")
def count_bits(form: Form) -> Operation:
    kind = form.one("b32", "b64")
    return Lanes("u32", (kind,), (_popcount if form.base == "popc" else _leading_zeros), counting(kind))


@instruction("brev")
def reverse(form: Form) -> Operation:
    kind = form.one("b32", "b64")

    def compute(a: Array) -> Array:
        return _pack(_unpack(a)[..., ::-1], a)

    return Lanes(kind, (kind,), compute, counting(kind))


@instruction("bfind")
def find_leading_bit(form: Form) -> Operation:
    wants_shift = form.flag("shiftamt")
    kind = form.one("u32", "u64", "s32", "s64")

    def compute(a: Array) -> Array:
        bits = width(kind)
        unsigned = np.where(a < 0, ~a, a).astype(f"u{bits // 8}")
        zeros = _leading_zeros(unsigned)
        found = zeros if wants_shift else np.uint32(bits - 1) - zeros
        return np.where(unsigned == 0, np.uint32(0xFFFFFFFF), found)

    return Lanes("u32", (kind,), compute, counting(kind))


@instruction("bfe")
def extract_field(form: Form) -> Operation:
    """Bits beyond the top repeat the sign; a field of length 0 is 0."""
    kind = form.one("u32", "u64", "s32", "s64")
    bits = width(kind)

    def one(value: int, start: int, length: int) -> int:
        start, length = start & 0xFF, length & 0xFF
        if length == 0:
            return 0
        field = value >> start & ((1 << length) - 1)  # Python's shift of a negative number repeats its sign
        if is_signed(kind):
            top = value >> min(start + length - 1, bits - 1) & 1
            field -= top << length
        return field % (1 << bits) if not is_signed(kind) else field

    return Lanes(kind, (kind, "u32", "u32"), _by_lane(one), counting(kind))


@instruction("bfi")
def insert_field(form: Form) -> Operation:
    kind = form.one("b32", "b64")
    bits = width(kind)

    def one(field: int, value: int, start: int, length: int) -> int:
        start, length = start & 0xFF, length & 0xFF
        mask = (((1 << length) - 1) << start) % (1 << bits)
        return (value & ~mask) | ((field << start) & mask)

    return Lanes(kind, (kind, kind, "u32", "u32"), _by_lane(one), counting(kind))


@instruction("bmsk")
def make_mask(form: Form) -> Operation:
    mode = form.one("clamp", "wrap")
    form.one("b32")

    def one(start: int, length: int) -> int:
        if mode == "wrap":
            start, length = start & 31, length & 31
        return (((1 << min(length, 32)) - 1) << min(start, 32)) & 0xFFFFFFFF

    return Lanes("b32", ("u32", "u32"), _by_lane(one), counting("b32"))


@instruction("szext")
def extend(form: Form) -> Operation:
    mode = form.one("clamp", "wrap")
    kind = form.one("u32", "s32")

    def one(value: int, position: int) -> int:
        n = position & 31 if mode == "wrap" else min(position, 32)
        field = value & ((1 << n) - 1)
        return field - (1 << n) if is_signed(kind) and n and field >> (n - 1) & 1 else field

    return Lanes(kind, (kind, "u32"), _by_lane(one), counting(kind))


@instruction("prmt")
def permute_bytes(form: Form) -> Operation:
    form.one("b32")
    mode = form.maybe("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
    patterns = {
        "f4e": ("3210", "4321", "5432", "6543"),
        "b4e": ("5670", "6701", "7012", "0123"),
        "rc8": ("0000", "1111", "2222", "3333"),
        "ecl": ("3210", "3211", "3222", "3333"),
        "ecr": ("0000", "1110", "2210", "3210"),
        "rc16": ("1010", "3232", "1010", "3232"),
    }

    def one(low: int, high: int, selector: int) -> int:
        if mode:
            selector = int(patterns[mode][selector & 3], 16)
        both = (low | high << 32).to_bytes(8, "little")
        result = 0
        for i in range(4):
            nibble = selector >> 4 * i & 0xF
            byte = both[nibble & 7]
            if nibble & 8:
                byte = 0xFF if byte & 0x80 else 0
            result |= byte << 8 * i
        return result

    return Lanes("b32", ("b32", "b32", "b32"), _by_lane(one), counting("b32"))


@instruction("lop3")
def three_input_logic(form: Form) -> Operation:
    join = form.maybe("or", "and")
    form.one("b32")

    def compute(a: Array, b: Array, c: Array, table: Array) -> Array:
        result = np.zeros(np.broadcast_shapes(a.shape, b.shape, c.shape), np.uint32)
        for row in range(8):
            term = (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
            result |= np.where(table >> np.uint32(row) & np.uint32(1), term, np.uint32(0))
        return result

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        target, *sources = item.operands
        if not isinstance(target, PredicatePair) or len(sources) != 5:
            raise unsupported(item, f"{len(item.operands)} operands")
        result = compute(*(machine.read(operand, "b32") for operand in sources[:4]))
        combine = np.logical_or if join == "or" else np.logical_and
        truth = combine(result != 0, machine.read(sources[4], "pred"))
        machine.write(target.first, result, "b32", mask)
        machine.write(target.second, truth, "pred", mask)

    if join:
        return Step(run, counting("b32"))
    return Lanes("b32", ("b32", "b32", "b32", "u32"), compute, counting("b32"))


@instruction("dp4a")
def dot_of_bytes(form: Form) -> Operation:
    kinds = [form.one("u32", "s32"), form.one("u32", "s32")]
    result = "s32" if "s32" in kinds else "u32"

    def elements(a: Array, kind: str) -> Array:
        return (
            np.ascontiguousarray(a).view(np.int8 if kind == "s32" else np.uint8).reshape(*a.shape, 4).astype(np.int64)
        )

    def compute(a: Array, b: Array, c: Array) -> Array:
        total = (elements(a, kinds[0]) * elements(b, kinds[1])).sum(-1)
        return np.asarray((total + c).astype(np.dtype(f"{'i' if result == 's32' else 'u'}4")))

    return Lanes(result, (kinds[0], kinds[1], result), compute, counting(result))


@instruction("dp2a")
def dot_of_two(form: Form) -> Operation:
    """Two 16-bit numbers of the first source times two bytes of the second: its lower or its upper ones."""
    first = 2 * (form.one("lo", "hi") == "hi")
    kinds = [form.one("u32", "s32"), form.one("u32", "s32")]
    result = "s32" if "s32" in kinds else "u32"

    def compute(a: Array, b: Array, c: Array) -> Array:
        numbers = np.ascontiguousarray(a).view(f"{kinds[0][0].replace('s', 'i')}2").reshape(*a.shape, 2)
        octets = np.ascontiguousarray(b).view(f"{kinds[1][0].replace('s', 'i')}1").reshape(*b.shape, 4)
        total = (numbers.astype(np.int64) * octets[..., first : first + 2]).sum(-1)
        return np.asarray((total + c).astype(np.dtype(f"{'i' if result == 's32' else 'u'}4")))

    return Lanes(result, (kinds[0], kinds[1], result), compute, counting(result))


def _unpack(a: Array) -> Array:
    """Bits [..., width], lowest first."""
    octets = np.ascontiguousarray(a).view(np.uint8).reshape(*a.shape, a.dtype.itemsize)
    return np.unpackbits(octets, axis=-1, bitorder="little")


def _pack(bits: Array, like: Array) -> Array:
    return np.packbits(bits, axis=-1, bitorder="little").view(like.dtype)[..., 0]


def _popcount(a: Array) -> Array:
    return np.asarray(np.sum(_unpack(a), -1, np.uint32))


def _leading_zeros(a: Array) -> Array:
    seen = np.logical_or.accumulate(_unpack(a)[..., ::-1], axis=-1)
    return np.asarray(np.sum(~seen, -1, np.uint32))


def _by_lane(function: Callable[..., int]) -> Callable[..., Array]:
    """A function of Python integers, applied lane by lane."""

    def compute(*operands: Array) -> Array:
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
        lanes = zip(*(np.broadcast_to(operand, shape).tolist() for operand in operands), strict=True)
        return np.array([function(*lane) for lane in lanes], operands[0].dtype)

    return compute
