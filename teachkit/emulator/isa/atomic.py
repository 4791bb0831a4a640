"""Atomic read-modify-write. Source: PTX ISA, "atom", "red".

The lanes of a warp take their turns from the lowest to the highest, each with one atomic operation of the
host, so blocks on other threads may work on the same memory. Where the order of blocks shows (in sums of
floats, and in what ``atom`` returns) the launcher runs them one after another.
"""

from __future__ import annotations

from teachkit.emulator.checks import hooks
from teachkit.emulator.engine import addresses, clusters, ir, spaces
from teachkit.emulator.engine.context import LANES, TRACE_ATOMIC_BIT, TRACE_STORE_BIT
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.interleave import interleave
from teachkit.emulator.engine.shapes import I32, I64, WIDTHS, Poison, Value, lane_constants, vector_of
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Group, Operand, Register

I128 = ir.IntType(128)
_ORDER = "[.relaxed|.acquire|.release|.acq_rel|.sc][.cta|.cluster|.gpu|.sys]"
_SPACE = "[.global|.shared|.shared::cta|.shared::cluster]"
_HOW = f"{_ORDER}{_SPACE}[.noftz][.L2::cache_hint]"
_OPERATIONS = "add|min|max|and|or|xor|exch|cas|inc|dec"
_TYPES = "b16|b32|b64|u32|u64|s32|s64|f32|f64|f16|f16x2|bf16|bf16x2"

_RMW = {
    ("add", "u"): "add", ("add", "s"): "add", ("and", "b"): "and", ("or", "b"): "or", ("xor", "b"): "xor",
    ("exch", "b"): "xchg", ("min", "s"): "min", ("min", "u"): "umin", ("max", "s"): "max", ("max", "u"): "umax",
    ("inc", "u"): "uinc_wrap", ("dec", "u"): "udec_wrap", ("add", "f"): "fadd",
}  # fmt: skip


@instruction(
    f"atom{_HOW}.({_OPERATIONS}).({_TYPES})", f"atom{_HOW}[.v2|.v4|.v8].add.(f32|f16|f16x2|bf16|bf16x2)", reads=None
)
def atom(e: Emitter, form: Form, target: Operand, address: Operand, *sources: Operand) -> None:
    """Returns what was in memory."""
    old = _atomic(e, form, address, sources)
    targets = target.items if isinstance(target, Group) else (target,)
    if any(isinstance(t, Register) and t.name != "_" for t in targets) and "global" in _space(form):
        e.is_ordered = True
    for index, item in enumerate(targets):
        value = old
        if len(targets) > 1:
            order = lane_constants(I32, range(index, LANES * len(targets), len(targets)))
            value = e.builder.shuffle_vector(old, Poison(old.type), order)
        e.write(item, value, f"b{WIDTHS[form.type]}")


@instruction(f"atom{_HOW}.(exch|cas).b128", reads=None)
def atom_b128(e: Emitter, form: Form, target: Operand, address: Operand, *sources: Operand) -> None:
    """Two registers of 64 bits hold the value. Not every processor swaps 16 bytes at once, so that blocks run one
    after another."""
    assert isinstance(address, Address)
    if "L2::cache_hint" in form.optional:
        sources = sources[:-1]
    if not all(isinstance(operand, Group) and len(operand.items) == 2 for operand in sources):
        raise e.unsupported("128 bits that are no register")
    e.is_ordered = True
    halves = [[e.vector(e.read(item, "b64")) for item in source.items] for source in sources]  # type: ignore[union-attr]
    operands = [e.builder.bitcast(interleave(e, pair), vector_of(I128)) for pair in halves]
    live = live_lanes(e, _space(form), address, 16)
    first, second = (operands * 2)[:2]
    function = _lane_loop(e, form.required[0], "b128", 1)
    old = e.builder.call(function, [e.scratch["addresses"], live, first, second])
    old = e.builder.bitcast(old, vector_of(I64, 2 * LANES))
    for index, item in enumerate(target.items if isinstance(target, Group) else ()):
        order = lane_constants(I32, range(index, 2 * LANES, 2))
        e.write(item, e.builder.shuffle_vector(old, Poison(old.type), order), "b64")


@instruction(
    f"red{_HOW}.({_OPERATIONS}).({_TYPES})", f"red{_HOW}[.v2|.v4|.v8].add.(f32|f16|f16x2|bf16|bf16x2)", reads=None
)
def red(e: Emitter, form: Form, address: Operand, *sources: Operand) -> None:
    """The same without a result."""
    _atomic(e, form, address, sources)


def _space(form: Form) -> str:
    found = form.optional & {"global", "shared", "shared::cta", "shared::cluster"}
    if not found:
        return "global or shared"
    return "cluster" if "shared::cluster" in found else next(iter(found)).partition("::")[0]


