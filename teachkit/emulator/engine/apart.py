"""Accesses that are no simple run of memory: the runtime checks, counts and moves lane by lane.

Generated code makes as short a call as it can, since every access has one and few ever get there.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    if isinstance(place.address, ir.Indexed):
        b.store(place.address.index, e.scratch["addresses"], align=64)
        how = How.INDEXED if place.address.is_signed else How.INDEXED_UNSIGNED
        first: Value = place.address.base
        stride: Value = I64(place.address.scale)
    elif is_vector(place.address):
        b.store(place.address, e.scratch["addresses"], align=64)
        how = How.OFFSETS if place.is_offset else How.EACH
        first = stride = Poison(I64)
    else:
        how = How.BY_STRIDE_IN_32_BITS if place.wraps else How.BY_STRIDE
        first, stride = place.address, I64(place.stride or 0)
    what = _what(e, place, lane_bytes, site, how, clears=clears)
    arguments = [e.context, lanes, what, first, stride]
    _call(e, f"tk_apart_{verb}_{space}", arguments, [packed] if verb == "store" else [])


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
    what = _what(e, place, lane_bytes, sites[0], How.BY_STRIDE, clears=clears)
    _call(e, f"tk_apart_{verb}_group", [e.context, what, I64(shape)], [])


def _prepare(e: Emitter, old: Sequence[Value], packed: Value) -> bool:
    """Put into the packed buffer what lanes that are off load; or say that it is zeros, which the runtime writes."""
    if not old:
        return False
    if not e.is_checked and all(isinstance(value, ir.Constant) and value.number == 0 for value in old):
        return True
    store_interleaved(e, old, packed, 64)
    return False


def _what(e: Emitter, place: Place, lane_bytes: int, site: int, how: How, *, clears: bool) -> Value:
    """All that is known of an access as one number."""
    interval = 0 if place.interval is None else place.interval + 1
    if interval >= 1 << 16:
        raise e.unsupported("more than 65,535 parameters and variables")
    what = site | lane_bytes << APART_BYTES | interval << APART_INTERVAL | int(how) << APART_HOW
    what |= APART_CLEARS if clears else 0
    return I64(what if e.sites.counting else what | APART_SILENT)


def _call(e: Emitter, name: str, arguments: list[Value], packed: list[Value]) -> None:
    arguments = [*arguments, *packed]
    function = _entry(e, name, [a.type for a in arguments])
    function.convention = "preserve_allcc"  # so that the kernel need not put its registers away around the call
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
