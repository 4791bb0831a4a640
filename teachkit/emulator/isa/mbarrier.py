"""Barriers in shared memory that threads arrive at without waiting, and ask about later. Source: PTX ISA, "mbarrier".

The object is opaque; here it is one word of 64 bits: arrivals still expected in this phase (bits 0 to 19), arrivals
that every phase expects (20 to 39), bytes that asynchronous copies still owe (40 to 60, two's complement), and the
parity of the phase (63). What an arrival returns is the word before it. ``init`` and ``inval`` count as stores of 8
bytes, ``test_wait`` and ``try_wait`` as loads, everything that arrives as an atomic, which is what they compile to on
compute capability 8.0. A warp that asks in vain gives up its turn. Lanes take theirs from the lowest to the highest.

Not modelled: the time that ``try_wait`` may sleep (it answers at once). An asynchronous copy is
finished when it is issued, so ``cp.async.mbarrier.arrive`` has nothing to wait for.
"""

from __future__ import annotations

from teachkit.emulator.engine import access, ir, spaces
from teachkit.emulator.engine.addresses import address_of
from teachkit.emulator.engine.context import offset
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import I8, I32, I64, Value, vector_of
from teachkit.emulator.isa.atomic import in_cluster, live_lanes
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Operand, Register

_COUNT_BITS = 20
_COUNT = (1 << _COUNT_BITS) - 1
_OWED_AT, _OWED = 2 * _COUNT_BITS, (1 << 21) - 1
_PHASE_AT = 63
_SPACE = "[.shared|.shared::cta]"
_ANY = "[.shared|.shared::cta|.shared::cluster]"  # arrivals may be at the barrier of another block
_GIVES = "[.release|.relaxed][.cta|.cluster]"
_TAKES = "[.acquire|.relaxed][.cta|.cluster]"


@instruction(f"mbarrier.init{_SPACE}.b64", reads=None)
def mbarrier_init(e: Emitter, form: Form, address: Operand, count: Operand) -> None:
    """The first phase begins, with ``count`` arrivals to come."""
    expected = e.builder.and_(*e.alike(e.cast("zext", e.read(count, "u32"), I64), I64(_COUNT)))
    word = e.builder.or_(expected, e.builder.shl(expected, e.constant(expected, _COUNT_BITS)))
    _store(e, form, address, word)


@instruction(f"mbarrier.inval{_SPACE}.b64", reads=None)
def mbarrier_inval(e: Emitter, form: Form, address: Operand) -> None:
    """The memory may be used for something else; until then it holds nothing that could be waited for."""
    _store(e, form, address, I64(-1))


@instruction(
    f"mbarrier.arrive{_GIVES}{_ANY}.b64",
    f"mbarrier.arrive.noComplete{_GIVES}{_SPACE}.b64",
    f"mbarrier.arrive_drop{_GIVES}{_ANY}.b64",
    f"mbarrier.arrive_drop.noComplete{_GIVES}{_SPACE}.b64",
    reads=None,
)
def mbarrier_arrive(e: Emitter, form: Form, state: Operand, address: Operand, count: Operand | None = None) -> None:
    """``count`` arrivals, one if it is not given; the last one begins the next phase. ``_drop``: and none of them is
    expected in later phases."""
    times = e.vector(I32(1) if count is None else e.read(count, "u32"))
    what = "drop" if "arrive_drop" in form.opcode else "arrive"
    _answer(e, state, _change(e, form, what, address, times))


@instruction(f"mbarrier.arrive.expect_tx{_GIVES}{_ANY}.b64", reads=None)
@instruction(f"mbarrier.arrive_drop.expect_tx{_GIVES}{_ANY}.b64", reads=None)
def mbarrier_arrive_expect(e: Emitter, form: Form, state: Operand, address: Operand, n_bytes: Operand) -> None:
    """The phase waits for ``n_bytes`` more, then one arrival."""
    _change(e, form, "expect", address, e.vector(e.read(n_bytes, "u32")))
    e.sites.is_again = True
    what = "drop" if "arrive_drop" in form.opcode else "arrive"
    _answer(e, state, _change(e, form, what, address, e.vector(I32(1))))
    e.sites.is_again = False