def _atomic(e: Emitter, form: Form, address: Operand, sources: tuple[Operand, ...]) -> Value:
    """Run the operation on every lane that is on; the old values, [32 n] elements as bits."""
    assert isinstance(address, Address)
    operation = form.required[0] if len(form.required) > 1 else "add"
    kind, space = form.type, _space(form)
    if "L2::cache_hint" in form.optional:
        sources = sources[:-1]
    bits = WIDTHS[kind]
    elements = sources[0].items if isinstance(sources[0], Group) else (sources[0],)
    operands = [interleave(e, [e.vector(e.read(item, f"b{bits}")) for item in elements])]
    operands += [e.vector(e.read(source, f"b{bits}")) for source in sources[1:]]
    lane_bytes = len(elements) * bits // 8
    if kind[0] in "fb" and operation == "add" and "global" in space:
        e.is_ordered = True
    live = live_lanes(e, space, address, lane_bytes)
    function = _lane_loop(e, operation, kind, len(elements))
    first, second = (operands * 2)[:2]
    return e.builder.call(function, [e.scratch["addresses"], live, first, second])


def live_lanes(e: Emitter, space: str, address: Address, lane_bytes: int, among: Value | None = None) -> Value:
    """The lanes that may go on, after bounds and counting; their host addresses are left in memory.

    ``among``: those that are on, where these are not all that run the instruction.
    """
    lanes = e.lanes() if among is None else among
    if space == "cluster":
        return in_cluster(e, clusters.hosts(e, addresses.address_of(e, address, "shared")), lane_bytes, lanes)
    place = addresses.host_place(e, "shared" if space == "shared" else "global", address)
    host = e.vector(place.address)
    e.builder.store(host, e.scratch["addresses"], align=64)
    if space != "global or shared" or addresses.root_of(e, address) in e.intervals:
        return _checked(e, space, lanes, place.low, place.high, lane_bytes)
    shared, limits = spaces.in_shared(e, host, lanes, lane_bytes)
    first = _checked(e, "shared", shared, *limits, lane_bytes)
    rest = e.builder.and_(lanes, e.builder.not_(shared))
    return e.builder.or_(first, _checked(e, "global", rest, place.low, place.high, lane_bytes, is_part=True))


def in_cluster(e: Emitter, host: Value, lane_bytes: int, lanes: Value) -> Value:
    """The same of generic addresses, [32], in the shared memory of any block of the cluster."""
    e.builder.store(host, e.scratch["addresses"], align=64)
    clusters.check(e, lane_bytes)
    return _checked(e, "shared", lanes, *clusters.window(e), lane_bytes)


def _checked(
    e: Emitter, space: str, lanes: Value, low: Value, high: Value, lane_bytes: int, is_part: bool = False
) -> Value:
    function = hooks.guarded(e, "tk_access_atomic") if e.is_checked else e.module.globals.get("tk_access_atomic")
    if function is None:
        parameters = [ir.PointerType(), ir.PointerType(), I32, I64, I64, I64, I64, I64]
        function = ir.Function(e.module, ir.FunctionType(I32, parameters), "tk_access_atomic")
    is_shared = space == "shared"
    site = e.sites.access(e.instruction, "shared" if is_shared else "global", True, lane_bytes, True, is_part)
    record = I64(0 if is_shared else TRACE_ATOMIC_BIT | TRACE_STORE_BIT)
    place = I64(site if e.sites.counting else ~site)
    arguments = [e.context, e.scratch["addresses"], lanes, low, high, place, I64(lane_bytes), record]
    return e.builder.call(function, arguments)


def _lane_loop(e: Emitter, operation: str, kind: str, n: int) -> ir.Function:
    """A function of the lanes' addresses, the live lanes and two operands that gives the old values."""
    bits = 128 if kind == "b128" else WIDTHS[kind]
    name = f"tk_{operation}_{kind}_{n}"
    shape = vector_of(ir.IntType(bits), LANES * n)
    steps = []
    for i in range(n):
        steps += [
            f"%at{i} = getelementptr i8, ptr %p, i64 {i * bits // 8}",
            f"%which{i} = add i32 %place, {i}",
            f"%b{i} = extractelement {shape} %b, i32 %which{i}",
            *_update(e, operation, kind, i),
            f"%slot{i} = getelementptr i{bits}, ptr %old, i32 %which{i}",
            f"store i{bits} %old{i}, ptr %slot{i}",
        ]
    body = "\n  ".join(steps)
    end = "lane" if "try" not in body else f"done{n - 1}"
    text = f"""
define internal {shape} @{name}(ptr %addresses, i32 %live, {shape} %b, {shape} %c) noinline {{
entry:
  %old = alloca {shape}, align 64
  store {shape} zeroinitializer, ptr %old, align 64
  %empty = icmp eq i32 %live, 0
  br i1 %empty, label %end, label %lane
lane:
  %left = phi i32 [ %live, %entry ], [ %left.next, %{end} ]
  %number = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %p.p = getelementptr ptr, ptr %addresses, i32 %number
  %p = load ptr, ptr %p.p
  %place = mul i32 %number, {n}
  {body}
  %minus = sub i32 %left, 1
  %left.next = and i32 %left, %minus
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane, label %end
end:
  %result = load {shape}, ptr %old, align 64
  ret {shape} %result
}}
"""
    pointer = ir.PointerType()
    return helper(e, name, shape, [pointer, I32, shape, shape], text, ["declare i32 @llvm.cttz.i32(i32, i1)"])


