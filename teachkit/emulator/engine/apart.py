"""Accesses that are no simple run of memory: the runtime checks, counts and moves lane by lane.

Generated code makes as short a call as it can, since every access has one and few ever get there.
"""

from __future__ import annotations

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import ir
from teachkit.emulator.engine.addresses import Place
from teachkit.emulator.engine.context import APART_BYTES, APART_HOW, APART_INTERVAL, APART_SILENT, How
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32, I64, POINTER, Poison, Value, is_vector


def call(
    e: Emitter, verb: str, space: str, place: Place, lanes: Value, lane_bytes: int, site: int, packed: Value
) -> None:
    """Load into the packed buffer, or store from ``packed``, for any ``lanes``. ``verb`` is "load" or "store"."""
    b = e.builder
    if e.is_checked:
        b.store(e.vector(place.address), e.scratch["addresses"], align=64)
        number = I64(site if e.sites.counting else ~site)
        limits = [place.low, place.high, number, I64(lane_bytes), packed]
        b.call(runtime(e, f"tk_{verb}_{space}"), [e.context, e.scratch["addresses"], lanes, *limits])
        return
    if is_vector(place.address):
        b.store(place.address, e.scratch["addresses"], align=64)
        how = How.OFFSETS if place.is_offset else How.EACH
        first: Value = Poison(I64)
        stride: Value = Poison(I64)
    else:
        how = How.BY_STRIDE_IN_32_BITS if place.wraps else How.BY_STRIDE
        first, stride = place.address, I64(place.stride or 0)
    what = site | lane_bytes << APART_BYTES | int(how) << APART_HOW
    interval = 0 if place.interval is None else place.interval + 1
    if interval >= 1 << 16:
        raise e.unsupported("more than 65,535 parameters and variables")
    what |= interval << APART_INTERVAL
    what |= 0 if e.sites.counting else APART_SILENT
    arguments = [e.context, lanes, I64(what), first, stride]
    if verb == "store":
        arguments.append(packed)
    function = _entry(e, f"tk_apart_{verb}_{space}", [a.type for a in arguments])
    function.convention = "preserve_allcc"  # so that the kernel need not put its registers away around the call
    b.call(function, arguments)


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
