"""Calls of functions that call themselves, lane by lane on a stack in private memory (``recursion.py``)."""

from __future__ import annotations

from teachkit.emulator.engine import apart, ir
from teachkit.emulator.engine.context import LANES, Fault
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.recursion import STACK, STACK_BYTES, Copy, Landing, StackCall, Stacked
from teachkit.emulator.engine.shapes import I1, I8, I32, I64, WIDTHS, Value, vector_of
from teachkit.emulator.engine.spaces import lane_base
from teachkit.emulator.ptx.model import Register

_PIECE_BYTES = 8  # of a parameter that is copied


class Stack:
    """The stack of a kernel: it lies in each lane's private memory from ``start`` on."""

    def __init__(self, kernel: Stacked, frame_bytes: dict[str, int], start: int) -> None:
        self._kernel, self._frame_bytes, self._start = kernel, frame_bytes, start
        frames = kernel.frames.values()
        self.slots = {name: start + at for frame in frames for name, at in frame.places.items()}  # of an empty stack
        self.sizes = {name: size for frame in frames for name, size in frame.sizes.items()}

    def call(self, e: Emitter, item: StackCall, lanes: Value, site: int) -> Value:
        """Begin a frame in ``lanes``; gives those that had room for it."""
        b, pointer = e.builder, e.load(STACK)
        own, needed = self._frame_bytes[item.caller], self._frame_bytes[item.callee]
        room = e.constant(pointer, max(STACK_BYTES - own - needed, 0))
        fits = b.icmp_unsigned("<=", pointer, room) if own + needed <= STACK_BYTES else ir.Constant(vector_of(I1), None)
        entered = b.and_(b.bitcast(fits, I32), lanes)
        full = b.xor(entered, lanes)
        with b.if_then(b.icmp_unsigned("!=", full, I32(0))):
            e.fault(Fault.STACK_OVERFLOW, site, full)
        top = b.add(pointer, e.constant(pointer, own))
        for name, at in self._save_places(item.caller, item.saved).items():
            self._put(e, self._at(e, pointer, at), e.load(name), entered)
        self._put(e, self._at(e, top, 0), e.vector(I32(item.number)), entered)
        for copy in item.arguments:
            source = e.vector(e.symbol(copy.variable.name, "u64"))
            self._copy(e, source, self._at(e, top, copy.offset), copy, entered)
        e.active = b.bitcast(entered, vector_of(I1))
        e.write(Register(STACK), top, "u64")
        return entered

    def landing_number(self, e: Emitter, lanes: Value) -> Value:
        """Which of its landings each lane of the running function returns to."""
        return self._get(e, self._at(e, e.load(STACK), 0), I32, lanes)

    def land(self, e: Emitter, item: Landing) -> None:
        """End the callee's frame: its caller's registers, then its results."""
        b, lanes, top = e.builder, e.lanes(), e.load(STACK)
        pointer = b.sub(top, e.constant(top, self._frame_bytes[item.caller]))
        e.write(Register(STACK), pointer, "u64")
        for name, at in self._save_places(item.caller, item.restored).items():
            kind = e.register_types[name]
            e.write(Register(name), self._get(e, self._at(e, pointer, at), ir.IntType(WIDTHS[kind]), lanes), kind)
        for copy in item.results:
            target = e.vector(e.symbol(copy.variable.name, "u64"))
            self._copy(e, self._at(e, top, copy.offset), target, copy, lanes)

    def _save_places(self, caller: str, names: tuple[str, ...]) -> dict[str, int]:
        return self._kernel.frames[caller].save_places(names) if names else {}

    def _at(self, e: Emitter, pointer: Value, offset: int) -> Value:
        """Offsets in private memory of a place in a frame."""
        return e.builder.add(pointer, e.constant(pointer, self._start + offset))

    def _copy(self, e: Emitter, source: Value, target: Value, copy: Copy, lanes: Value) -> None:
        done = 0
        while done < copy.n_bytes:
            size = min(_PIECE_BYTES, 1 << (copy.n_bytes - done).bit_length() - 1)
            here, there = (e.builder.add(at, e.constant(at, done)) for at in (source, target))
            value = self._get(e, here, ir.IntType(8 * size), lanes)
            if e.is_checked:  # the callee reads what is written here
                self._put_seen(e, there, value, lanes, size)
            else:
                self._put(e, there, value, lanes)
            done += size

    @staticmethod
    def _put_seen(e: Emitter, at: Value, value: Value, lanes: Value, n_bytes: int) -> None:
        """A store that the monitor sees."""
        e.builder.store(at, e.scratch["addresses"], align=64)
        e.builder.store(value, e.scratch["packed"], align=64)
        limits = [e.scratch["local_base"], I64(e.local_bytes)]
        arguments = [e.context, e.scratch["addresses"], lanes, *limits, I64(-1), I64(n_bytes), e.scratch["packed"]]
        e.builder.call(apart.runtime(e, "tk_store_local"), arguments)

    def _put(self, e: Emitter, at: Value, value: Value, lanes: Value) -> None:
        element = value.type.element
        if element.width == 1:
            value, element = e.cast("zext", value, I8), I8
        own = e.builder.add(lane_base(e), at)
        e.builder.call(_mover(e, "scatter", element.width), [value, own, e.builder.bitcast(lanes, vector_of(I1))])

    def _get(self, e: Emitter, at: Value, element: ir.IntType, lanes: Value) -> Value:
        width = max(element.width, 8)
        own = e.builder.add(lane_base(e), at)
        value = e.builder.call(_mover(e, "gather", width), [own, e.builder.bitcast(lanes, vector_of(I1))])
        return e.cast("trunc", value, I1) if element.width == 1 else value


def _mover(e: Emitter, verb: str, width: int) -> ir.Function:
    """A function that moves one value a lane: not inlined, since processors without the instruction need 32 steps."""
    shape, addresses, mask = vector_of(ir.IntType(width)), vector_of(I64), vector_of(I1)
    intrinsic = f"llvm.masked.{verb}.v{LANES}i{width}.v{LANES}p0"
    pointers = f"<{LANES} x ptr>"
    if verb == "scatter":
        declared = f"declare void @{intrinsic}({shape}, {pointers}, {mask})"
        text = f"""define internal void @stack_scatter_{width}({shape} %value, {addresses} %at, {mask} %on) noinline {{
  %p = inttoptr {addresses} %at to {pointers}
  call void @{intrinsic}({shape} %value, {pointers} align 1 %p, {mask} %on)
  ret void
}}"""
        return helper(e, f"stack_scatter_{width}", ir.VoidType(), [shape, addresses, mask], text, [declared])
    declared = f"declare {shape} @{intrinsic}({pointers}, {mask}, {shape})"
    text = f"""define internal {shape} @stack_gather_{width}({addresses} %at, {mask} %on) noinline {{
  %p = inttoptr {addresses} %at to {pointers}
  %value = call {shape} @{intrinsic}({pointers} align 1 %p, {mask} %on, {shape} zeroinitializer)
  ret {shape} %value
}}"""
    return helper(e, f"stack_gather_{width}", shape, [addresses, mask], text, [declared])