def _update(e: Emitter, operation: str, kind: str, i: int) -> list[str]:
    """Lines that put the old value of element ``i`` into ``%old{i}``."""
    if kind == "b128":
        new = [f"%new{i} = freeze i128 %b{i}"]
        if operation == "cas":
            new = [
                f"%c{i} = extractelement <{LANES} x i128> %c, i32 %which{i}",
                f"%same{i} = icmp eq i128 %old{i}, %b{i}",
                f"%new{i} = select i1 %same{i}, i128 %c{i}, i128 %old{i}",
            ]
        return [f"%old{i} = load i128, ptr %at{i}, align 16", *new, f"store i128 %new{i}, ptr %at{i}, align 16"]
    bits = WIDTHS[kind]
    if operation == "cas" and kind[0] == "b" and not kind.startswith("bf"):
        return [
            f"%c{i} = extractelement <{LANES} x i{bits}> %c, i32 %which{i}",
            f"%pair{i} = cmpxchg ptr %at{i}, i{bits} %b{i}, i{bits} %c{i} seq_cst seq_cst",
            f"%old{i} = extractvalue {{ i{bits}, i1 }} %pair{i}, 0",
        ]
    if operation == "add" and kind in ("f16", "bf16", "f16x2", "bf16x2"):
        return _add_half(kind, i)
    rmw = _RMW.get((operation, "" if kind.startswith("bf") else kind[0]))
    if rmw is None or (bits == 16 and operation != "exch"):
        raise e.unsupported("")
    if rmw != "fadd":
        return [f"%old{i} = atomicrmw {rmw} ptr %at{i}, i{bits} %b{i} seq_cst"]
    float_type = "float" if kind == "f32" else "double"
    return [
        f"%number{i} = bitcast i{bits} %b{i} to {float_type}",
        f"%before{i} = atomicrmw fadd ptr %at{i}, {float_type} %number{i} seq_cst",
        f"%old{i} = bitcast {float_type} %before{i} to i{bits}",
    ]


def _add_half(kind: str, i: int) -> list[str]:
    """One or two 16-bit floats, added in ``f32`` and rounded: a loop that tries until nobody was in between."""
    n = 2 if kind.endswith("x2") else 1
    bits = 16 * n
    wide, words, narrow = f"<{n} x float>", f"<{n} x i32>", f"<{n} x i16>"

    def extended(source: str, to: str) -> list[str]:
        if kind.startswith("f16"):
            return [
                f"%{to}h{i} = bitcast i{bits} {source} to <{n} x half>",
                f"%{to}{i} = fpext <{n} x half> %{to}h{i} to {wide}",
            ]
        return [
            f"%{to}s{i} = bitcast i{bits} {source} to {narrow}",
            f"%{to}w{i} = zext {narrow} %{to}s{i} to {words}",
            f"%{to}l{i} = shl {words} %{to}w{i}, splat (i32 16)",
            f"%{to}{i} = bitcast {words} %{to}l{i} to {wide}",
        ]

    if kind.startswith("f16"):
        rounded = [
            f"%n{i} = fptrunc {wide} %sum{i} to <{n} x half>",
            f"%new{i} = bitcast <{n} x half> %n{i} to i{bits}",
        ]
    else:
        rounded = [
            f"%w{i} = bitcast {wide} %sum{i} to {words}",
            f"%u{i} = lshr {words} %w{i}, splat (i32 16)",
            f"%odd{i} = and {words} %u{i}, splat (i32 1)",
            f"%up{i} = add {words} %odd{i}, splat (i32 32767)",
            f"%v{i} = add {words} %w{i}, %up{i}",
            f"%r{i} = lshr {words} %v{i}, splat (i32 16)",
            f"%nan{i} = fcmp uno {wide} %sum{i}, %sum{i}",
            f"%q{i} = select <{n} x i1> %nan{i}, {words} splat (i32 32767), {words} %r{i}",
            f"%t{i} = trunc {words} %q{i} to {narrow}",
            f"%new{i} = bitcast {narrow} %t{i} to i{bits}",
        ]
    before = "lane" if i == 0 else f"done{i - 1}"
    return [
        f"%seen{i} = load atomic i{bits}, ptr %at{i} monotonic, align {bits // 8}",
        *extended(f"%b{i}", "y"),
        f"br label %try{i}",
        f"try{i}:",
        f"%old{i} = phi i{bits} [ %seen{i}, %{before} ], [ %now{i}, %try{i} ]",
        *extended(f"%old{i}", "x"),
        f"%sum{i} = fadd {wide} %x{i}, %y{i}",
        *rounded,
        f"%pair{i} = cmpxchg ptr %at{i}, i{bits} %old{i}, i{bits} %new{i} seq_cst seq_cst",
        f"%now{i} = extractvalue {{ i{bits}, i1 }} %pair{i}, 0",
        f"%ok{i} = extractvalue {{ i{bits}, i1 }} %pair{i}, 1",
        f"br i1 %ok{i}, label %done{i}, label %try{i}",
        f"done{i}:",
    ]
