"""Loads, stores and asynchronous copies. Source: PTX ISA, "Data Movement and Conversion Instructions"."""

from __future__ import annotations

from teachkit.emulator.engine import access, apart, ir, spaces
from teachkit.emulator.engine.addresses import place_of
from teachkit.emulator.engine.context import Fault
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import I8, I16, I32, I64, WIDTHS, Value, vector_of
from teachkit.emulator.isa.move import element_type
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Group, Immediate, Operand

TYPES = "b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64|b128"
# Hints say how long data may stay in which cache; they do not change what is loaded.
CACHE = "[.ca|.cg|.cs|.cv|.lu|.nc|.wb|.wt|.ca.nc]"
EVICT = "[.L1::evict_last|.L1::evict_first|.L1::evict_normal|.L1::evict_unchanged|.L1::no_allocate]"
PREFETCH = "[.L2::64B|.L2::128B|.L2::256B]"
ORDER = "[.mmio][.weak|.relaxed|.acquire|.release|.volatile][.cta|.cluster|.gpu|.sys]"


@instruction(f"ld{ORDER}.global{CACHE}[.nc]{EVICT}{PREFETCH}[.L2::cache_hint][.v2|.v4].({TYPES})", reads=None)
def ld_global(e: Emitter, form: Form, target: Operand, source: Operand, *policy: Operand) -> None:
    _load(e, form, "global", target, source)


