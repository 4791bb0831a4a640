"""What a checked kernel calls, as LLVM: the monitor before every access, and an event for what is no access.

In checked mode an access never takes the inlined fast path; it goes through the runtime's function for it, behind the
monitor, which says which lanes may go on. A kernel that is not checked contains nothing of this.
"""

from __future__ import annotations

from collections.abc import Sequence

from teachkit.emulator.checks.layout import LANES, Event
from teachkit.emulator.engine import barriers, ir
from teachkit.emulator.engine.context import offset
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import I8, I32, I64, POINTER, Value
from teachkit.emulator.ptx.model import Immediate, Instruction
from teachkit.emulator.sites import Site

FIRST_PLACE = 1 << 19  # numbers of places that own no counter start here
_MODES = {"up": 0, "down": 1, "bfly": 2, "idx": 3}
_NO_SHUFFLE = len(_MODES)
_ALIGNED = ("mma", "wmma", "wgmma", "ldmatrix", "stmatrix", "movmatrix")
_MASK_OPERAND = {"shfl": 4, "vote": 2, "match": 2, "redux": 2}  # place of the member mask
_ACCESS = "declare i32 @tk_check_access(i64, i64, i32, i64, i64, i64, i64, i64, i32)"


def guarded(e: Emitter, name: str) -> Value:
    """The runtime's function ``name`` behind the monitor."""
    gives_lanes = name == "tk_access_atomic"
    result = "i32" if gives_lanes else "void"
    last, packed = ("i64 %last", "0") if gives_lanes else ("ptr %last", "%packed")
    is_offset = int(name.endswith("_local"))
    text = f"""define internal {result} @checked_{name}(ptr %context, ptr %addresses, i32 %active, i64 %low, \
i64 %high, i64 %site, i64 %size, {last}) {{
  %c = ptrtoint ptr %context to i64
  %a = ptrtoint ptr %addresses to i64
  {"" if gives_lanes else "%packed = ptrtoint ptr %last to i64"}
  %live = call i32 @tk_check_access(i64 %c, i64 %a, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, \
i64 {packed}, i32 {is_offset})
  {"%lanes = " if gives_lanes else ""}call {result} @{name}(ptr %context, ptr %addresses, i32 %live, i64 %low, \
i64 %high, i64 %site, i64 %size, {last})
  ret {"i32 %lanes" if gives_lanes else "void"}
}}"""
    types = [POINTER, POINTER, I32, I64, I64, I64, I64, I64 if gives_lanes else POINTER]
    plain = f"declare {result} @{name}(ptr, ptr, i32, i64, i64, i64, i64, {last.partition(' ')[0]})"
    returns = I32 if gives_lanes else ir.VoidType()
    return helper(e, f"checked_{name}", returns, types, text, [_ACCESS, plain])


def before(e: Emitter, instruction: Instruction) -> None:
    """Tell the monitor of an instruction that is no access, if that is of interest to it."""
    base, *parts = instruction.opcode.split(".")
    operands = instruction.operands
    if base in _MASK_OPERAND:
        at = _MASK_OPERAND[base]
        b_and_c = operands[2:4] if base == "shfl" else ()
        mode = _MODES[parts[1]] if base == "shfl" else _NO_SHUFFLE
        _let_leave(e)
        for index, operand in enumerate((operands[at], *b_and_c)):
            slot = e.builder.gep(e.scratch["addresses"], [I64(4 * LANES * index)], source_etype=I8)
            e.builder.store(e.vector(e.read(operand, "u32")), slot, align=64)
        buffer = e.builder.ptrtoint(e.scratch["addresses"], I64)
        _event(e, Event.TOGETHER, I64(mode), buffer)
    elif base in _ALIGNED or (base == "tcgen05" and "aligned" in parts):
        _event(e, Event.ALIGNED)
    elif base == "membar" or (base == "fence" and "proxy" not in parts):
        _event(e, Event.FENCE, I64(int("cta" not in parts)))
    elif base == "bar" and parts[:1] == ["warp"]:
        e.builder.store(e.vector(e.read(operands[0], "u32")), e.scratch["addresses"], align=64)
        _event(e, Event.WARP_BARRIER, e.builder.ptrtoint(e.scratch["addresses"], I64))
    elif base in ("bar", "barrier") and "arrive" in parts:
        number, _ = barriers.numbers(e, instruction, e.lanes())
        _event(e, Event.ARRIVE, e.builder.zext(number, I64))
    elif base == "cp" and "bulk" in parts:
        pass  # they are made at once, and looked at as accesses
    elif base == "cp" and "commit_group" in parts:
        _event(e, Event.COMMIT)
    elif base == "cp" and ("wait_all" in parts or "mbarrier" in parts):
        _event(e, Event.WAIT, I64(-1))
    elif base == "cp" and "wait_group" in parts:
        n = operands[0]
        if not isinstance(n, Immediate):
            raise e.unsupported("a number of groups in a register")
        _event(e, Event.WAIT, I64(n.value))


