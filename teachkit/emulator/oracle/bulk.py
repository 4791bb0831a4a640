"""Bulk copies, thread after thread and element by element, and tensor maps made by kernels.

A tensor map has the layout of :mod:`teachkit.emulator.tensor_map`; PTX leaves it open. Not modelled: im2col.
"""

from __future__ import annotations

import dataclasses
import itertools
import struct
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.barrier_word import Barrier
from teachkit.emulator.oracle.clusters import ranks_and_offsets
from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction, unsupported
from teachkit.emulator.oracle.values import Array, decode, encode
from teachkit.emulator.ptx.model import Address, Group, Immediate, Instruction, Operand

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_KINDS = {
    0: "u8",
    1: "u16",
    2: "u32",
    3: "s32",
    4: "u64",
    5: "s64",
    6: "f16",
    7: "f32",
    9: "f64",
    10: "bf16",
    11: "f32",
}
_TF32 = 11
_OFFSET = (1 << 24) - 1  # of an address in shared memory; above it stands the block
_MAGIC = b"tmtk"
_NAN = {2: b"\xff\x7f", 4: b"\xff\xff\xff\x7f", 8: b"\xff" * 7 + b"\x7f"}
_OPERATIONS = ("add", "min", "max", "inc", "dec", "and", "or", "xor")
_RANKS = ("1d", "2d", "3d", "4d", "5d")
_FIELDS = {
    "global_address": (0, 8),
    "rank": (12, 1),
    "elemtype": (13, 1),
    "swizzle_mode": (14, 1),
    "fill_mode": (15, 1),
    "interleave_layout": (16, 1),
    "global_dim": (24, 8),
    "global_stride": (64, 8),
    "box_dim": (96, 4),
    "element_stride": (116, 1),
}


