"""Loads and stores in the rarer state spaces: a lane's private memory, constants, and generic addresses.

Private memory (local variables, parameters of device functions) of the 32 lanes of a warp lies lane after lane.
A generic address is a host address in every space, so only bounds and counting ask which space it is in; where
that is not known beforehand, each lane's address is looked at. Everything here goes lane by lane.
"""

from __future__ import annotations

from collections.abc import Sequence

from teachkit.emulator.engine import access, addresses, apart, clusters, ir, paths, tally
from teachkit.emulator.engine.context import LANES, LANES_SLOT
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.interleave import load_dealt, store_interleaved
from teachkit.emulator.engine.shapes import I32, I64, POINTER, WIDTHS, Value, is_vector, lane_constants
from teachkit.emulator.ptx.model import Address, Operand


def load(e: Emitter, space: str, operand: Address, targets: Sequence[Operand], ptx_type: str) -> None:
    """Load consecutive elements into ``targets``; ``space`` is "local", "argument", "const", "cluster"
    (shared memory of any block of the cluster) or "generic"."""
    bits, n = WIDTHS[ptx_type], len(targets)
    if space == "const" and not e.is_checked:
        address = addresses.address_of(e, operand, space)
        if not is_vector(address):
            for target, value in zip(targets, _one_constant(e, operand, address, bits, n), strict=True):
                e.write(target, value, ptx_type)
            return
    old = [e.held(target, bits) for target in targets]
    store_interleaved(e, old, e.scratch["packed"], 64)
    _move(e, space, operand, n * bits // 8, "load")
    values = load_dealt(e, e.scratch["packed"], bits, n)
    for target, value in zip(targets, values, strict=True):
        e.write_loaded(target, value, ptx_type)


def _one_constant(e: Emitter, operand: Address, address: Value, bits: int, n: int) -> list[Value]:
    """``n`` consecutive elements that all lanes want, as scalars."""
    b, lane_bytes, lanes = e.builder, n * bits // 8, e.lanes()
    low, high, interval = addresses.interval_of(e, operand)
    place = addresses.Place(address, low, high, interval, None)
    site = e.sites.access(e.instruction, "const", False, lane_bytes)

    def in_place() -> list[Value]:
        if e.sites.counting:
            tally.add_lanes(e, site + LANES_SLOT, lanes)
        places = [b.inttoptr(b.add(address, I64(i * bits // 8)), POINTER) for i in range(n)]
        return [b.load(at, typ=ir.IntType(bits), align=bits // 8) for at in places]

    def by_lane() -> list[Value]:
        b.store(e.vector(address), e.scratch["addresses"], align=64)
        _call_at(e, "tk_load_private", site, lanes, low, high, lane_bytes)
        return [e.first_active(value) for value in load_dealt(e, e.scratch["packed"], bits, n)]

    conditions = [access.inside(e, address, lane_bytes, place), *paths.is_aligned(e, address, lane_bytes)]
    return paths.either(e, conditions, in_place, by_lane)


def store(e: Emitter, space: str, operand: Address, values: list[Value], bits: int) -> None:
    """The reverse of :func:`load`."""
    store_interleaved(e, [e.vector(value) for value in values], e.scratch["packed"], 64)
    _move(e, space, operand, len(values) * bits // 8, "store")


def generic_space(e: Emitter, operand: Address) -> str:
    """The space that a generic address is sure to be in: "global", or "generic" where it has to be looked up."""
    root = addresses.root_of(e, operand)
    return "global" if root in e.intervals and root not in e.constants else "generic"


def lane_base(e: Emitter) -> Value:
    """Host address of each lane's private memory."""
    steps = lane_constants(I64, [lane * e.local_bytes for lane in range(LANES)])
    return e.builder.add(e.vector(e.scratch["local_base"]), steps)


def in_local(e: Emitter, host: Value) -> Value:
    """Whether each lane's generic address is in its own private memory."""
    offset = e.builder.sub(host, lane_base(e))
    return e.builder.icmp_unsigned("<", offset, e.constant(offset, e.local_bytes))


def _move(e: Emitter, space: str, operand: Address, lane_bytes: int, verb: str) -> None:
    b = e.builder
    address = e.vector(addresses.address_of(e, operand, space))
    b.store(address, e.scratch["addresses"], align=64)
    lanes = e.lanes()
    if space == "cluster":
        in_cluster(e, clusters.hosts(e, address), lanes, lane_bytes, verb)
    elif space in ("local", "argument"):
        _private(e, lanes, lane_bytes, verb, is_counted=space == "local")
    elif space == "const":
        low, high, _ = addresses.interval_of(e, operand)
        _call(e, f"tk_{verb}_private", "const", lanes, low, high, lane_bytes, verb)
    else:
        _generic(e, operand, address, lanes, lane_bytes, verb)


def move_at(
    e: Emitter, space: str, operand: Address, address: Value, lane_bytes: int, verb: str, is_again: bool
) -> None:
    """Move ``lane_bytes`` a lane between the packed buffer and addresses of the host, [32], worked out elsewhere from
    ``operand``. ``space`` is "global", "shared" or "generic"; ``is_again``: not the instruction's first access."""
    e.builder.store(address, e.scratch["addresses"], align=64)
    e.sites.is_again = is_again
    lanes = e.lanes()
    if space == "generic":
        _generic(e, operand, address, lanes, lane_bytes, verb)
    else:
        place = addresses.host_place(e, space, operand)
        _call(e, f"tk_{verb}_{space}", space, lanes, place.low, place.high, lane_bytes, verb)
    e.sites.is_again = False


def in_cluster(e: Emitter, address: Value, lanes: Value, lane_bytes: int, verb: str) -> None:
    """Generic addresses, [32], in the shared memory of any block of the cluster."""
    e.builder.store(address, e.scratch["addresses"], align=64)
    clusters.check(e, lane_bytes)
    _call(e, f"tk_{verb}_shared", "shared", lanes, *clusters.window(e), lane_bytes, verb)


def _generic(e: Emitter, operand: Address, address: Value, lanes: Value, lane_bytes: int, verb: str) -> None:
    """Shared lanes, those of constant tables and parameters, private ones; global memory is the rest."""
    b = e.builder
    shared, limits = in_shared(e, address, lanes, lane_bytes)
    rest = b.and_(lanes, b.not_(shared))
    _call(e, f"tk_{verb}_shared", "shared", shared, *limits, lane_bytes, verb)
    tables = [e.bounds[name] for name in sorted(e.constants)]
    tables.append((e.scratch["parameters_low"], e.scratch["parameters_high"]))
    for low, high in tables if verb == "load" else []:
        above = b.icmp_unsigned(">=", address, e.vector(low))
        inside = b.and_(above, b.icmp_unsigned("<", address, e.vector(high)))
        here = b.and_(b.bitcast(inside, I32), rest)
        rest = b.and_(rest, b.not_(here))
        _call(e, "tk_load_private", "const", here, low, high, lane_bytes, verb, is_part=True)
    private: Value = I32(0)
    if e.local_bytes:
        private = b.and_(b.bitcast(in_local(e, address), I32), rest)
        rest = b.and_(rest, b.not_(private))
    low, high, _ = addresses.interval_of(e, operand)
    _call(e, f"tk_{verb}_global", "global", rest, low, high, lane_bytes, verb, is_part=True)
    if e.local_bytes:
        b.store(b.sub(address, lane_base(e)), e.scratch["addresses"], align=64)
        _private(e, private, lane_bytes, verb, is_counted=True, is_part=True)


def in_shared(e: Emitter, address: Value, lanes: Value, lane_bytes: int) -> tuple[Value, tuple[Value, Value]]:
    """Which of ``lanes`` have a generic address in shared memory that the kernel can reach, and its limits.

    The addresses are in memory, too.
    """
    if e.spans_blocks:
        return e.builder.and_(clusters.check(e, lane_bytes), lanes), clusters.window(e)
    limits = (e.scratch["shared_base"], e.scratch["shared_end"])
    return addresses.in_window(e, address, lanes, "shared"), limits


def _private(e: Emitter, lanes: Value, lane_bytes: int, verb: str, *, is_counted: bool, is_part: bool = False) -> None:
    """Offsets in private memory are in the address buffer; the parameters of functions are not counted."""
    base, size = e.scratch["local_base"], I64(e.local_bytes)
    _call(e, f"tk_{verb}_local", "local" if is_counted else "const", lanes, base, size, lane_bytes, verb, is_part)


def _call(
    e: Emitter,
    function: str,
    space: str,
    lanes: Value,
    low: Value,
    high: Value,
    lane_bytes: int,
    verb: str,
    is_part: bool = False,
) -> None:
    site = e.sites.access(e.instruction, space, verb == "store", lane_bytes, is_part=is_part)
    _call_at(e, function, site, lanes, low, high, lane_bytes)


def _call_at(e: Emitter, function: str, site: int, lanes: Value, low: Value, high: Value, lane_bytes: int) -> None:
    place = I64(site if e.sites.counting else ~site)
    arguments = [e.context, e.scratch["addresses"], lanes, low, high, place, I64(lane_bytes), e.scratch["packed"]]
    with e.builder.if_then(e.builder.icmp_unsigned("!=", lanes, I32(0))):
        e.builder.call(apart.runtime(e, function), arguments)