@instruction(f"ld{ORDER}.shared[.v2|.v4].({TYPES})", f"ld{ORDER}.shared::cta[.v2|.v4].({TYPES})", reads=None)
def ld_shared(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    _load(e, form, "shared", target, source)


@instruction(f"ld{ORDER}.shared::cluster[.v2|.v4].({TYPES})", reads=None)
def ld_cluster(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """From the shared memory of any block of the cluster."""
    _load(e, form, "cluster", target, source)


@instruction(f"st{ORDER}.shared::cluster[.v2|.v4].({TYPES})", reads=None)
def st_cluster(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """The reverse."""
    _store(e, form, "cluster", target, source)


@instruction(f"ldu.global[.v2|.v4].({TYPES})", reads=None)
def ldu_global(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """A load whose address should be the same in all lanes; it need not be."""
    _load(e, form, "global", target, source)


@instruction(f"ldu[.v2|.v4].({TYPES})", reads=None)
def ldu_generic(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    assert isinstance(source, Address)
    _load(e, form, spaces.generic_space(e, source), target, source)


@instruction(f"ld.const[.v2|.v4].({TYPES})", reads=None)
def ld_const(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    _load(e, form, "const", target, source)


@instruction(f"ld{ORDER}.local{CACHE}[.v2|.v4].({TYPES})", reads=None)
def ld_local(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    _load(e, form, "local", target, source)


@instruction(f"st{ORDER}.local{CACHE}[.v2|.v4].({TYPES})", reads=None)
def st_local(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    _store(e, form, "local", target, source)


@instruction(f"st.param[.v2|.v4].({TYPES})", f"st.param::func[.v2|.v4].({TYPES})", reads=None)
def st_param(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """An argument of a call, or what a function returns."""
    _store(e, form, "argument", target, source)


@instruction(f"ld{ORDER}{CACHE}{EVICT}{PREFETCH}[.L2::cache_hint][.v2|.v4].({TYPES})", reads=None)
def ld_generic(e: Emitter, form: Form, target: Operand, source: Operand, *policy: Operand) -> None:
    assert isinstance(source, Address)
    _load(e, form, spaces.generic_space(e, source), target, source)


@instruction(f"st{ORDER}[.cg|.cs|.wb|.wt]{EVICT}[.L2::cache_hint][.v2|.v4].({TYPES})", reads=None)
def st_generic(e: Emitter, form: Form, target: Operand, source: Operand, *policy: Operand) -> None:
    assert isinstance(target, Address)
    _store(e, form, spaces.generic_space(e, target), target, source)


@instruction(f"st{ORDER}.global[.cg|.cs|.wb|.wt]{EVICT}[.L2::cache_hint][.v2|.v4].({TYPES})", reads=None)
def st_global(e: Emitter, form: Form, target: Operand, source: Operand, *policy: Operand) -> None:
    _store(e, form, "global", target, source)


@instruction(f"st{ORDER}.shared[.v2|.v4].({TYPES})", f"st{ORDER}.shared::cta[.v2|.v4].({TYPES})", reads=None)
def st_shared(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    _store(e, form, "shared", target, source)


def _load(e: Emitter, form: Form, space: str, target: Operand, source: Operand) -> None:
    assert isinstance(source, Address)
    targets = target.items if isinstance(target, Group) else (target,)
    kind = element_type(e, form)
    if len(targets) * WIDTHS[kind] // 8 > access.MAX_LANE_BYTES:
        raise e.unsupported("more than 16 bytes a lane")
    load = access.load if space in ("global", "shared") else spaces.load
    load(e, space, source, targets, kind)


def _store(e: Emitter, form: Form, space: str, target: Operand, source: Operand) -> None:
    assert isinstance(target, Address)
    sources = source.items if isinstance(source, Group) else (source,)
    bits = WIDTHS[element_type(e, form)]
    if len(sources) * bits // 8 > access.MAX_LANE_BYTES:
        raise e.unsupported("more than 16 bytes a lane")
    store = access.store if space in ("global", "shared") else spaces.store
    store(e, space, target, [e.read(item, f"b{bits}") for item in sources], bits)


@instruction(
    f"cp.async.ca.shared.global{PREFETCH}[.L2::cache_hint]",
    f"cp.async.cg.shared.global{PREFETCH}[.L2::cache_hint]",
    f"cp.async.ca.shared::cta.global{PREFETCH}[.L2::cache_hint]",
    f"cp.async.cg.shared::cta.global{PREFETCH}[.L2::cache_hint]",
    reads=None,
)
def cp_async(e: Emitter, form: Form, target: Operand, source: Operand, size: Operand, *rest: Operand) -> None:
    """Copy 4, 8 or 16 bytes a lane from global to shared memory, at once. A last operand says which lanes copy
    nothing and write zeros: by a source size of 0, or by a predicate to ignore the source."""
    if not (isinstance(target, Address) and isinstance(source, Address) and isinstance(size, Immediate)):
        raise e.unsupported("a copy size in a register")
    if size.value not in ((16,) if ".cg." in form.opcode else (4, 8, 16)):
        raise e.unsupported(f"a copy of {size.value} bytes")
    if "L2::cache_hint" in form.optional:
        rest = rest[:-1]
    b, guard, site = e.builder, e.guard, e.sites.n_slots
    part: Value | None = None
    if rest:
        kept = e.read(rest[0], "pred" if e.is_predicate(rest[0]) else "u32")
        if e.is_predicate(rest[0]):
            wanted = b.not_(kept)
        else:
            wanted = b.icmp_unsigned(">=", kept, e.constant(kept, size.value))
            part = b.icmp_unsigned("<", b.sub(kept, e.constant(kept, 1)), e.constant(kept, size.value - 1))
        e.guard = wanted if guard is None else b.and_(*e.alike(wanted, guard))
    packed = access.load_packed(e, "global", source, size.value)
    e.guard = guard
    if part is not None:
        some = b.and_(e.lane_bits(part), e.lanes())
        with b.if_then(b.icmp_unsigned("!=", some, I32(0))):
            e.fault(Fault.PARTIAL_COPY, site, some)
    access.store_packed(e, "shared", target, packed, size.value)


@instruction("cp.async.commit_group", "cp.async.wait_all", reads=(), writes="")
def cp_async_commit(e: Emitter, form: Form) -> None:
    """Copies are finished when they are issued."""


@instruction("cp.async.wait_group", reads=None)
def cp_async_wait(e: Emitter, form: Form, n: Operand) -> None:
    """Copies are finished when they are issued."""


@instruction(
    "membar.(cta|gl|sys)",
    "membar.proxy.alias",
    "fence[.sc|.acq_rel].(cta|cluster|gpu|sys)",
    "fence.proxy.(async|alias)",
    "fence.proxy.async.(global|shared::cta|shared::cluster)",
    "fence.proxy.tensormap::generic.release.(cta|cluster|gpu|sys)",
    "fence.mbarrier_init.release.cluster",
    "fence.acquire.sync_restrict::shared::cluster.cluster",
    "fence.release.sync_restrict::shared::cta.cluster",
    reads=(),
    writes="",
)
def fence(e: Emitter, form: Form) -> None:
    """Warps of a block take turns on one thread, and the scheduler's calls order everything between turns."""


@instruction("fence.proxy.tensormap::generic.acquire.(cta|cluster|gpu|sys)", reads=None)
def fence_map(e: Emitter, form: Form, address: Operand, size: Operand) -> None:
    """A tensor map is seen as it is."""


@instruction(
    "prefetch[.const|.param].tensormap",
    "prefetch[.global|.local].(L1|L2)",
    "prefetch.global.(L2::evict_last|L2::evict_normal)",
    "prefetchu.L1",
    "discard[.global].L2",
    "applypriority[.global].L2::evict_normal",
    reads=None,
)
def prefetch(e: Emitter, form: Form, address: Operand, *size: Operand) -> None:
    """A hint."""


_FIRST = "(L2::evict_last|L2::evict_normal|L2::evict_first|L2::evict_unchanged)[.L2::evict_first|.L2::evict_unchanged]"


@instruction(
    f"createpolicy.fractional.{_FIRST}.b64",
    f"createpolicy.range[.global].{_FIRST}.b64",
    "createpolicy.cvt.L2.b64",
    reads=None,
)
def createpolicy(e: Emitter, form: Form, target: Operand, *what: Operand) -> None:
    """A cache policy is a hint: its value is only ever passed on."""
    e.write(target, e.const("u64", 0), "u64")


@instruction(
    "ldmatrix.sync.aligned.m8n8.(x1|x2|x4).shared.b16",
    "ldmatrix.sync.aligned.m8n8.(x1|x2|x4).shared::cta.b16",
    "ldmatrix.sync.aligned.m8n8.(x1|x2|x4).trans.shared.b16",
    "ldmatrix.sync.aligned.m8n8.(x1|x2|x4).trans.shared::cta.b16",
    reads=None,
)
def ldmatrix(e: Emitter, form: Form, target: Operand, source: Operand) -> None:
    """One to four 8x8 matrices of 16-bit elements. Lane 8m + r gives the address of row r of matrix m; lane l
    receives elements (l / 4, 2 (l % 4)) and the next of each matrix, of its transpose with ``.trans``."""
    assert isinstance(source, Address)
    n = int(next(m for m in form.opcode.split(".") if m in ("x1", "x2", "x4"))[1])
    _read_rows(e, source, n)
    targets = target.items if isinstance(target, Group) else (target,)
    for matrix, item in enumerate(targets):
        at = e.builder.gep(e.scratch["packed"], [I64(128 * matrix)], source_etype=I8)
        if ".trans" in form.opcode:
            elements = e.builder.load(at, typ=vector_of(I16, 64), align=64)
            moved = e.builder.call(transposed(e), [elements])
            e.write(item, e.builder.bitcast(moved, vector_of(I32)), "b32")
        else:
            e.write(item, e.builder.load(at, typ=vector_of(I32), align=64), "b32")


def transposed(e: Emitter) -> ir.Function:
    """A function that transposes an 8x8 matrix of 16-bit elements. Shared, as LLVM takes long over such shuffles."""
    shape = vector_of(I16, 64)
    order = ", ".join(f"i32 {place // 2 + 32 * (place % 2)}" for place in range(64))
    zipped = f"shufflevector {shape} %m.{{}}, {shape} poison, <64 x i32> <{order}>"
    # Rows and columns are three bits each of an element's number: three perfect shuffles swap them.
    lines = "\n".join(f"  %m.{i + 1} = {zipped.format(i)}" for i in range(3))
    text = f"define internal {shape} @tk_transposed({shape} %m.0) noinline {{\n{lines}\n  ret {shape} %m.3\n}}\n"
    return helper(e, "tk_transposed", shape, [shape], text)


def _read_rows(e: Emitter, source: Address, n: int) -> None:
    """The 8 n rows of 16 bytes side by side in the packed buffer, counted as one shared load."""
    place = place_of(e, "shared", source)
    site = e.sites.access(e.instruction, "shared", False, 16)
    lanes = e.builder.and_(e.lanes(), I32((1 << 8 * n) - 1))
    apart.call(e, "load", "shared", place, lanes, 16, site, e.scratch["packed"])
