"""``tcgen05``: tensor memory as an array [lane, column] of words, and products of whole matrices taken from it.

Matrices in shared memory are found by ``oracle/wgmma.py``'s layouts, of which those by M or N have T = 16 / bytes of an
element: 16, 8 or 4. The descriptor's swizzle has a third bit, number 61, which is 0 for the layouts that there are.
Not modelled: what the engine refuses, and the order in which tensor cores add.
Source: PTX ISA, "TensorCore 5th Generation Family Instructions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.mbarrier import arrive
from teachkit.emulator.oracle.table import Form, Operation, Step, UnmatchedForm, instruction
from teachkit.emulator.oracle.tally import LANES, warps
from teachkit.emulator.oracle.values import Array, decode, encode
from teachkit.emulator.oracle.wgmma import Descriptor, decoded
from teachkit.emulator.ptx.model import Address, Group, Immediate, Instruction, Operand

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_N_LANES, _N_COLUMNS = 128, 512
_PIECE = 32  # columns, the least that is allocated
_K_BYTES = 32

# [lane, column] of thread t and register r
_PLACES = {
    "32x32b": lambda t, r, far: (t, r),
    "16x32bx2": lambda t, r, far: (t % 16, r + far * (t // 16)),
    "16x64b": lambda t, r, far: (t // 4 + t % 2 * 8, 2 * r + t // 2 % 2),
    "16x128b": lambda t, r, far: (t // 4 + r % 2 * 8, r // 2 * 4 + t % 4),
    "16x256b": lambda t, r, far: (t // 4 + r // 2 % 2 * 8, r // 4 * 8 + t % 4 * 2 + r % 2),
}
_TIMES = {"16x128b": 2, "16x256b": 4}  # registers of x1


class TensorMemory:
    """Of a block: its words, and which columns belong to which allocation."""

    def __init__(self) -> None:
        self.words = np.full((_N_LANES, _N_COLUMNS), 0xFFFFFFFF, np.uint32)
        self.allocated: dict[int, int] = {}  # first column: how many
        self.may_allocate = True

    def holds(self, columns: Array) -> bool:
        """Whether all of the columns are allocated."""
        owned = {c for first, n in self.allocated.items() for c in range(first, first + n)}
        return owned.issuperset(columns.ravel().tolist())

    def allocate(self, n: int) -> int | None:
        """The first column of ``n``, the lowest that there is."""
        if n not in (32, 64, 128, 256, 512) or not self.may_allocate:
            return None
        owned = {c for first, size in self.allocated.items() for c in range(first, first + size)}
        for first in range(0, _N_COLUMNS - n + 1, _PIECE):
            if owned.isdisjoint(range(first, first + n)):
                self.allocated[first] = n
                self.words[:, first : first + n] = 0xFFFFFFFF
                return first
        return None


def memory_of(machine: Machine) -> TensorMemory:
    """The block's tensor memory."""
    if machine.tensor is None:
        machine.tensor = TensorMemory()
    return machine.tensor


@instruction("tcgen05")
def tcgen05(form: Form) -> Operation:
    verb = form.rest.pop(0)
    if verb in ("fence::before_thread_sync", "fence::after_thread_sync"):
        return Step(lambda machine, item, mask: None)
    if verb in ("mma", "commit"):
        form.one("cta_group::1")
        return _mma(form) if verb == "mma" else _commit(form)
    form.one("sync")
    form.one("aligned")
    if verb == "wait::ld":
        return Step(_let_others_read)
    if verb == "wait::st":
        return Step(lambda machine, item, mask: None)
    if verb in ("ld", "st"):
        return _move(form, verb == "st")
    if verb not in ("alloc", "dealloc", "relinquish_alloc_permit"):
        raise UnmatchedForm(verb)
    form.one("cta_group::1")
    if verb == "relinquish_alloc_permit":
        return Step(_relinquish)
    form.one("b32")
    if verb == "alloc":
        form.one("shared::cta")
        return Step(_allocate)
    return Step(_give_back)


def _let_others_read(machine: Machine, item: Instruction, mask: Array) -> None:
    """What this warp does next may overwrite what other warps read without a barrier between: a product takes long."""
    machine.is_turn_over = True


def _relinquish(machine: Machine, item: Instruction, mask: Array) -> None:
    if mask.any():
        memory_of(machine).may_allocate = False


def _one_of_warp(machine: Machine, operand: Operand, kind: str, warp: int) -> int:
    if isinstance(operand, Address):
        register = machine.read(operand.base, kind)
        return int(np.broadcast_to(register, machine.n_threads)[LANES * warp]) + operand.offset
    return int(np.broadcast_to(machine.read(operand, kind), machine.n_threads)[LANES * warp])