@instruction(f"mbarrier.(expect_tx|complete_tx)[.relaxed][.cta|.cluster]{_ANY}.b64", reads=None)
def mbarrier_tx(e: Emitter, form: Form, address: Operand, n_bytes: Operand) -> None:
    """The phase waits for ``n_bytes`` more, or as many have come."""
    _change(e, form, form.required[0].partition("_")[0], address, e.vector(e.read(n_bytes, "u32")))


@instruction("cp.async.mbarrier.arrive[.noinc][.shared|.shared::cta].b64", reads=None)
def cp_async_arrive(e: Emitter, form: Form, address: Operand) -> None:
    """An arrival once the lane's copies are there, as they are already. Without ``.noinc`` the phase expects one more
    arrival before, so that nothing changes."""
    what = "arrive" if "noinc" in form.optional else "nothing"
    _change(e, form, what, address, e.vector(I32(1)))


@instruction(
    f"mbarrier.test_wait{_TAKES}{_SPACE}.b64",
    f"mbarrier.try_wait{_TAKES}{_SPACE}.b64",
    f"mbarrier.test_wait.parity{_TAKES}{_SPACE}.b64",
    f"mbarrier.try_wait.parity{_TAKES}{_SPACE}.b64",
    reads=None,
)
def mbarrier_wait(
    e: Emitter, form: Form, target: Operand, address: Operand, phase: Operand, limit: Operand | None = None
) -> None:
    """Whether the phase is over: that of a word an arrival returned, or the one with the given parity."""
    b = e.builder
    word = _load(e, form, address)
    if "parity" in form.opcode:
        asked = e.cast("zext", e.vector(e.read(phase, "u32")), I64)
        asked = b.shl(asked, e.constant(asked, _PHASE_AT))
    else:
        asked = e.vector(e.read(phase, "b64"))
    is_over = b.icmp_signed("<", b.xor(word, asked), e.constant(word, 0))
    e.write(target, is_over, "pred")
    # Where it is over for no lane, the next turn of a loop is another warp's.
    none = b.icmp_unsigned("==", b.and_(b.bitcast(is_over, I32), e.lanes()), I32(0))
    b.store(b.select(none, I64(0), b.load(e.scratch["turns"])), e.scratch["turns"])


@instruction("mbarrier.pending_count.b64", reads=("b64",), writes="b32")
def mbarrier_pending_count(e: Emitter, form: Form, state: Value) -> Value:
    """How many arrivals were to come before the one that returned ``state``."""
    return e.cast("trunc", e.builder.and_(state, e.constant(state, _COUNT)), I32)


def _answer(e: Emitter, state: Operand, word: Value) -> None:
    if isinstance(state, Register) and state.name != "_":
        e.write(state, word, "b64")


def _space(form: Form) -> str:
    return "shared" if any(part.startswith("shared") for part in form.optional) else "generic"


def _store(e: Emitter, form: Form, address: Operand, word: Value) -> None:
    assert isinstance(address, Address)
    space = _space(form)
    store = access.store if space == "shared" else spaces.store
    store(e, space, address, [word], 64)


def _load(e: Emitter, form: Form, address: Operand) -> Value:
    assert isinstance(address, Address)
    e.builder.store(ir.Constant(vector_of(I64), None), e.scratch["packed"], align=64)
    host = e.vector(address_of(e, address, "shared"))
    space = _space(form)
    if space == "shared":
        host = e.builder.add(host, e.vector(e.scratch["shared_base"]))
    spaces.move_at(e, space, address, host, 8, "load", False)
    return e.builder.load(e.scratch["packed"], typ=vector_of(I64), align=64)


def complete(e: Emitter, address: Address, lanes: Value, n_bytes: Value, host: Value | None = None) -> None:
    """Bulk copies that the ``lanes`` issued have brought ``n_bytes`` each. Nothing of it is counted. ``host``: generic
    addresses of the barriers, where they may be in other blocks."""
    _unseen(e, "complete", address, lanes, n_bytes, host)


def arrive_unseen(e: Emitter, address: Address, lanes: Value) -> None:
    """What the ``lanes`` had issued is done: one arrival each, of which nothing is counted."""
    _unseen(e, "arrive", address, lanes, e.vector(I32(1)))


