"""What lanes of a warp exchange: shuffles, votes, matches, reductions. Source: PTX ISA, "shfl", "vote", "redux"."""

from __future__ import annotations

from collections.abc import Callable

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import once
from teachkit.emulator.engine.shapes import (
    I1,
    I32,
    I64,
    Poison,
    Value,
    is_vector,
    lane_constants,
    lane_numbers,
    vector_of,
)
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Immediate, Operand, PredicatePair


@instruction("shfl.sync.(bfly|up|down|idx).b32", reads=None)
def shfl(e: Emitter, form: Form, target: Operand, source: Operand, lane: Operand, clamp: Operand, _: Operand) -> None:
    """Read another lane's register; a lane whose source is out of its segment keeps its own, with p false."""
    mode = form.required[0]
    value = e.vector(e.read(source, "b32"))
    if isinstance(lane, Immediate) and isinstance(clamp, Immediate):
        sources, valid = zip(*(_source(mode, i, lane.value, clamp.value) for i in range(32)), strict=True)
        undefined = Poison(value.type)
        result = e.builder.shuffle_vector(value, undefined, lane_constants(I32, list(sources)))
        in_range: Value = lane_constants(ir.IntType(1), [int(v) for v in valid])
    else:
        result, in_range = _dynamic(e, mode, value, e.vector(e.read(lane, "u32")), e.vector(e.read(clamp, "u32")))
    if isinstance(target, PredicatePair):
        e.write(target.first, result, "b32")
        e.write(target.second, in_range, "pred")
    else:
        e.write(target, result, "b32")


def _source(mode: str, lane: int, b: int, c: int) -> tuple[int, bool]:
    """The lane that ``lane`` reads from, and whether it lies in the segment. PTX ISA, "shfl.sync", semantics."""
    clamp, segment = c & 31, (c >> 8) & 31
    most, least = (lane & segment) | (clamp & ~segment & 31), lane & segment
    b &= 31
    if mode == "up":
        source, valid = lane - b, lane - b >= most
    elif mode == "down":
        source, valid = lane + b, lane + b <= most
    elif mode == "bfly":
        source, valid = lane ^ b, (lane ^ b) <= most
    else:
        source = least | (b & ~segment & 31)
        valid = source <= most
    return (source, True) if valid else (lane, False)


def _dynamic(e: Emitter, mode: str, value: Value, b: Value, c: Value) -> tuple[Value, Value]:
    build, lane = e.builder, e.vector(lane_numbers())
    thirty_one = e.constant(lane, 31)
    segment = build.and_(build.lshr(c, e.constant(c, 8)), thirty_one)
    outside = build.and_(build.not_(segment), thirty_one)
    least = build.and_(lane, segment)
    most = build.or_(least, build.and_(build.and_(c, thirty_one), outside))
    b = build.and_(b, thirty_one)
    source = {
        "up": lambda: build.sub(lane, b),
        "down": lambda: build.add(lane, b),
        "bfly": lambda: build.xor(lane, b),
        "idx": lambda: build.or_(least, build.and_(b, outside)),
    }[mode]()
    valid = build.icmp_signed(">=" if mode == "up" else "<=", source, most)
    source = build.and_(e.select(valid, source, lane), thirty_one)
    return permute(e, value, source), valid


def permute(e: Emitter, value: Value, source: Value) -> Value:
    """``value[source[lane]]`` for 32-bit values."""
    return once(e, "permute", lambda *given: _permuted(e, *given), value, source)


def _permuted(e: Emitter, value: Value, source: Value) -> Value:
    """The same through memory."""
    build = e.builder
    place = build.alloca(value.type, align=16)
    build.store(value, place, align=16)
    offsets = build.zext(build.shl(source, e.constant(source, 2)), vector_of(I64))
    base = e.vector(build.ptrtoint(place, I64))
    pointers = build.inttoptr(build.add(base, offsets), ir.VectorType(ir.PointerType(), 32))
    name = "llvm.masked.gather.v32i32.v32p0"
    mask_type = vector_of(ir.IntType(1))
    function = e.module.globals.get(name)
    if function is None:
        arguments = [pointers.type, mask_type, value.type]
        function = ir.Function(e.module, ir.FunctionType(value.type, arguments), name)
    everyone = ir.Constant(mask_type, [ir.IntType(1)(1)] * 32)
    return build.call(function, [pointers, everyone, ir.Constant(value.type, None)])


