"""Moves, addresses and parameters. Source: PTX ISA, "mov", "cvta", "ld.param"."""

from __future__ import annotations

import functools

from teachkit.emulator.engine import clusters, ir, spaces
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I1, I8, I64, WIDTHS, Value
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Group, Operand, Symbol

TYPES = "pred|b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64"


@instruction(f"mov.({TYPES})", reads=None)
def mov(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """Copy; a group in braces is packed from, or unpacked into, its parts, lowest first."""
    if isinstance(source, Group):
        e.write(target, _join(e, source, WIDTHS[form.type]), form.type)
    elif isinstance(target, Group):
        _split(e, target, e.read(source, form.type), WIDTHS[form.type])
    elif isinstance(source, Address) and isinstance(source.base, Symbol):
        base = e.symbol(source.base.name, form.type)
        e.write(target, e.builder.add(base, e.constant(base, source.offset)), form.type)
    else:
        e.write(target, e.read(source, form.type), form.type)


def _join(e: Emitter, group: Group, width: int) -> Value:
    part = width // len(group.items)
    values = e.alike(*(e.read(item, f"b{part}") for item in group.items))
    whole = e.cast("zext", values[0], ir.IntType(width)) if len(values) > 1 else values[0]
    for index, value in enumerate(values[1:], start=1):
        wide = e.cast("zext", value, ir.IntType(width))
        whole = e.builder.or_(whole, e.builder.shl(wide, e.constant(wide, index * part)))
    return whole


def _split(e: Emitter, group: Group, value: Value, width: int) -> None:
    part = width // len(group.items)
    for index, item in enumerate(group.items):
        shifted = e.builder.lshr(value, e.constant(value, index * part)) if index else value
        e.write(item, e.cast("trunc", shifted, ir.IntType(part)) if len(group.items) > 1 else shifted, f"b{part}")


@instruction("mov.b128", reads=None)
def mov_b128(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """A pair of 64-bit registers or four of 32 bits from such a pair or four, lowest first."""
    if not (isinstance(target, Group) and isinstance(source, Group)):
        raise e.unsupported("128 bits that are neither a register nor two or four parts")
    halves = [_halves_of(e, group) for group in (target, source)]
    values = [_join(e, half, 64) for half in halves[1]]
    for half, value in zip(halves[0], values, strict=True):
        _split(e, half, value, 64)


def _halves_of(e: Emitter, group: Group) -> tuple[Group, Group]:
    n = len(group.items) // 2
    if len(group.items) not in (2, 4):
        raise e.unsupported(f"128 bits in {len(group.items)} parts")
    return Group(group.items[:n]), Group(group.items[n:])


@instruction(*(f"cvta[.to].{space}.(u32|u64)" for space in ("global", "const", "param", "param::entry")), reads=("T",))
def cvta_global(e: Emitter, form: Form, a: Value) -> Value:
    """Global and constant memory and parameters are the host's, so their addresses are generic as they stand."""
    return a


@instruction("cvta[.to].shared.u64", "cvta[.to].shared::cta.u64", reads=("u64",), writes="u64")
def cvta_shared(e: Emitter, form: Form, a: Value) -> Value:
    """The generic address of shared memory is the host address of the block's own."""
    base = e.scratch["shared_base"]
    base, a = e.alike(base, a)
    return e.builder.sub(a, base) if "to" in form.optional else e.builder.add(base, a)


@instruction("cvta[.to].local.(u32|u64)", reads=("T",))
def cvta_local(e: Emitter, form: Form, a: Value) -> Value:
    """The generic address of local memory is the host address of the lane's own."""
    if not e.local_bytes:
        raise e.unsupported("no local memory in this kernel")
    base, a = e.alike(spaces.lane_base(e), a)
    return e.builder.sub(a, base) if "to" in form.optional else e.builder.add(base, a)


@instruction("isspacep.(global|shared|shared::cta|shared::cluster|local|const|param|param::entry)", reads=None)
def isspacep(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """Which window a generic address lies in; what is in no other is global."""
    b = e.builder
    address = e.vector(e.read(source, "u64"))

    def within(low: Value, high: Value) -> Value:
        return b.and_(b.icmp_unsigned(">=", address, e.vector(low)), b.icmp_unsigned("<", address, e.vector(high)))

    nowhere = e.vector(I1(0))
    shared = within(e.scratch["shared_base"], e.scratch["shared_end"])
    local = spaces.in_local(e, address) if e.local_bytes else nowhere
    param = within(e.scratch["parameters_low"], e.scratch["parameters_high"])
    const = functools.reduce(b.or_, [within(*e.bounds[name]) for name in sorted(e.constants)], nowhere)
    cluster = within(*clusters.window(e)) if e.spans_blocks else shared
    others = b.or_(b.or_(cluster, local), b.or_(param, const))
    windows = {
        "shared::cluster": cluster,
        "shared::cta": shared,
        "shared": shared,
        "local": local,
        "param": param,
        "param::entry": param,
        "const": const,
        "global": b.not_(others),
    }
    e.write(target, windows[form.required[0]], "pred")


@instruction(
    "ld.param[.v2|.v4].(b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64|b128)",
    "ld.param::entry[.v2|.v4].(b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64|b128)",
    "ld.param::func[.v2|.v4].(b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64|b128)",
    reads=None,
)
def ld_param(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    assert isinstance(source, Address)
    targets = target.items if isinstance(target, Group) else (target,)
    kind = element_type(e, form)
    if not isinstance(source.base, Symbol):
        spaces.load(e, "generic", source, targets, kind)
        return
    if source.base.name not in e.parameter_offsets:
        spaces.load(e, "argument", source, targets, kind)
        return
    at = e.parameter_offsets[source.base.name] + source.offset
    width = WIDTHS[kind]
    for index, item in enumerate(targets):
        slot = e.builder.gep(e.scratch["params"], [I64(at + index * width // 8)], source_etype=I8)
        e.write(item, e.builder.load(slot, typ=ir.IntType(width), align=width // 8), kind)


def element_type(e: Emitter, form: Form) -> str:
    """Type of each register that a load or store names; 128 bits are two of 64."""
    if form.type == "b128" and form.optional & {"v2", "v4"}:
        raise e.unsupported("more than 16 bytes a lane")
    return "b64" if form.type == "b128" else form.type