def _unseen(e: Emitter, what: str, address: Address, lanes: Value, amount: Value, host: Value | None = None) -> None:
    counting, e.sites.counting, e.sites.is_again = e.sites.counting, False, True
    live = live_lanes(e, "shared", address, 8, lanes) if host is None else in_cluster(e, host, 8, lanes)
    e.sites.counting, e.sites.is_again = counting, False
    _turns(e, what, live, amount)


def _change(e: Emitter, form: Form, what: str, address: Operand, amount: Value) -> Value:
    """Let every lane that is on change the word; the words that they found."""
    assert isinstance(address, Address)
    space = "cluster" if "shared::cluster" in form.optional else _space(form)
    live = live_lanes(e, "global or shared" if space == "generic" else space, address, 8)
    return _turns(e, what, live, amount)


def _turns(e: Emitter, what: str, live: Value, amount: Value) -> Value:
    """Let the lanes change the words whose addresses are in memory, each in its turn; what they found."""
    word, numbers = vector_of(I64), vector_of(I32)
    text = f"""
define internal {word} @tk_mbarrier_{what}(ptr %addresses, i32 %live, {numbers} %amounts) noinline {{
entry:
  %old = alloca {word}, align 64
  store {word} zeroinitializer, ptr %old, align 64
  %empty = icmp eq i32 %live, 0
  br i1 %empty, label %end, label %lane
lane:
  %left = phi i32 [ %live, %entry ], [ %left.next, %lane ]
  %number = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %p.p = getelementptr ptr, ptr %addresses, i32 %number
  %p = load ptr, ptr %p.p
  %amount32 = extractelement {numbers} %amounts, i32 %number
  %amount = zext i32 %amount32 to i64
  %word = load i64, ptr %p, align 8
  %slot = getelementptr i64, ptr %old, i32 %number
  store i64 %word, ptr %slot
  %pending = and i64 %word, {_COUNT}
  %expected.at = lshr i64 %word, {_COUNT_BITS}
  %expected = and i64 %expected.at, {_COUNT}
  %owed.at = lshr i64 %word, {_OWED_AT}
  %owed = and i64 %owed.at, {_OWED}
  {_STEPS[what]}
  %p1 = and i64 %pending.1, {_COUNT}
  %e1 = and i64 %expected.1, {_COUNT}
  %o1 = and i64 %owed.1, {_OWED}
  %both = or i64 %p1, %o1
  %none = icmp eq i64 %both, 0
  %over = and i1 %none, {"false" if what in ("expect", "nothing") else "true"}
  %p2 = select i1 %over, i64 %e1, i64 %p1
  %phase = and i64 %word, {-(1 << _PHASE_AT)}
  %turned = xor i64 %phase, {-(1 << _PHASE_AT)}
  %phase.1 = select i1 %over, i64 %turned, i64 %phase
  %e2 = shl i64 %e1, {_COUNT_BITS}
  %o2 = shl i64 %o1, {_OWED_AT}
  %w1 = or i64 %p2, %e2
  %w2 = or i64 %w1, %o2
  %new = or i64 %w2, %phase.1
  store i64 %new, ptr %p, align 8
  %minus = sub i32 %left, 1
  %left.next = and i32 %left, %minus
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane, label %end
end:
  %result = load {word}, ptr %old, align 64
  ret {word} %result
}}
"""
    types = [ir.PointerType(), I32, numbers]
    name = f"tk_mbarrier_{what}"
    function = helper(e, name, word, types, text, ["declare i32 @llvm.cttz.i32(i32, i1)"])
    slot = e.builder.gep(e.context, [I64(offset("arrivals"))], source_etype=I8)
    e.builder.store(e.builder.add(e.builder.load(slot, typ=I64), I64(1)), slot)  # somebody got on
    return e.builder.call(function, [e.scratch["addresses"], live, amount])


def _steps(pending: str, expected: str, owed: str) -> str:
    lines = {"pending": pending, "expected": expected, "owed": owed}
    return "\n  ".join(f"%{name}.1 = {how} i64 %{name}, {amount}" for name, line in lines.items()
                       for how, amount in [line.split()])  # fmt: skip


_STEPS = {
    "arrive": _steps("sub %amount", "add 0", "add 0"),
    "drop": _steps("sub %amount", "sub %amount", "add 0"),
    "expect": _steps("add 0", "add 0", "add %amount"),
    "complete": _steps("add 0", "add 0", "sub %amount"),
    "nothing": _steps("add 0", "add 0", "add 0"),
}
