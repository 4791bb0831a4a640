"""Where an access goes: the address of an operand, the interval that it must stay in, and how it grows by lane."""

from __future__ import annotations

import dataclasses

from teachkit.emulator.engine import indexed, ir
from teachkit.emulator.engine.context import SECTOR_BYTES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32, I64, Value, is_vector
from teachkit.emulator.ptx.model import Address, Register, Symbol


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where the lanes of an access go.

    Attributes
    ----------
    address
        On the host, of lane 0 or of every lane. A vector of 32 bits is of offsets from ``low``.
    low, high
        What it must stay in, ``high`` excluded.
    interval
        The number of that interval in the launch's table; None where it is not there (shared memory), or unknown.
    stride
        Bytes from one lane's address to the next, None where that is not known before running.
    wraps
        Whether offsets from ``low`` are computed in 32 bits, and so start anew behind the last.
    """

    address: Value
    low: Value
    high: Value
    interval: int | None
    stride: int | None
    wraps: bool = False

    @property
    def is_offset(self) -> bool:
        """Whether ``address`` is of offsets."""
        return is_vector(self.address) and self.address.type.element == I32


def address_of(e: Emitter, operand: Address, space: str) -> Value:
    """The operand's address as 64-bit integers: in the window of ``space`` for shared, of the host for global."""
    base = operand.base
    if isinstance(base, Register):
        width = "u64" if e.register_types[base.name].endswith("64") else "u32"
        value = e.read(base, width)
        if width == "u32":
            value = e.builder.add(value, e.constant(value, operand.offset)) if operand.offset else value
            return e.cast("zext", value, I64)
    elif isinstance(base, Symbol):
        value = e.symbol(base.name, "u64")
    else:
        value = e.read(base, "u64")
    if not operand.offset:
        return value
    address = e.builder.add(value, e.constant(value, operand.offset))
    return indexed.moved(e.builder, address, value, I64(operand.offset)) if isinstance(value, ir.Indexed) else address


def place_of(e: Emitter, space: str, operand: Address) -> Place:
    """Where the operand points, in lane 0 if the others follow from that."""
    stride = _stride(e, operand)
    if space == "shared" and stride is None and _is_narrow(e, operand) and not e.is_checked:
        offsets = e.read(operand.base, "u32")
        if is_vector(offsets):
            offsets = e.builder.add(offsets, e.constant(offsets, operand.offset)) if operand.offset else offsets
            return Place(offsets, e.scratch["shared_base"], e.scratch["shared_end"], None, None)
    before, e.lane_zero = e.lane_zero, stride is not None or e.lane_zero
    place = host_place(e, space, operand)
    place = dataclasses.replace(place, stride=stride, wraps=space == "shared" and _is_narrow(e, operand))
    e.lane_zero = before
    return place


def host_place(e: Emitter, space: str, operand: Address) -> Place:
    """The same with the host's address of every lane."""
    address = address_of(e, operand, space)
    if space == "shared":
        base = e.scratch["shared_base"]
        host = e.builder.add(e.vector(base) if is_vector(address) else base, address)
        return Place(host, base, e.scratch["shared_end"], None, None)
    return Place(address, *interval_of(e, operand), None)


def interval_of(e: Emitter, operand: Address) -> tuple[Value, Value, int | None]:
    """Bounds and number of the tensor or variable that the operand points into; all of memory where that is unknown."""
    root = root_of(e, operand)
    if root is None or root not in e.intervals:
        return I64(0), I64(0), None
    return *e.bounds[root], e.intervals[root]


def root_of(e: Emitter, operand: Address) -> str | None:
    """The parameter or variable that an address is computed from, None where it is not just one."""
    if isinstance(operand.base, Register):
        return e.provenance.get(operand.base.name)
    return operand.base.name if isinstance(operand.base, Symbol) else None


def in_window(e: Emitter, host: Value, lanes: Value, window: str) -> Value:
    """Which of ``lanes`` have a generic address in this block's ``window`` ("shared" or "local"), as 32 bits."""
    b = e.builder
    above = b.icmp_unsigned(">=", host, e.vector(e.scratch[f"{window}_base"]))
    below = b.icmp_unsigned("<", host, e.vector(e.scratch[f"{window}_end"]))
    return b.and_(b.bitcast(b.and_(above, below), I32), lanes)


def gap_of(space: str, stride: int | None, lane_bytes: int) -> int:
    """How many elements lie from one lane's to the next, if few enough to load them all and pick; else 0.

    With at most 32 bytes between lanes every sector from the first to the last is touched, as in a run.
    """
    if space != "global" or stride is None or lane_bytes > 8 or stride % lane_bytes:
        return 0
    return stride // lane_bytes if stride // lane_bytes in (2, 3, 4) and stride <= SECTOR_BYTES else 0


def _stride(e: Emitter, operand: Address) -> int | None:
    if e.is_checked or not isinstance(operand.base, Register):
        return None
    return e.strides.get(operand.base.name)


def _is_narrow(e: Emitter, operand: Address) -> bool:
    """Whether the operand's address is computed in 32 bits, and so may wrap from lane to lane."""
    return isinstance(operand.base, Register) and not e.register_types[operand.base.name].endswith("64")
