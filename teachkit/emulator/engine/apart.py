"""Accesses that are no simple run of memory: the runtime checks, counts and moves lane by lane.

Generated code makes as short a call as it can, since every access has one and few ever get there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import ir
from teachkit.emulator.engine.addresses import Place
from teachkit.emulator.engine.context import (
    APART_BYTES,
    APART_CLEARS,
    APART_HOW,
    APART_INTERVAL,
    APART_SILENT,
    How,
    offset,
)
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.interleave import store_interleaved
from teachkit.emulator.engine.jit import keeps_registers
from teachkit.emulator.engine.shapes import I8, I32, I64, POINTER, Poison, Value, is_vector


def call(
    e: Emitter,
    verb: str,
    space: str,
    place: Place,
    lanes: Value,
    lane_bytes: int,
    site: int,
    packed: Value,
    old: Sequence[Value] = (),
) -> None:
    """Load into the packed buffer, or store from ``packed``, for any ``lanes``. ``verb`` is "load" or "store".

    ``old``: what lanes that are off load, as one or more values of which a lane has its elements side by side.
    """
    b = e.builder
    clears = _prepare(e, old, packed)
    if e.is_checked:
        b.store(e.vector(place.address), e.scratch["addresses"], align=64)
        number = I64(site if e.sites.counting else ~site)
        limits = [place.low, place.high, number, I64(lane_bytes), packed]
        b.call(runtime(e, f"tk_{verb}_{space}"), [e.context, e.scratch["addresses"], lanes, *limits])
        return
    each, numbers = _addresses(place)
    if each is not None:
        b.store(each, e.scratch["addresses"], align=64)
    what = _what(e, place, lane_bytes, site, clears=clears)
    arguments = [e.context, lanes, what, *(numbers or [Poison(I64), Poison(I64)])]
    _call(e, f"tk_apart_{verb}_{space}", arguments, [packed] if verb == "store" else [])


def find(e: Emitter, space: str, place: Place, lanes: Value, lane_bytes: int, site: int, *, clears: bool) -> Value:
    """Pointer to what the lanes load, side by side: a run of memory, or the packed buffer after a gather into it.

    ``clears``: lanes that are off load zeros.
    """
    return _by_run(e, f"tk_find_{space}", POINTER, place, lanes, _what(e, place, lane_bytes, site, clears=clears))


def store(
    e: Emitter, space: str, place: Place, lanes: Value, lane_bytes: int, site: int, write: Callable[[Value], None]
) -> None:
    """Store what ``write`` puts side by side where it is told to: into a run of memory, or the packed buffer."""
    b, packed = e.builder, e.scratch["packed"]
    what = _what(e, place, lane_bytes, site)
    where = _by_run(e, f"tk_place_{space}", POINTER, place, lanes, what)
    write(where)
    with b.if_then(b.icmp_unsigned("==", where, packed)):  # the lanes' addresses were put beside it
        numbers = _addresses(place)[1] or [Poison(I64), Poison(I64)]
        _call(e, f"tk_apart_store_{space}", [e.context, lanes, what, *numbers], [packed])


def put(e: Emitter, space: str, place: Place, lanes: Value, lane_bytes: int, site: int, packed: Value) -> None:
    """Store what lies side by side at ``packed``."""
    _by_run(e, f"tk_put_{space}", ir.VoidType(), place, lanes, _what(e, place, lane_bytes, site), packed)


def _by_run(e: Emitter, name: str, returns: ir.Type, place: Place, lanes: Value, what: Value, *rest: Value) -> Value:
    """Call a function of ``runtime/runs.ll``."""
    each, numbers = _addresses(place)
    if each is None:
        numbers = numbers[:1]  # from lane to lane it is as far as a lane has bytes
    else:
        name += "_indexed" if numbers else "_offsets" if place.is_offset else "_each"
    arguments = [e.context, lanes, what, *([] if each is None else [each]), *numbers, *rest]
    function = e.module.globals.get(name)
    if function is None:
        function = ir.Function(e.module, ir.FunctionType(returns, [a.type for a in arguments]), name)
    return e.builder.call(function, arguments)


def _addresses(place: Place) -> tuple[Value | None, list[Value]]:
    """What says where the lanes go, see ``How``: a vector, the two numbers, or both."""
    address = place.address
    if isinstance(address, ir.Indexed):
        return address.index, [address.base, I64(address.scale)]
    if is_vector(address):
        return address, []
    return None, [address, I64(place.stride or 0)]


def _how(place: Place) -> How:
    address = place.address
    if isinstance(address, ir.Indexed):
        return How.INDEXED if address.is_signed else How.INDEXED_UNSIGNED
    if is_vector(address):
        return How.OFFSETS if place.is_offset else How.EACH
    return How.BY_STRIDE_IN_32_BITS if place.wraps else How.BY_STRIDE


def call_group(
    e: Emitter,
    verb: str,
    place: Place,
    firsts: Sequence[Value],
    lanes: Sequence[Value],
    lane_bytes: int,
    sites: Sequence[int],
    old: Sequence[Value] = (),
) -> None:
    """The same of several accesses of global memory, whose data lie in the packed buffer lane by lane.

    ``place`` is that of the first one and ``firsts`` the address of lane 0 in each; all have the same stride.
    """
    b = e.builder
    clears = _prepare(e, old, e.scratch["packed"])
    wide = [b.zext(one, I64) for one in lanes]  # which LLVM leaves as numbers: it would make each from bits anew
    for name, values in (("group_firsts", firsts), ("group_lanes", wide)):
        for i, value in enumerate(values):
            b.store(value, b.gep(e.context, [I64(offset(name) + 8 * i)], source_etype=I8))
    step = sites[1] - sites[0]
    if list(sites) != list(range(sites[0], sites[-1] + 1, step)) or place.stride is None:
        raise AssertionError(f"sites {sites} of a group, {place.stride} bytes from lane to lane")
    shape = len(sites) | place.stride << 8 | step << 16
    what = _what(e, place, lane_bytes, sites[0], clears=clears)
    _call(e, f"tk_apart_{verb}_group", [e.context, what, I64(shape)], [])


def are_zeros(values: Sequence[Value]) -> bool:
    """Whether it is known that they are."""
    return all(isinstance(value, ir.Constant) and value.number == 0 for value in values)


def _prepare(e: Emitter, old: Sequence[Value], packed: Value) -> bool:
    """Put into the packed buffer what lanes that are off load; or say that it is zeros, which the runtime writes."""
    if not old:
        return False
    if not e.is_checked and are_zeros(old):
        return True
    store_interleaved(e, old, packed, 64)
    return False


def _what(e: Emitter, place: Place, lane_bytes: int, site: int, *, clears: bool = False) -> Value:
    """All that is known of an access as one number."""
    interval = 0 if place.interval is None else place.interval + 1
    if interval >= 1 << 16:
        raise e.unsupported("more than 65,535 parameters and variables")
    what = site | lane_bytes << APART_BYTES | interval << APART_INTERVAL | int(_how(place)) << APART_HOW
    what |= APART_CLEARS if clears else 0
    return I64(what if e.sites.counting else what | APART_SILENT)


def _call(e: Emitter, name: str, arguments: list[Value], packed: list[Value]) -> None:
    arguments = [*arguments, *packed]
    function = _entry(e, name, [a.type for a in arguments])
    if keeps_registers():  # so that the kernel need not put them away around the call
        function.convention = "preserve_allcc"
    e.builder.call(function, arguments)


def runtime(e: Emitter, name: str) -> Value:
    """A function of ``runtime/access.ll`` that takes all lanes' addresses and every fact one by one."""
    if e.is_checked:
        return hooks.guarded(e, name)
    return _entry(e, name, [POINTER, POINTER, I32, I64, I64, I64, I64, POINTER])


def _entry(e: Emitter, name: str, parameters: list[ir.Type]) -> ir.Function:
    function = e.module.globals.get(name)
    if function is None:
        function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), parameters), name)
        function.attributes.add("cold")
    return function
