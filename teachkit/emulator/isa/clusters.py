"""Thread block clusters: their barrier, and the shared memory of their other blocks. Source: PTX ISA,
"barrier.cluster", "mapa", "getctarank", "State Spaces: Shared".

An address in shared::cluster is an offset of 24 bits and, above it, 1 + the rank of a block, or 0 for the block that
uses it. So every shared::cta address is one, and one that ``mapa`` made means the same place in all blocks of the
cluster. An access counts as a shared access of the block that makes it; the network between multiprocessors is not
modelled. The shared memory of a block can be reached while the block runs; before and after, an access is a fault.
``st.async`` stores at once; what it tells the barrier is not counted.

Not modelled: ``red.async``.
"""

from __future__ import annotations

from teachkit.emulator.engine import clusters, ir, spaces
from teachkit.emulator.engine.addresses import address_of
from teachkit.emulator.engine.context import CLUSTER_OFFSET, CLUSTER_RANK_AT, LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import I32, I64, WIDTHS, Value, vector_of
from teachkit.emulator.isa.atomic import in_cluster
from teachkit.emulator.isa.mbarrier import complete
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Group, Operand

_MOST = 254  # a rank that no block has


@instruction("barrier.cluster.arrive[.release|.relaxed][.aligned]", reads=None)
def cluster_arrive(e: Emitter, form: Form) -> None:
    """The lanes have come this far, and go on."""
    clusters.call(e, "tk_cluster_arrive", ir.VoidType(), e.lanes())


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


@instruction(
    "st.async[.weak].shared::cluster.mbarrier::complete_tx::bytes[.v2|.v4].(b32|b64|u32|u64|s32|s64|f32|f64)",
    reads=None,
)
def st_async(e: Emitter, form: Form, target: Operand, source: Operand, barrier: Operand) -> None:
    """A store that tells a barrier how many bytes have come."""
    assert isinstance(target, Address)
    assert isinstance(barrier, Address)
    sources, bits = source.items if isinstance(source, Group) else (source,), WIDTHS[form.type]
    if len(sources) * bits > 128:
        raise e.unsupported("more than 16 bytes a lane")
    spaces.store(e, "cluster", target, [e.read(item, f"b{bits}") for item in sources], bits)
    host = clusters.hosts(e, address_of(e, barrier, "shared"))
    complete(e, barrier, e.lanes(), e.vector(I32(len(sources) * bits // 8)), host)


@instruction("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes", reads=None)
def bulk_between(e: Emitter, form: Form, target: Operand, source: Operand, size: Operand, barrier: Operand) -> None:
    """A run of bytes from the block's own shared memory to that of another block. Nothing of it is counted."""
    b = e.builder
    assert isinstance(target, Address)
    assert isinstance(source, Address)
    assert isinstance(barrier, Address)
    n_bytes = e.vector(e.read(size, "u32"))
    wide = e.cast("zext", n_bytes, I64)
    last = b.sub(wide, e.constant(wide, 16))
    places = [e.vector(address_of(e, operand, "shared")) for operand in (source, target)]
    some = b.icmp_unsigned("!=", n_bytes, e.constant(n_bytes, 0))
    live = b.and_(b.bitcast(some, I32), e.lanes())
    counting, e.sites.counting = e.sites.counting, False
    ends = [each for place in places for each in (place, b.add(place, last))]
    for number, end in enumerate(ends):
        e.sites.is_again = number > 0
        live = in_cluster(e, clusters.hosts(e, end), 16, live)
    e.sites.counting, e.sites.is_again = counting, False
    origin, goal = (clusters.hosts(e, place) for place in places)
    b.call(_moves(e), [origin, goal, wide, live])
    complete(e, barrier, live, n_bytes, clusters.hosts(e, address_of(e, barrier, "shared")))


def _moves(e: Emitter) -> ir.Function:
    """A function that moves each lane's bytes."""
    wide = vector_of(I64)
    text = f"""define internal void @tk_moves({wide} %from, {wide} %to, {wide} %n, i32 %lanes) noinline {{
entry:
  br label %lane
lane:
  %i = phi i32 [ 0, %entry ], [ %i.next, %next ]
  %shifted = lshr i32 %lanes, %i
  %is.on = trunc i32 %shifted to i1
  br i1 %is.on, label %move, label %next
move:
  %f = extractelement {wide} %from, i32 %i
  %t = extractelement {wide} %to, i32 %i
  %size = extractelement {wide} %n, i32 %i
  %p.f = inttoptr i64 %f to ptr
  %p.t = inttoptr i64 %t to ptr
  call void @llvm.memmove.p0.p0.i64(ptr %p.t, ptr %p.f, i64 %size, i1 false)
  br label %next
next:
  %i.next = add i32 %i, 1
  %more = icmp ult i32 %i.next, {LANES}
  br i1 %more, label %lane, label %end
end:
  ret void
}}
"""
    declared = ["declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)"]
    return helper(e, "tk_moves", ir.VoidType(), [wide, wide, wide, I32], text, declared)


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
