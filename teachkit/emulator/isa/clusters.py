"""Thread block clusters: their barrier, and the shared memory of their other blocks. Source: PTX ISA,
"barrier.cluster", "mapa", "getctarank", "State Spaces: Shared".

An address in shared::cluster is an offset of 24 bits and, above it, 1 + the rank of a block, or 0 for the block that
uses it. So every shared::cta address is one, and one that ``mapa`` made means the same place in all blocks of the
cluster. An access counts as a shared access of the block that makes it; the network between multiprocessors is not
modelled. The shared memory of a block can be reached while the block runs; before and after, an access is a fault.

Not modelled: ``st.async``, ``red.async``, copies between the shared memories of two blocks.
"""

from __future__ import annotations

from teachkit.emulator.engine import clusters
from teachkit.emulator.engine.context import CLUSTER_OFFSET, CLUSTER_RANK_AT
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.ir import VoidType
from teachkit.emulator.engine.shapes import I32, I64, Value
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Operand

_MOST = 254  # a rank that no block has


@instruction("barrier.cluster.arrive[.release|.relaxed][.aligned]", reads=None)
def cluster_arrive(e: Emitter, form: Form) -> None:
    """The lanes have come this far, and go on."""
    clusters.call(e, "tk_cluster_arrive", VoidType(), e.lanes())


@instruction("barrier.cluster.wait[.acquire][.aligned]", reads=None)
def cluster_wait(e: Emitter, form: Form) -> None:
    """Nothing: the loop that ``engine.clusters`` puts behind it waits."""


@instruction("mapa.shared::cluster.(u32|u64)", reads=None)
def mapa_shared(e: Emitter, form: Form, target: Operand, address: Operand, rank: Operand) -> None:
    """The same place in the shared memory of another block."""
    place = e.vector(e.cast("zext", _value(e, address, form.type), I64))
    e.write(target, _as(e, form.type, _named(e, place, rank)), form.type)


@instruction("mapa.(u32|u64)", reads=None)
def mapa_generic(e: Emitter, form: Form, target: Operand, address: Operand, rank: Operand) -> None:
    """The same with generic addresses."""
    if form.type == "u32":
        raise e.unsupported("a generic address of 32 bits")
    name = clusters.names(e, e.read(address, "u64"))
    kept = e.builder.and_(name, e.constant(name, (1 << 63) - 1 - (0xFFFFFFFF ^ CLUSTER_OFFSET)))
    e.write(target, clusters.hosts(e, e.builder.or_(kept, _above(e, rank))), "u64")


@instruction("getctarank.shared::cluster.(u32|u64)", reads=None)
def getctarank_shared(e: Emitter, form: Form, target: Operand, address: Operand) -> None:
    """The rank of the block whose shared memory an address is in."""
    place = e.vector(e.cast("zext", _value(e, address, form.type), I64))
    e.write(target, clusters.ranks(e, place), "u32")


@instruction("getctarank.(u32|u64)", reads=None)
def getctarank_generic(e: Emitter, form: Form, target: Operand, address: Operand) -> None:
    """The same of a generic address."""
    if form.type == "u32":
        raise e.unsupported("a generic address of 32 bits")
    e.write(target, clusters.ranks(e, clusters.names(e, e.read(address, "u64"))), "u32")


@instruction("cvta[.to].shared::cluster.u64", reads=("u64",), writes="u64")
def cvta_cluster(e: Emitter, form: Form, a: Value) -> Value:
    """The generic address of a place in another block's shared memory is the host's."""
    return clusters.names(e, a) if "to" in form.optional else clusters.hosts(e, a)


def _value(e: Emitter, address: Operand, kind: str) -> Value:
    """A register, a variable, or one with an offset."""
    if not isinstance(address, Address):
        return e.read(address, kind)
    value = e.read(address.base, kind)
    return e.builder.add(value, e.constant(value, address.offset))


def _above(e: Emitter, rank: Operand) -> Value:
    """What names a block in an address."""
    number = e.vector(e.read(rank, "u32"))
    number = e.intrinsic("llvm.umin", number, e.constant(number, _MOST))
    wide = e.cast("zext", number, I64)
    return e.builder.shl(e.builder.add(wide, e.constant(wide, 1)), e.constant(wide, CLUSTER_RANK_AT))


def _named(e: Emitter, place: Value, rank: Operand) -> Value:
    return e.builder.or_(e.builder.and_(place, e.constant(place, CLUSTER_OFFSET)), _above(e, rank))


def _as(e: Emitter, kind: str, value: Value) -> Value:
    return e.cast("trunc", value, I32) if kind == "u32" else value