@instruction("vote.sync.(all|any|uni).pred", reads=None)
def vote(e: Emitter, form: Form, target: Operand, source: Operand, members: Operand) -> None:
    build = e.builder
    present = e.lanes()
    said = build.and_(e.lane_bits(e.read(source, "pred")), present)
    lanes, yes = (_among(e, members, bits) for bits in (present, said))
    every = build.icmp_unsigned("==", yes, lanes)
    some = build.icmp_unsigned("!=", yes, e.constant(yes, 0))
    none = build.not_(some)
    result = {"all": every, "any": some, "uni": build.or_(every, none)}[form.required[0]]
    e.write(target, result, "pred")


@instruction("vote.sync.ballot.b32", reads=None)
def ballot(e: Emitter, form: Form, target: Operand, source: Operand, members: Operand) -> None:
    yes = e.lane_bits(e.read(source, "pred"))
    e.write(target, _among(e, members, e.builder.and_(yes, e.lanes())), "b32")


def _among(e: Emitter, members: Operand, lanes: Value) -> Value:
    """Of ``lanes``, 32 bits, those that the member mask names; groups of a warp may come with masks of their own."""
    if isinstance(members, Immediate) and members.value % (1 << 32) == 0xFFFFFFFF:
        return lanes
    return e.builder.and_(*e.alike(lanes, e.read(members, "u32")))


@instruction("activemask.b32", reads=None)
def activemask(e: Emitter, form: Form, target: Operand) -> None:
    e.write(target, e.lanes(), "b32")


_NEUTRAL = {
    "add": 0,
    "or": 0,
    "xor": 0,
    "and": 0xFFFFFFFF,
    "min.u32": 0xFFFFFFFF,
    "max.u32": 0,
    "min.s32": 0x7FFFFFFF,
    "max.s32": 0x80000000,
}
_REDUCE = {"add": "add", "and": "and", "or": "or", "xor": "xor"}


@instruction("redux.sync.(add|min|max).(u32|s32)", "redux.sync.(and|or|xor).b32", reads=None)
def redux(e: Emitter, form: Form, target: Operand, source: Operand, members: Operand) -> None:
    """One value from all lanes that take part, given to each of them."""
    operation, kind = form.required
    neutral = _NEUTRAL.get(operation, _NEUTRAL.get(f"{operation}.{kind}"))
    assert neutral is not None
    value = e.vector(e.read(source, kind))
    name = _REDUCE.get(operation) or f"{'s' if kind == 's32' else 'u'}{operation}"

    def reduced(lanes: Value) -> Value:
        kept = e.select(e.builder.bitcast(lanes, vector_of(I1)), value, e.constant(value, neutral))
        return e.intrinsic(f"llvm.vector.reduce.{name}", kept, returns=I32)

    e.write(target, _by_group(e, members, reduced), kind)


def _by_group(e: Emitter, members: Operand, reduced: Callable[[Value], Value]) -> Value:
    """``reduced(lanes)`` of the lanes that share a member mask, given to each of them: one value where the mask is the
    same everywhere, else group after group."""
    b, masks, present = e.builder, e.read(members, "u32"), e.lanes()
    if not is_vector(masks):
        return reduced(_among(e, members, present))
    with b.goto_entry_block():
        left_slot, result_slot = b.alloca(I32), b.alloca(vector_of(I32))
    b.store(present, left_slot)
    head, body, done = (b.append_basic_block(f"groups.{name}") for name in ("head", "body", "done"))
    b.branch(head)
    b.position_at_end(head)
    left = b.load(left_slot)
    b.cbranch(b.icmp_unsigned("==", left, I32(0)), done, body)
    b.position_at_end(body)
    first = b.cttz(left, I1(0))
    mask = e.vector(b.extract_element(masks, first))
    same = b.and_(b.bitcast(b.icmp_unsigned("==", masks, mask), I32), left)
    value = e.vector(reduced(b.and_(same, b.extract_element(masks, first))))
    here = b.bitcast(same, vector_of(I1))
    b.store(b.select(here, value, b.load(result_slot)), result_slot)
    b.store(b.and_(left, b.not_(same)), left_slot)
    b.branch(head)
    b.position_at_end(done)
    return b.load(result_slot)