def _warps_of(mask: Array) -> list[int]:
    return [int(warp) for warp in np.flatnonzero(warps(mask).any(1))]


def _allocate(machine: Machine, item: Instruction, mask: Array) -> None:
    for warp in _warps_of(mask):
        n = _one_of_warp(machine, item.operands[1], "u32", warp)
        first = memory_of(machine).allocate(n)
        if first is None:
            machine.fault("tensor memory", item, LANES * warp)
            first = 0
        only = np.zeros(mask.shape, bool)
        only[LANES * warp] = True
        octets = np.array([[first]], np.uint32).view(np.uint8)
        for part in machine.access.parts(item, "shared", item.operands[0], 4, only):
            machine.access.put(part, octets)


def _give_back(machine: Machine, item: Instruction, mask: Array) -> None:
    for warp in _warps_of(mask):
        first, n = (_one_of_warp(machine, operand, "u32", warp) for operand in item.operands)
        if memory_of(machine).allocated.get(first) != n:
            machine.fault("tensor memory", item, LANES * warp, first)
        else:
            del memory_of(machine).allocated[first]


def _move(form: Form, is_store: bool) -> Operation:
    shape = form.one(*_PLACES)
    n = int(form.one(*(f"x{2**i}" for i in range(8)))[1:]) * _TIMES.get(shape, 1)
    if n > 128:
        raise UnmatchedForm(f"{n} registers")
    halves = form.flag("unpack::16b" if is_store else "pack::16b")
    form.one("b32")

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        address, group = (item.operands[0], item.operands[-1]) if is_store else (item.operands[1], item.operands[0])
        far = item.operands[1 if is_store else 2] if shape == "16x32bx2" else Immediate(0)
        assert isinstance(far, Immediate)
        items = group.items if isinstance(group, Group) else (group,)
        thread = np.arange(LANES)
        memory = memory_of(machine)
        for warp in _warps_of(mask):
            at = _one_of_warp(machine, address, "u32", warp)
            only = mask & (np.arange(mask.size) // LANES == warp)
            for register, one in enumerate(items):
                # Of halves, the offset stays one of columns.
                lane, column = _PLACES[shape](thread, register, 0)
                more = far.value * (thread // 16)
                for half in (0, 1) if halves else (None,):
                    c = (at & 0xFFFF) + (column if half is None else 2 * column + half) + more
                    row = (at >> 16) + lane
                    if not memory.holds(c) or (row // LANES != warp % 4).any() or (at >> 16) % 16:
                        machine.fault("tensor memory", item, LANES * warp, at)
                        return
                    if is_store:
                        value = np.broadcast_to(machine.read(one, "u32"), machine.n_threads)[only]
                        memory.words[row, c] = value if half is None else value >> (16 * half) & 0xFFFF
                    else:
                        found = np.zeros(machine.n_threads, np.uint32)
                        found[LANES * warp : LANES * warp + LANES] = memory.words[row, c]
                        if half is not None:
                            found = (found & np.uint32(0xFFFF)) << np.uint32(16 * half)
                        if half == 1:
                            found |= machine.read(one, "u32")
                        machine.write(one, found, "b32", only)

    return Step(run)


_A_AND_B = {
    "kind::f16": {0: "f16", 1: "bf16"},
    "kind::tf32": {2: "tf32"},
    "kind::f8f6f4": {0: "e4m3", 1: "e5m2"},
    "kind::i8": {0: "u8", 1: "s8"},
}
_D = {"kind::f16": {0: "f16", 1: "f32"}, "kind::tf32": {1: "f32"}, "kind::f8f6f4": {0: "f16", 1: "f32"},
      "kind::i8": {2: "s32"}}  # fmt: skip


def _bits(word: int, first: int, last: int) -> int:
    return word >> first & (1 << last - first + 1) - 1


def _mma(form: Form) -> Operation:
    kind = form.one(*_A_AND_B)
    form.maybe(*(f"collector::a::{what}" for what in ("fill", "use", "lastuse", "discard")))

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        if len(item.operands) != 5:
            raise UnmatchedForm("lanes that are left out, or a scaled D")
        for thread in np.flatnonzero(mask):
            _multiply(machine, item, kind, int(thread))

    return Step(run)


def _multiply(machine: Machine, item: Instruction, kind: str, thread: int) -> None:
    def value(operand: Operand, ptx: str) -> int:
        base = operand.base if isinstance(operand, Address) else operand
        found = int(np.broadcast_to(machine.read(base, ptx), machine.n_threads)[thread])
        return found + (operand.offset if isinstance(operand, Address) else 0)

    d_operand, a_operand, b_operand, what_operand, adds = item.operands
    what = value(what_operand, "u32")
    m, n = 16 * _bits(what, 24, 28), 8 * _bits(what, 17, 22)
    d_type, a_type, b_type = (_D[kind].get(_bits(what, 4, 5)), *(
        _A_AND_B[kind].get(_bits(what, first, first + 2)) for first in (7, 10)))  # fmt: skip
    is_whole = kind == "kind::i8"
    columns = {64: range(8, 257, 8), 128: range(16, 257, 16)}.get(m, range(0))
    is_shape = n in columns and not (is_whole and n > 24 and n % 16)
    is_type = d_type and a_type and b_type and (kind != "kind::f16" or (a_type == b_type and d_type in ("f32", a_type)))
    odd = _bits(what, 0, 2) or _bits(what, 6, 6) or _bits(what, 23, 23) or _bits(what, 29, 31)
    odd = odd or (_bits(what, 13, 14) if is_whole else _bits(what, 3, 3))
    if not is_shape or not is_type or odd:
        machine.fault("tensor memory", item, thread, what)
        return
    assert a_type
    assert b_type
    machine.tally.add(item, flop_tensor=2 * m * n * _K_BYTES // _size(a_type))
    exact = np.int64 if is_whole else np.float64
    if isinstance(a_operand, Address):
        a = decoded(np.ascontiguousarray(_octets(machine, item, thread, value(a_operand, "u32"), m)), a_type)
    else:
        a = _from_shared(machine, item, thread, value(a_operand, "b64"), a_type, _bits(what, 15, 15), m)
    b = _from_shared(machine, item, thread, value(b_operand, "b64"), b_type, _bits(what, 16, 16), n)
    sign = -1 if _bits(what, 13, 13) != _bits(what, 14, 14) else 1
    d = sign * (a.astype(exact) @ b.T.astype(exact))
    place = _matrix(machine, item, thread, value(d_operand, "u32"), m, n)
    if place is None:
        return
    words = memory_of(machine).words
    if np.broadcast_to(machine.read(adds, "pred"), machine.n_threads)[thread]:
        old = words[place]
        before = decode(old.astype(np.uint16), "f16") if d_type == "f16" else decode(old, str(d_type))
        d = d + before.astype(exact)
    if is_whole:
        limits = np.iinfo(np.int32)
        d = np.clip(d, limits.min, limits.max) if _bits(what, 3, 3) else d.astype(np.int32)
        words[place] = d.astype(np.int32).view(np.uint32)
    elif d_type == "f16":
        words[place] = encode(d.astype(np.float32).astype(np.float16), "f16")
    else:
        words[place] = d.astype(np.float32).view(np.uint32)


def _size(kind: str) -> int:
    return {"f16": 2, "bf16": 2, "tf32": 4}.get(kind, 1)


def _matrix(machine: Machine, item: Instruction, thread: int, at: int, m: int, n: int) -> tuple[Array, Array] | None:
    """Lanes [m, 1] and columns [1, n] of a matrix in tensor memory."""
    row = np.arange(m)
    lane = (at >> 16) + (row if m == 128 else row // 16 * 32 + row % 16)
    column = (at & 0xFFFF) + np.arange(n)
    if not memory_of(machine).holds(column) or at >> 16 not in ((0,) if m == 128 else (0, 16)):
        machine.fault("tensor memory", item, thread, at)
        return None
    return lane[:, None], column[None, :]


def _octets(machine: Machine, item: Instruction, thread: int, at: int, m: int) -> Array:
    place = _matrix(machine, item, thread, at, m, _K_BYTES // 4)
    if place is None:
        return np.zeros((m, _K_BYTES), np.uint8)
    return np.ascontiguousarray(memory_of(machine).words[place]).view(np.uint8)


def _from_shared(
    machine: Machine, item: Instruction, thread: int, word: int, kind: str, by_mn: int, n_rows: int
) -> Array:
    if word >> 61 & 1 or word >> 52 & 1:
        machine.fault("tensor memory", item, thread, word)
    size = _size(kind)
    at = Descriptor.of(word).addresses(n_rows, size, by_mn)
    every = (at[..., None] + np.arange(size)).reshape(n_rows, _K_BYTES)
    outside = every >= machine.shared.size
    if outside.any():
        machine.fault("bounds", item, thread, int(every[outside].min()) // 16 * 16, 16)
    found = np.where(outside, 0, machine.shared[np.where(outside, 0, every)]).astype(np.uint8)
    return decoded(np.ascontiguousarray(found), kind)


def _commit(form: Form) -> Operation:
    form.one("mbarrier::arrive::one")
    form.one("shared::cluster")
    form.one("b64")
    return Step(lambda machine, item, mask: arrive(machine, item, item.operands[0], mask))
