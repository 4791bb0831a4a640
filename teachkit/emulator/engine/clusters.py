"""Clusters in the code of a warp: waits at the barrier of a cluster, and addresses in the shared memory of its blocks.

A wait is a loop that asks whether the phase is over; a warp that asks in vain gives up its turn. It counts as the one
instruction that it is. What is the same for every kernel is in ``runtime/clusters.ll``.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import CLUSTER_RANK_AT, offset
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.recursion import Jump
from teachkit.emulator.engine.shapes import I1, I8, I32, I64, POINTER, Value, vector_of
from teachkit.emulator.ptx.model import Function, Guard, Instruction, Label, Register, Symbol

ASKS = "cluster.asks"
_WAIT = "barrier.cluster.wait"
_BY_ADDRESS = frozenset("ld st atom red mbarrier cvta isspacep".split())


@dataclasses.dataclass(frozen=True, slots=True)
class Asks(Instruction):
    """Whether the lanes may go on behind the barrier of the cluster. It is no instruction of the kernel."""


def spans_blocks(function: Function) -> bool:
    """Whether the code meets or reaches other blocks of its cluster."""
    for item in function.body:
        if isinstance(item, Instruction):
            first, *parts = item.opcode.split(".")
            if first in ("mapa", "getctarank") or (first == "barrier" and "cluster" in parts):
                return True
            if "multicast::cluster" in parts or item.opcode.startswith("cp.async.bulk.shared::cluster.shared::cta"):
                return True
            if "shared::cluster" in parts and first in _BY_ADDRESS:
                return True
    return False


def with_loops(function: Function) -> Function:
    """``function`` with a loop behind each wait."""
    body: list[Label | Instruction] = []
    registers = dict(function.registers)
    for item in function.body:
        body.append(item)
        if not isinstance(item, Instruction) or not item.opcode.startswith(_WAIT):
            continue
        name = f"%cluster.over.{len(registers)}"
        registers[name] = "pred"
        again, past, over = Label(f"{name}.again"), Label(f"{name}.past"), Register(name)
        line, source = item.ptx_line, item.source
        if item.guard is not None:
            skips = Guard(item.guard.register, not item.guard.negated)
            body.append(Jump("bra", (Symbol(past.name),), guard=skips, ptx_line=line, source=source))
        asks = Asks(ASKS, (over,), ptx_line=line, source=source)
        body += [again, asks, Jump("bra", (Symbol(again.name),), Guard(over, True), line, source), past]
    return dataclasses.replace(function, registers=registers, body=tuple(body))


def ask(e: Emitter, instruction: Instruction, is_scalar: bool) -> None:
    """Let the lanes past whose phase is over."""
    b, lanes = e.builder, e.lanes()
    over = b.and_(call(e, "tk_cluster_over", I32), lanes)
    none = b.icmp_unsigned("==", over, I32(0))
    b.store(b.select(none, I64(0), b.load(e.scratch["turns"])), e.scratch["turns"])
    answer = b.icmp_unsigned("==", over, lanes) if is_scalar else b.bitcast(over, vector_of(I1))
    e.write(instruction.operands[0], answer, "pred")


def leave(e: Emitter, lanes: Value) -> None:
    """Lanes end."""
    call(e, "tk_cluster_leave", ir.VoidType(), lanes)


def call(e: Emitter, name: str, result: ir.Type, *arguments: Value) -> Value:
    """Call a function of ``runtime/clusters.ll``, which has the context as its first argument."""
    function = e.module.globals.get(name)
    if function is None:
        kinds = [POINTER, *(argument.type for argument in arguments)]
        function = ir.Function(e.module, ir.FunctionType(result, kinds), name)
    return e.builder.call(function, [e.context, *arguments])


def hosts(e: Emitter, addresses: Value) -> Value:
    """Addresses in shared::cluster, 64 bits, as generic ones."""
    return _mapped(e, "tk_cluster_hosts", addresses)


def names(e: Emitter, addresses: Value) -> Value:
    """The reverse."""
    return _mapped(e, "tk_cluster_names", addresses)


def _mapped(e: Emitter, function: str, addresses: Value) -> Value:
    e.builder.store(e.vector(addresses), e.scratch["addresses"], align=64)
    call(e, function, ir.VoidType(), e.scratch["addresses"])
    return e.builder.load(e.scratch["addresses"], typ=vector_of(I64), align=64)


def check(e: Emitter, n_bytes: int) -> Value:
    """Which lanes have a generic address among the shared memories of the cluster, as 32 bits.

    Addresses there of which ``n_bytes`` are not all in that of one block that runs become ones that lead nowhere.
    """
    return call(e, "tk_cluster_check", I32, e.scratch["addresses"], I64(n_bytes))


@contextlib.contextmanager
def each_block(e: Emitter, targets: Value, lanes: Value) -> Iterator[tuple[Value, Value, Value]]:
    """A loop over the blocks of the cluster that are ``targets`` of some lanes, [32] masks of blocks by rank.

    Inside, the block is the one that the runtime takes for its own. Gives these lanes, where its memory begins, and
    whether it is the first.
    """
    b, low = e.builder, e.scratch["cluster_low"]
    at, done = b.alloca(I32), b.alloca(I1)
    b.store(I32(0), at)
    b.store(I1(0), done)
    head, body, onward, behind = (b.append_basic_block(f"block.{name}") for name in ("head", "body", "next", "end"))
    b.branch(head)
    b.position_at_end(head)
    rank = b.load(at, typ=I32)
    is_target = b.and_(b.lshr(targets, e.vector(rank)), e.constant(targets, 1))
    here = b.and_(b.bitcast(b.icmp_unsigned("!=", is_target, e.constant(targets, 0)), I32), lanes)
    b.cbranch(b.icmp_unsigned("!=", here, I32(0)), body, onward)
    b.position_at_end(body)
    number = b.zext(rank, I64)
    base = b.add(low, b.shl(number, e.scratch["cluster_shift"]))
    limits = b.gep(e.field("cluster", POINTER), [I64(offset("cluster.limits") + 8)], source_etype=I8)
    end = b.add(base, b.load(b.gep(limits, [number], source_etype=I64), typ=I64))
    _set_own(e, base, end)
    yield here, base, b.icmp_unsigned("==", b.load(done, typ=I1), I1(0))
    _set_own(e, e.scratch["shared_base"], e.scratch["shared_end"])
    b.store(I1(1), done)
    b.branch(onward)
    b.position_at_end(onward)
    following = b.add(b.load(at, typ=I32), I32(1))
    b.store(following, at)
    more = b.icmp_unsigned("<", b.zext(following, I64), e.scratch["cluster_size"])
    b.cbranch(more, head, behind)
    b.position_at_end(behind)


def _set_own(e: Emitter, base: Value, end: Value) -> None:
    for name, value in (("shared", base), ("shared_end", end)):
        e.builder.store(value, e.builder.gep(e.context, [I64(offset(name))], source_etype=I8))


def ranks(e: Emitter, place: Value) -> Value:
    """Ranks of the blocks that addresses in shared::cluster, 64 bits, are in."""
    b = e.builder
    number = e.cast("trunc", b.lshr(place, e.constant(place, CLUSTER_RANK_AT)), I32)
    own = e.vector(call(e, "tk_cluster_rank", I32))
    found = b.select(b.icmp_unsigned("==", number, e.constant(number, 0)), own, number)
    return b.sub(found, e.constant(found, 1))


def window(e: Emitter) -> tuple[Value, Value]:
    """Where the shared memory of all blocks of the cluster begins and ends."""
    return e.scratch["cluster_low"], e.scratch["cluster_high"]