@instruction("redux.sync.(min|max)[.abs][.NaN].f32", reads=None)
def redux_float(e: Emitter, form: Form, target: Operand, source: Operand, members: Operand) -> None:
    """sm_100: the least or greatest ``f32`` of the lanes that take part; NaN only counts with ``.NaN``."""
    value = e.vector(e.read(source, "f32"))
    if "abs" in form.optional:
        value = e.intrinsic("llvm.fabs", value)
    name = "llvm.minimum" if form.required[0] == "min" else "llvm.maximum"
    name = name if "NaN" in form.optional else f"{name}num"

    def reduced(lanes: Value) -> Value:
        first = e.builder.extract_element(value, e.builder.cttz(lanes, I1(0)))
        kept = e.select(e.builder.bitcast(lanes, vector_of(I1)), value, first)
        for distance in (16, 8, 4, 2, 1):
            order = lane_constants(I32, [lane ^ distance for lane in range(32)])
            kept = e.intrinsic(name, kept, e.builder.shuffle_vector(kept, Poison(kept.type), order))
        return e.bits(kept)

    e.write(target, _by_group(e, members, reduced), "b32")


@instruction("match.any.sync.(b32|b64)", "match.all.sync.(b32|b64)", reads=None)
def match(e: Emitter, form: Form, target: Operand, source: Operand, members: Operand) -> None:
    """Which lanes hold the same value; with ``.all``, every lane that takes part or none."""
    build = e.builder
    value = e.vector(e.read(source, form.type))
    lanes = _among(e, members, e.lanes())
    if ".any." in form.opcode or is_vector(lanes):
        peers = once(e, "peers", lambda given: _peers(e, given), value)
        same = build.and_(peers, e.vector(lanes))
        if ".any." in form.opcode:
            e.write(target, same, "b32")
            return
    else:
        first = build.extract_element(value, build.cttz(lanes, I1(0)))
        same = build.and_(build.bitcast(build.icmp_unsigned("==", value, e.vector(first)), I32), lanes)
    agreed = build.icmp_unsigned("==", *e.alike(same, lanes))
    everyone = e.select(agreed, lanes, e.constant(lanes, 0))
    if isinstance(target, PredicatePair):
        e.write(target.first, everyone, "b32")
        e.write(target.second, agreed, "pred")
    else:
        e.write(target, everyone, "b32")


def _peers(e: Emitter, value: Value) -> Value:
    """For each lane, the lanes that hold what it holds."""
    b = e.builder
    peers: Value = ir.Constant(vector_of(I32), None)
    for lane in range(32):
        alike = b.icmp_unsigned("==", value, e.vector(b.extract_element(value, I32(lane))))
        peers = b.insert_element(peers, b.bitcast(alike, I32), I32(lane))
    return peers


@instruction("elect.sync", reads=None)
def elect(e: Emitter, form: Form, target: Operand, members: Operand) -> None:
    """The lowest lane that takes part is elected; every lane learns which it was."""
    assert isinstance(target, PredicatePair)
    leader = _by_group(e, members, lambda lanes: e.builder.cttz(lanes, I1(0)))
    e.write(target.first, leader, "b32")
    e.write(target.second, e.builder.icmp_unsigned("==", lane_numbers(), e.vector(leader)), "pred")