@dataclasses.dataclass(frozen=True)
class Map:
    """What 128 bytes say, dimensions from the innermost one outwards."""

    address: int
    kind: str
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    counts: tuple[int, ...]
    steps: tuple[int, ...]
    swizzle: int
    is_nan: bool
    rounds: bool

    @classmethod
    def of(cls, octets: bytes) -> Map | None:
        """From the bytes; None where they are no map."""
        if octets[8:12] != _MAGIC:
            return None
        rank = octets[12] + 1
        kind = _KINDS[octets[13]]
        steps = (1, *octets[117 : 116 + rank])
        box = struct.unpack_from("<5I", octets, 96)[:rank]
        return cls(
            address=int.from_bytes(octets[:8], "little"),
            kind=kind,
            sizes=struct.unpack_from("<5Q", octets, 24)[:rank],
            strides=(int(kind.lstrip("bfus")) // 8, *struct.unpack_from("<4Q", octets, 64)[: rank - 1]),
            counts=tuple(-(-n // step) for n, step in zip(box, steps, strict=True)),
            steps=steps,
            swizzle=octets[14],
            is_nan=octets[15] == 1,
            rounds=octets[13] == _TF32,
        )

    def elements(self, start: tuple[int, ...]) -> list[int | None]:
        """The address of each element of the box, None of those outside; the innermost dimension goes first."""
        found: list[int | None] = []
        for index in itertools.product(*(range(n) for n in reversed(self.counts))):
            at = [c + i * step for c, i, step in zip(start, reversed(index), self.steps, strict=True)]
            inside = all(0 <= i < n for i, n in zip(at, self.sizes, strict=True))
            found.append(self.address + sum(i * n for i, n in zip(at, self.strides, strict=True)) if inside else None)
        return found

    def swizzled(self, offset: int) -> int:
        """Where a byte for ``offset`` in shared memory goes: chunk numbers change with the numbers of rows."""
        chunks = 1 << self.swizzle
        row = offset // 128 % chunks
        return offset ^ row * 16 if self.swizzle else offset


@instruction("cp")
def bulk(form: Form) -> Operation:
    reduces = form.flag("reduce")
    if not (form.flag("async") and form.flag("bulk")):
        raise UnmatchedForm("not a bulk copy")
    if form.flag("commit_group"):
        return Step(_nothing)
    if form.flag("wait_group"):
        form.flag("read")
        return Step(_nothing)
    is_tensor = form.flag("tensor")
    rank = int(form.one(*_RANKS)[0]) if is_tensor else 0
    form.flag("tile")
    form.flag("L2::cache_hint")
    if form.flag("prefetch"):
        form.flag("L2", "global")
        return Step(_nothing)
    is_store = form.opcode.index(".global") < form.opcode.index(".shared")
    form.one("global")
    form.one(*(["shared::cta"] if is_store else ["shared::cta", "shared::cluster"]))
    form.one("bulk_group" if is_store else "mbarrier::complete_tx::bytes")
    operation = form.one(*_OPERATIONS) if reduces else ""
    is_multicast = form.flag("multicast::cluster")
    form.flag("noftz")
    kind = form.one(*_KINDS.values(), "b32", "b64").replace("b32", "u32").replace("b64", "u64") if (
        reduces and not is_tensor
    ) else ""  # fmt: skip

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        for lane in np.flatnonzero(mask):
            blocks = _targets(machine, item, int(lane), is_tensor, is_multicast) if not is_store else []
            places, shared, n_bytes, fill, element = _plan(machine, item, int(lane), is_store, rank, kind)
            _trace(machine, item, places, element, is_store, reduces)
            for place, at in zip(places, shared, strict=True):
                if place is None and is_store:
                    continue
                where = np.array([place or 0], np.uint64)
                if is_store:
                    data = machine.shared[at : at + element][None]
                    if reduces:
                        named = kind or _map(machine, item, int(lane)).kind
                        data = _combined(operation, named, machine.memory.load(where, element), data)
                    machine.memory.store(where, data)
                else:
                    data = fill if place is None else machine.memory.load(where, element)[0]
                    if rank and place is not None and _map(machine, item, int(lane)).rounds:
                        data = _rounded(data)
                    for block in blocks:
                        block.shared[at : at + element] = data
            for block in blocks:
                _complete(machine, block, item.operands[2 if is_tensor else 3], int(lane), n_bytes)

    return Step(run)


def _plan(
    machine: Machine, item: Instruction, lane: int, is_store: bool, rank: int, kind: str
) -> tuple[list[int | None], list[int], int, Array, int]:
    """Addresses of the elements in global and offsets in shared memory, bytes in all, the fill, bytes of an element."""
    far, near = item.operands[:2] if is_store else item.operands[1::-1]
    start = int(machine.access.addresses(near, "shared")[1][lane]) & _OFFSET
    if rank:
        tensor = _map(machine, item, lane)
        if len(tensor.sizes) != rank:
            raise unsupported(item, "a map of another rank")
        assert isinstance(far, Group)
        assert isinstance(far.items[1], Group)
        at = tuple(int(np.broadcast_to(machine.read(c, "s32"), machine.n_threads)[lane]) for c in far.items[1].items)
        places = tensor.elements(at)
        element = tensor.strides[0]
        shared = [tensor.swizzled(start + element * i) for i in range(len(places))]
        fill = np.frombuffer(_NAN[element] if tensor.is_nan else bytes(element), np.uint8)
        return places, shared, element * len(places), fill, element
    n_bytes = int(np.broadcast_to(machine.read(item.operands[2], "u32"), machine.n_threads)[lane])
    element = int(kind.lstrip("bfus")) // 8 if kind else 16
    first = int(machine.access.addresses(far, "global")[1][lane])
    steps = range(0, n_bytes, element)
    return [first + i for i in steps], [start + i for i in steps], n_bytes, np.zeros(element, np.uint8), element


def _targets(machine: Machine, item: Instruction, lane: int, is_tensor: bool, is_multicast: bool) -> list[Machine]:
    """The blocks whose shared memory a copy goes to."""
    assert machine.cluster is not None
    if is_multicast:
        mask = int(np.broadcast_to(machine.read(item.operands[3 if is_tensor else 4], "u16"), machine.n_threads)[lane])
        return [block for rank, block in enumerate(machine.cluster.machines) if mask >> rank & 1]
    start = machine.access.addresses(item.operands[0], "shared")[1][lane : lane + 1]
    return [machine.cluster.machines[int(ranks_and_offsets(machine, start)[0][0])]]


def _map(machine: Machine, item: Instruction, lane: int) -> Map:
    group = next(operand for operand in item.operands if isinstance(operand, Group))
    where = machine.access.addresses(group.items[0], "generic")[1][lane : lane + 1]
    found = Map.of(machine.memory.load(where, 128)[0].tobytes())
    if found is None:
        raise unsupported(item, "no tensor map")
    return found


def _trace(
    machine: Machine, item: Instruction, places: list[int | None], n: int, is_store: bool, reduces: bool
) -> None:
    """What is read and written counts as such for the launch, and in nothing that the load and store unit does."""
    addresses = np.array([place for place in places if place is not None], np.uint64)
    if addresses.size:
        machine.tally.bulk(addresses, n, reads=not is_store or reduces, writes=is_store)


def _combined(operation: str, kind: str, old: Array, new: Array) -> Array:
    size = old.shape[1]
    a, b = (decode(np.ascontiguousarray(x).view(f"u{size}")[:, 0], kind) for x in (old, new))
    if operation in ("inc", "dec"):
        wraps = a >= b if operation == "inc" else (a == 0) | (a > b)
        result = np.where(wraps, 0 if operation == "inc" else b, a + 1 if operation == "inc" else a - 1)
    elif operation in ("min", "max") and a.dtype.kind == "f":
        a_first = np.where(a == b, np.signbit(a), a < b) ^ (operation == "max")
        result = np.where(np.isnan(a), b, np.where(np.isnan(b) | a_first, a, b))
    else:
        names = {"add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
                 "xor": np.bitwise_xor}  # fmt: skip
        result = names[operation](a, b)
    bits = encode(result.astype(a.dtype), kind)
    return np.ascontiguousarray(bits).view(np.uint8).reshape(-1, size)


def _rounded(octets: Array) -> Array:
    """A ``tf32`` has 10 bits behind the point: the nearest number, even if there are two."""
    (word,) = octets.view(np.uint32).tolist()
    if word & 0x7F800000 != 0x7F800000:
        kept, rest = word >> 13, word & 0x1FFF
        word = kept + (rest > 0x1000 or (rest == 0x1000 and kept & 1)) << 13
    return np.array([word], np.uint32).view(np.uint8)


def _complete(machine: Machine, block: Machine, address: Operand, lane: int, n_bytes: int) -> None:
    """Tell a barrier of ``block``, at the place that ``machine`` names."""
    at = int(machine.access.addresses(address, "shared")[1][lane]) & _OFFSET
    word = block.shared[at : at + 8].view(np.uint64)
    barrier = Barrier.of(int(word[0]))
    barrier.owed_bytes -= n_bytes
    barrier.settle()
    word[0] = barrier.word()


@instruction("tensormap")
def tensor_map(form: Form) -> Operation:
    if form.flag("cp_fenceproxy"):
        form.flag("global", "shared::cta", "tensormap::generic", "release", "sync", "aligned")
        form.one("cta", "cluster", "gpu", "sys")
        return Step(_copy_map)
    form.flag("replace", "tile", "b1024")
    field = form.one(*_FIELDS)
    space = form.maybe("global", "shared::cta", default="generic").partition("::")[0]
    kind = form.one("b32", "b64")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        offset, size = _FIELDS[field]
        address, *which, value = item.operands
        if which:
            assert isinstance(which[0], Immediate)
            offset += size * int(which[0].value)
        values = np.broadcast_to(machine.read(value, kind), mask.shape).astype(np.uint64)
        octets = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
        for at, data in ((8, np.tile(np.frombuffer(_MAGIC, np.uint8), (mask.size, 1))), (offset, octets[:, :size])):
            assert isinstance(address, Address)
            place = dataclasses.replace(address, offset=address.offset + at)
            for part in machine.access.parts(item, space, place, 1, mask):
                machine.access.put(part, data[part.lanes])

    return Step(run)


def _copy_map(machine: Machine, item: Instruction, mask: Array) -> None:
    for warp in np.unique(np.flatnonzero(mask) // 32):
        lane = np.flatnonzero(mask & (np.arange(mask.size) // 32 == warp))[:1]
        to, source = (machine.access.addresses(item.operands[i], ("global", "shared")[i])[1][lane] for i in (0, 1))
        machine.memory.store(to, machine.shared[int(source[0]) :][:128][None])
        machine.tally.bulk(to, 128, reads=False, writes=True)


def _nothing(machine: Machine, item: Instruction, mask: Array) -> None:
    """Nothing to do."""
