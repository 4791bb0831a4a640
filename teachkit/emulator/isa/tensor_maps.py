"""Tensor maps made by kernels: field by field, mostly in shared memory, and copied to where bulk copies look for them.

Like bulk copies, these pass by the load and store unit and count none of its requests. The layout is
:mod:`teachkit.emulator.tensor_map`'s.
Source: PTX ISA, "tensormap.replace", "tensormap.cp_fenceproxy".
"""

from __future__ import annotations

from teachkit.emulator.engine import ir, tally
from teachkit.emulator.engine.addresses import address_of, in_window
from teachkit.emulator.engine.context import LANES_SLOT
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32, I64, Value
from teachkit.emulator.isa.bulk import places, request, runtime_function, site_value
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Immediate, Operand
from teachkit.emulator.tensor_map import ELEMENT_BYTES, MAX_RANK, N_BYTES, OFFSETS, SPANS

_SPACE = "[.global|.shared::cta]"
_BYTES = {"global_address": 8, "global_dim": 8, "global_stride": 8, "box_dim": 4}  # of other fields 1
_COUNTED_FROM_ONE = ("global_stride",)  # its place 0 is the second dimension's
_ALLOWED = {
    "elemtype": ELEMENT_BYTES,
    "interleave_layout": (0,),
    "swizzle_mode": range(len(SPANS)),
    "fill_mode": (0, 1),
    "rank": range(MAX_RANK),
}


@instruction(
    f"tensormap.replace.tile.global_address{_SPACE}.b1024.b64",
    f"tensormap.replace.tile.(rank|elemtype|interleave_layout|swizzle_mode|fill_mode){_SPACE}.b1024.b32",
    reads=None,
)
def replace(e: Emitter, form: Form, address: Operand, value: Operand) -> None:
    """Write a field."""
    field = form.opcode.split(".")[3]
    allowed = _ALLOWED.get(field)
    if allowed is not None and isinstance(value, Immediate) and value.value not in allowed:
        raise e.unsupported(f"{field} {value.value}")
    _write(e, form, address, OFFSETS[field], _BYTES.get(field, 1), value)


@instruction(
    f"tensormap.replace.tile.(box_dim|global_dim|element_stride){_SPACE}.b1024.b32",
    f"tensormap.replace.tile.global_stride{_SPACE}.b1024.b64",
    reads=None,
)
def replace_one(e: Emitter, form: Form, address: Operand, dimension: Operand, value: Operand) -> None:
    """Write what a field holds of one dimension."""
    field = form.opcode.split(".")[3]
    n = MAX_RANK - (field in _COUNTED_FROM_ONE)
    if not isinstance(dimension, Immediate) or not 0 <= dimension.value < n:
        raise e.unsupported("a dimension that is no number of one")
    size = _BYTES.get(field, 1)
    _write(e, form, address, OFFSETS[field] + size * int(dimension.value), size, value)


def _write(e: Emitter, form: Form, address: Operand, offset: int, n_bytes: int, value: Operand) -> None:
    assert isinstance(address, Address)
    is_wide = form.type == "b64"
    new = e.read(value, "u64" if is_wide else "u32")
    new = new if is_wide else e.cast("zext", new, I64)
    lanes = e.lanes()
    global_site, shared_site = places(e, True)
    if e.sites.counting:
        tally.add_lanes(e, global_site + LANES_SLOT, lanes)
    if "shared::cta" in form.optional:
        groups = [(_host(e, address, "shared"), lanes, 1, shared_site)]
    elif "global" in form.optional:
        groups = [(address_of(e, address, "global"), lanes, 0, global_site)]
    else:
        host = e.vector(address_of(e, address, "global"))
        shared = in_window(e, host, lanes, "shared")
        rest = e.builder.and_(lanes, e.builder.not_(shared))
        groups = [(host, shared, 1, shared_site), (host, rest, 0, global_site)]
    for where, some, is_shared, site in groups:
        with e.builder.if_then(e.builder.icmp_unsigned("!=", some, I32(0))):
            table = request(e, [where, new])
            numbers = [I64(offset), I64(n_bytes), I64(is_shared), site_value(e, site)]
            function = runtime_function(e, "tk_map_field", ir.VoidType(), len(numbers), 0)
            e.builder.call(function, [e.context, some, table, *numbers])


@instruction(
    "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.(cta|cluster|gpu|sys).sync.aligned",
    reads=None,
)
def copy_map(e: Emitter, form: Form, target: Operand, source: Operand, size: Operand) -> None:
    """A whole map from shared to global memory, once for the warp."""
    assert isinstance(target, Address)
    assert isinstance(source, Address)
    if not isinstance(size, Immediate) or size.value != N_BYTES:
        raise e.unsupported("a size other than 128")
    rows = [address_of(e, target, "global"), _host(e, source, "shared")]
    lanes = e.lanes()
    numbers = places(e, True)
    with e.builder.if_then(e.builder.icmp_unsigned("!=", lanes, I32(0))):
        if e.sites.counting:
            tally.add_lanes(e, numbers[0] + LANES_SLOT, lanes)
        function = runtime_function(e, "tk_map_copy", ir.VoidType(), 2, 0)
        e.builder.call(function, [e.context, lanes, request(e, rows), *(site_value(e, n) for n in numbers)])


def _host(e: Emitter, address: Address, space: str) -> Value:
    return e.builder.add(*e.alike(address_of(e, address, space), e.scratch["shared_base"]))