def bulk(e: Emitter, site: Value, site_shared: Value, is_store: bool) -> Value:
    """A function that shows the monitor a part of a bulk copy: at most 16 bytes of which ``n`` are in global memory.

    It takes these in pieces of ``size``, and those in shared memory too where they are stored from there.
    """
    name = f"checked_bulk_{site.ref}".replace("-", "_")
    n_shared, shared_size = ("%n", "%size") if is_store else ("16", "16")
    text = f"""define internal void @{name}(ptr %context, i64 %lane, i64 %global, i64 %n, i64 %size, i64 %shared, \
ptr %data) {{
entry:
  %addresses = alloca [32 x i64], align 64
  %lane32 = trunc i64 %lane to i32
  %bit = shl i32 1, %lane32
  %slot = getelementptr i64, ptr %addresses, i64 %lane
  %c = ptrtoint ptr %context to i64
  %a = ptrtoint ptr %addresses to i64
  %d = ptrtoint ptr %data to i64
  %p.low = getelementptr i8, ptr %context, i64 {offset("shared")}
  %p.high = getelementptr i8, ptr %context, i64 {offset("shared_end")}
  %low = load i64, ptr %p.low
  %high = load i64, ptr %p.high
  br label %global.next
global.next:
  %at = phi i64 [ 0, %entry ], [ %at.next, %global.look ]
  %more = icmp ult i64 %at, %n
  br i1 %more, label %global.look, label %shared.next
global.look:
  %place = add i64 %global, %at
  store i64 %place, ptr %slot
  %here = add i64 %d, %at
  %lanes.before = mul i64 %lane, %size
  %packed = sub i64 %here, %lanes.before
  %live = call i32 @tk_check_access(i64 %c, i64 %a, i32 %bit, i64 0, i64 0, i64 {site.ref}, \
i64 %size, i64 %packed, i32 0)
  %at.next = add i64 %at, %size
  br label %global.next
shared.next:
  %s.at = phi i64 [ 0, %global.next ], [ %s.at.next, %shared.look ]
  %s.more = icmp ult i64 %s.at, {n_shared}
  br i1 %s.more, label %shared.look, label %end
shared.look:
  %s.place = add i64 %shared, %s.at
  store i64 %s.place, ptr %slot
  %s.here = add i64 %d, %s.at
  %s.lanes.before = mul i64 %lane, {shared_size}
  %s.packed = sub i64 %s.here, %s.lanes.before
  %s.live = call i32 @tk_check_access(i64 %c, i64 %a, i32 %bit, i64 %low, i64 %high, i64 {site_shared.ref}, \
i64 {shared_size}, i64 %s.packed, i32 0)
  %s.at.next = add i64 %s.at, {shared_size}
  br label %shared.next
end:
  ret void
}}"""
    types = [POINTER, I64, I64, I64, I64, I64, POINTER]
    return helper(e, name, ir.VoidType(), types, text, [_ACCESS])


def start(e: Emitter) -> None:
    """A warp begins."""
    _call(e, Event.START, I64(0), I64(0), I32(-1), 0)


def leave(e: Emitter, lanes: Value) -> None:
    """Lanes of a warp are done."""
    _call(e, Event.EXIT, I64(0), I64(0), lanes, 0)


def _let_leave(e: Emitter, staying: Value | None = None) -> None:
    """Tell of lanes that have nothing left to do but leave, which they do when the rest of the warp gets there.

    Not so those that are ``staying``: at a barrier behind which there is nothing but to leave.
    """
    for mask in e.leaving:
        lanes = e.builder.load(mask, typ=I32)
        leave(e, lanes if staying is None else e.builder.and_(lanes, e.builder.not_(staying)))


def wait(e: Emitter, instruction: Instruction, number: Value, expected: Value, lanes: Value) -> None:
    """A warp begins to wait at a barrier."""
    b = e.builder
    _let_leave(e, lanes)
    whole = b.zext(b.icmp_unsigned("==", expected, I32(0)), I64)
    flags = b.or_(whole, I64(_is_aligned(instruction) << 1))
    _call(e, Event.BARRIER, b.zext(number, I64), flags, lanes, _place(e, instruction))


def resume(e: Emitter, instruction: Instruction | None) -> None:
    """A warp goes on, behind a barrier if there is an instruction."""
    if instruction is not None:
        _call(e, Event.RESUME, I64(0), I64(_is_aligned(instruction) << 1), I32(-1), 0)


def has_left(instructions: Sequence[Instruction]) -> bool:
    """Whether a basic block does nothing but leave."""
    return len(instructions) == 1 and instructions[0].opcode in ("ret", "exit") and not instructions[0].operands


def _is_aligned(instruction: Instruction) -> int:
    """``bar`` must be met by all threads of a warp together, ``barrier`` only where it says so."""
    base, *parts = instruction.opcode.split(".")
    return int(base == "bar" or "aligned" in parts)


def _place(e: Emitter, instruction: Instruction) -> int:
    places: list[Site] = e.sites.sites
    number = FIRST_PLACE + sum(site.kind == "place" for site in places)
    places.append(Site("place", number, instruction.opcode, instruction.source, instruction.ptx_line))
    return number


def _event(e: Emitter, kind: Event, a: Value | None = None, b: Value | None = None) -> None:
    """An event of the lanes that run the current instruction, if there are any."""
    assert e.instruction is not None
    lanes = e.lanes()
    place = _place(e, e.instruction)
    with e.builder.if_then(e.builder.icmp_unsigned("!=", lanes, I32(0))):
        _call(e, kind, I64(0) if a is None else a, I64(0) if b is None else b, lanes, place)


def _call(e: Emitter, kind: Event, a: Value, b: Value, lanes: Value, place: int) -> None:
    function = e.module.globals.get("tk_check_event")
    if function is None:
        types: Sequence[ir.Type] = [I64, I32, I64, I64, I32, I64]
        function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), types), "tk_check_event")
    context = e.builder.ptrtoint(e.context, I64)
    e.builder.call(function, [context, I32(int(kind)), a, b, lanes, I64(place)])
