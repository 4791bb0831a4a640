"""``tcgen05`` on memory full of small numbers, whose sums are exact: products, and every way to tensor memory."""

import numpy as np
import pytest

from teachkit.emulator import check, configure, load_ptx
from teachkit.emulator.isa.table import lookup
from teachkit.errors import KernelCheckError, KernelFault, UnsupportedInstruction
from tests.emulator.engine.elements import octets

SHARED_BYTES = 36 * 1024
SWIZZLES = {"plain": 0, "128 bytes": 2, "64 bytes": 4, "32 bytes": 6}
D_TYPES = {"f16": 0, "f32": 1, "s32": 2}
TYPES = {"f16": ("f16", 0), "bf16": ("f16", 1), "tf32": ("tf32", 2), "e4m3": ("f8f6f4", 0), "e5m2": ("f8f6f4", 1),
         "u8": ("i8", 0), "s8": ("i8", 1)}  # fmt: skip
K = {"f16": 16, "bf16": 16, "tf32": 8}


def descriptor(start, leading=0, stride=0, swizzle="plain"):
    """The 64 bits of a matrix; places and distances in bytes."""
    return start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | 1 << 46 | SWIZZLES[swizzle] << 61


def what(m, n, d, a, b=None, *, negated=(0, 0), ways=(0, 0), saturates=0):
    """The 32 bits of a product."""
    types = TYPES[a][1] << 7 | TYPES[b or a][1] << 10
    signs = negated[0] << 13 | negated[1] << 14 | ways[0] << 15 | ways[1] << 16
    return saturates << 3 | D_TYPES[d] << 4 | types | signs | n >> 3 << 17 | m >> 4 << 24


def names(prefix, n):
    return "{" + ", ".join(f"%{prefix}{i}" for i in range(n)) + "}"


FILL = f"""mov.u32 %r20, s; mad.lo.u32 %r20, %r1, 16, %r20; mul.wide.u32 %rd2, %r1, 16; add.s64 %rd2, %rd2, %rd10;
    mov.u32 %r22, %ntid.x; shl.b32 %r22, %r22, 4; cvt.u64.u32 %rd3, %r22; mul.lo.u32 %r23, %r1, 16;
    FILL: ld.global.v4.b32 {{%r24, %r25, %r26, %r27}}, [%rd2]; st.shared.v4.b32 [%r20], {{%r24, %r25, %r26, %r27}};
    add.s64 %rd2, %rd2, %rd3; add.u32 %r20, %r20, %r22; add.u32 %r23, %r23, %r22;
    setp.lt.u32 %p2, %r23, {SHARED_BYTES}; @%p2 bra FILL; fence.proxy.async.shared::cta; bar.sync 0;"""

# %p5 in warp 0; %r10 is the address of all lanes' columns, %r11 that of the warp's.
ALLOCATE = """setp.lt.u32 %p5, %r1, 32; mov.u32 %r9, place;
    @%p5 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r9], COLUMNS;
    @%p5 tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;
    bar.sync 0; ld.shared.b32 %r10, [place]; and.b32 %r11, %r1, 96; shl.b32 %r11, %r11, 16; add.u32 %r11, %r11, %r10;"""
GIVE_BACK = "bar.sync 0; @%p5 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r10, COLUMNS;"


def program(both, kind, n, *, adds="%p1", in_tensor=False, known=None, at=0, times=1, before=""):
    """128 threads store D (n columns, x16 at a time) and 8 columns of A to tensor memory; one multiplies."""
    parts = range(0, n, 8)
    stores = "".join(
        "".join(f"ld.global.b32 %d{i}, [%rd6+{4 * (c + i)}];" for i in range(8))
        + f"tcgen05.st.sync.aligned.32x32b.x8.b32 [%r11+{c}], {names('d', 8)};"
        for c in parts
    )
    a_words = "".join(f"ld.global.b32 %d{i}, [%rd7+{4 * i}];" for i in range(8))
    loads = "".join(
        f"tcgen05.ld.sync.aligned.32x32b.x8.b32 {names('d', 8)}, [%r11+{c}]; tcgen05.wait::ld.sync.aligned;"
        + "".join(f"st.global.b32 [%rd6+{4 * (c + i)}], %d{i};" for i in range(8))
        for c in parts
    )
    a = "[%r12]" if in_tensor else "%rd4"
    number = "ld.global.b32 %r13, [%rd12+24];" if known is None else f"mov.b32 %r13, {known};"
    mma = f"@%p3 tcgen05.mma.cta_group::1.kind::{kind} [%r14], {a}, %rd5, %r13, {adds};"
    body = f"""{before} {FILL} {ALLOCATE}
    mul.wide.u32 %rd6, %r1, {4 * n}; add.s64 %rd6, %rd6, %rd0; mul.wide.u32 %rd7, %r1, 32; add.s64 %rd7, %rd7, %rd11;
    {stores} {a_words} tcgen05.st.sync.aligned.32x32b.x8.b32 [%r11+{n}], {names("d", 8)};
    tcgen05.wait::st.sync.aligned; setp.eq.u32 %p4, %r1, 0; @%p4 mbarrier.init.shared::cta.b64 [bar], 1;
    tcgen05.fence::before_thread_sync; bar.sync 0; tcgen05.fence::after_thread_sync;
    ld.global.b64 %rd4, [%rd12]; ld.global.b64 %rd5, [%rd12+8]; ld.global.b32 %r28, [%rd12+16];
    setp.ne.u32 %p1, %r28, 0; mov.u32 %r29, bar; add.u32 %r12, %r10, {n + (at << 16)}; add.u32 %r14, %r10, {at << 16};
    @!%p5 bra WAIT; elect.sync %r30|%p3, -1; {number} {mma * times}
    @%p3 tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%r29];
    WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p6, [bar], 0; @!%p6 bra WAIT;
    {loads} {GIVE_BACK}"""
    columns = max(32, 1 << (n + 7).bit_length())
    variables = (
        f".shared .align 1024 .b8 s[{SHARED_BYTES}]; .shared .b32 place; .shared .align 8 .b64 bar; .reg .b32 %d<8>;"
    )
    text = both.kernel(body, variables=variables, pointers=("octets", "a", "descriptors"))
    return text.replace("COLUMNS", str(columns)).replace("sm_80", "sm_100a")


def arguments(both, number, a_type, b_type, d_type, n, where, *, adds=1):
    """D [128, n] words, what shared memory is to hold, A [128, 8] words, and the descriptors."""
    random = np.random.default_rng(number)
    shared = both.array(SHARED_BYTES, np.uint8)
    half = SHARED_BYTES // 2
    shared[:half], shared[half:] = octets(a_type, half, random), octets(b_type, half, random)
    d, a, words = both.array(128 * n), both.array(128 * 8), both.array(4, np.uint64)
    if d_type == "f16":
        d[:] = octets("f16", 2 * d.size, random).view(np.uint16)
    else:
        d[:] = octets(d_type, 4 * d.size, random).view(np.uint32)
    a[:] = octets(a_type, 4 * a.size, random).view(np.uint32)
    words[:] = [*where, adds, number]
    return [d, shared, a, words]


PLAIN = (descriptor(0, 128, 256), descriptor(SHARED_BYTES // 2, 128, 256))
SHAPES = [
    (64, 8, "f32", "f16", "f16"), (128, 32, "f16", "f16", "f16"), (128, 16, "f32", "bf16", "bf16"),
    (64, 24, "f32", "tf32", "tf32"), (64, 16, "f32", "e4m3", "e5m2"),
    (128, 48, "f16", "e5m2", "e4m3"), (128, 32, "s32", "s8", "u8"), (64, 24, "s32", "u8", "s8"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "in_tensor"),
    [*((shape, False) for shape in SHAPES), (SHAPES[0], True), (SHAPES[4], True), (SHAPES[6], True)],
    ids=str,
)
def test_every_type(both, shape, in_tensor):
    """What the product is stands in a register; or, with A in tensor memory, in the code."""
    m, n, d, a, b = shape
    number = what(m, n, d, a, b, negated=(0, 1) if d != "s32" else (0, 0), saturates=int(m == 64 and d == "s32"))
    given = arguments(both, number, a, b, d, n, PLAIN)
    before = given[0].copy()
    known = number if in_tensor else None
    run = both.run_both(program(both, TYPES[a][0], n, in_tensor=in_tensor, known=known), "k", 1, 128, given)
    run.check_memory()
    run.check_counters()
    assert (given[0] != before).mean() > (0.7 if m == 128 else 0.35)
    assert run.launch.counters.flop_tensor == 2 * m * n * K.get(a, 32)


@pytest.mark.parametrize(
    ("kind", "ways"), [("f16", (0, 1)), ("f16", (1, 0)), ("e4m3", (1, 1)), ("tf32", (0, 0)), ("tf32", (1, 1))], ids=str
)
def test_every_layout(both, kind, ways):
    """A and B start in the middle of a pattern."""
    number, results = what(128, 64, "f32", kind, ways=ways), []
    text = program(both, TYPES[kind][0], 64, known=number)
    for swizzle, width in (("plain", 16), ("32 bytes", 32), ("64 bytes", 64), ("128 bytes", 128)):
        step = 8 * width
        shift = 0 if swizzle == "plain" else 16
        where = (descriptor(shift, step, step, swizzle), descriptor(SHARED_BYTES // 2 + shift, step, 2 * step, swizzle))
        given = arguments(both, number, kind, kind, "f32", 64, where)
        run = both.run_both(text, "k", 1, 128, given)
        run.check_memory()
        results.append(given[0].tobytes())
    assert len(set(results)) == len(results)


@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("at", [0, 16])
def test_what_was_there_before_in_either_half_of_the_lanes(both, flag, at):
    number = what(64, 16, "f32", "f16")
    given = arguments(both, number, "f16", "f16", "f32", 16, PLAIN, adds=flag)
    if not flag:
        given[0][:] = 0x7FC00000  # NaN, which is not to be read
    run = both.run_both(program(both, "f16", 16, at=at, times=3), "k", 1, 128, given)
    run.check_memory()
    run.check_counters()
    used = np.isfinite(given[0].view(np.float32).reshape(4, 2, 16, 16))
    assert used[:, at // 16].all()
    assert used[:, 1 - at // 16].all() == bool(flag)
    assert run.launch.counters.flop_tensor == 3 * 2 * 64 * 16 * 16


def test_every_warp_reads_before_the_next_product_is_written(both):
    """Triton puts no barrier there: a warp's load is long done when hardware has multiplied."""
    n, number = 16, what(128, 16, "f32", "f16")
    given = arguments(both, number, "f16", "f16", "f32", n, PLAIN)
    before = given[0].reshape(128, n).copy()
    read = f"tcgen05.ld.sync.aligned.32x32b.x8.b32 {names('e', 8)}, [%r11]; tcgen05.wait::ld.sync.aligned;"
    keep = "".join(f"st.global.b32 [%rd7+{4 * i}], %e{i};" for i in range(8))
    text = program(both, "f16", n).replace("@!%p5 bra WAIT;", f"{read} @!%p5 bra WAIT;")
    text = text.replace("bar.sync 0; @%p5 tcgen05.dealloc", f"{keep} bar.sync 0; @%p5 tcgen05.dealloc")
    run = both.run_both(text.replace(".reg .b32 %d<8>;", ".reg .b32 %d<8>, %e<8>;"), "k", 1, 128, given)
    run.check_memory()
    run.check_counters()
    assert (given[2].reshape(128, 8) == before[:, :8]).all()
    assert (given[0].reshape(128, n) != before).mean() > 0.7


@pytest.mark.parametrize("n_threads", [1, 2])
def test_several_blocks_and_threads(both, n_threads):
    number = what(128, 16, "f32", "f16")
    old = configure(n_threads=n_threads)
    try:
        # The blocks work on the same memory; every one of them leaves A B there.
        given = arguments(both, number, "f16", "f16", "f32", 16, PLAIN, adds=0)
        run = both.run_both(program(both, "f16", 16), "k", 5, 128, given)
    finally:
        configure(n_threads=old.n_threads)
    run.check_memory()
    run.check_counters()
    assert run.launch.counters.flop_tensor == 5 * 2 * 128 * 16 * 16
    assert run.launch.counters.shared_excess_wavefronts == 0


REGISTERS = {"32x32b": 1, "16x32bx2": 1, "16x64b": 1, "16x128b": 2, "16x256b": 4}
MOVES = [("32x32b", 1), ("32x32b", 8), ("16x32bx2", 4), ("16x64b", 1), ("16x64b", 4), ("16x128b", 2), ("16x256b", 1),
         ("16x256b", 2)]  # fmt: skip


@pytest.mark.parametrize("halves", [False, True], ids=["words", "halves"])
@pytest.mark.parametrize(("shape", "times"), MOVES)
def test_loads_and_stores_of_every_shape(both, shape, times, halves):
    """What is stored in a shape comes back in it, and lies where 32x32b finds it."""
    n, far = REGISTERS[shape] * times, ", 9" if shape == "16x32bx2" else ""
    shift = 0 if halves else 3
    up, down = (".unpack::16b", ".pack::16b") if halves else ("", "")
    name = f"sync.aligned.{shape}.x{times}"
    body = f"""{ALLOCATE}
    tcgen05.ld.sync.aligned.32x32b.x32.b32 {names("d", 32)}, [%r11];
    mul.wide.u32 %rd6, %r1, {4 * n}; add.s64 %rd6, %rd6, %rd0; mul.wide.u32 %rd7, %r1, 256; add.s64 %rd7, %rd7, %rd10;
    {"".join(f"st.global.b32 [%rd7+{4 * i}], %d{i};" for i in range(32))}
    {"".join(f"ld.global.b32 %d{i}, [%rd6+{4 * i}];" for i in range(n))}
    tcgen05.st.{name}{up}.b32 [%r11+{shift}]{far}, {names("d", n)}; tcgen05.wait::st.sync.aligned;
    {"".join(f"mov.b32 %d{i}, 0;" for i in range(n))}
    tcgen05.ld.{name}{down}.b32 {names("d", n)}, [%r11+{shift}]{far}; tcgen05.wait::ld.sync.aligned;
    {"".join(f"st.global.b32 [%rd6+{4 * i}], %d{i};" for i in range(n))}
    tcgen05.ld.sync.aligned.32x32b.x32.b32 {names("d", 32)}, [%r11];
    {"".join(f"st.global.b32 [%rd7+{128 + 4 * i}], %d{i};" for i in range(32))} {GIVE_BACK}"""
    text = both.kernel(body, variables=".shared .b32 place; .reg .b32 %d<32>;", pointers=("all",))
    text = text.replace("COLUMNS", "64").replace("sm_80", "sm_100a")
    out, every = both.array(128 * n), both.array(128 * 64)
    out[:] = np.random.default_rng(n).integers(0, 1 << 32, out.size)
    before = out.copy()
    run = both.run_both(text, "k", 1, 128, [out, every])
    run.check_memory()
    run.check_counters()
    np.testing.assert_array_equal(out, before)
    first, last = every.reshape(128, 2, 32).transpose(1, 0, 2)
    assert (first == 0xFFFFFFFF).all()  # nobody had written there
    assert (last != 0xFFFFFFFF).sum() == out.size * (2 if halves else 1)
    if not halves:  # nothing is lost, nothing comes twice
        assert sorted(last[last != 0xFFFFFFFF]) == sorted(before)


def faulty(both, body):
    """A block of a warp in which tensor memory is allocated and something goes wrong."""
    text = both.kernel(f"{ALLOCATE}\n{body}", variables=".shared .b32 place; .reg .b32 %d<32>;")
    return load_ptx(text.replace("COLUMNS", "64").replace("sm_80", "sm_100a"))["k"]


ONE = "tcgen05.{}.sync.aligned.32x32b.x1.b32"
FAULTS = {
    "ld beyond": (f"{ONE.format('ld')} %d0, [%r11+64];", "Out-of-bounds access of tensor memory at lane 0, column 64"),
    "st beyond": (
        f"{ONE.format('st')} [%r11+511], %d0;",
        "Out-of-bounds access of tensor memory at lane 0, column 511",
    ),
    "past the end": (f"tcgen05.ld.sync.aligned.32x32b.x2.b32 {names('d', 2)}, [%r11+511];", "lane 0, column 511"),
    "other lanes": (
        "add.u32 %r11, %r11, 0x200000; " + f"{ONE.format('ld')} %d0, [%r11];",
        "at lane 32, column 0, where",
    ),
    "twice": (f"{GIVE_BACK} {GIVE_BACK}", "given back from column 0 on are no allocation"),
    "half": (
        "tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r10, 32;",
        "given back from column 0 on are no allocation",
    ),
    "never": ("", "ended without giving back all tensor memory"),
    "again": (
        "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], 32;",
        "32 columns .* after tcgen05.rel",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_tensor_memory(both, name):
    body, expected = FAULTS[name]
    with pytest.raises(KernelFault, match=expected) as caught:
        faulty(both, body)[2, 32](both.array(32))
    assert caught.value.kind == "tensor memory"
    assert (caught.value.block, caught.value.thread) == ((0, 0, 0), (0, 0, 0))
    assert name == "never" or "PTX line" in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((48,), "Expected 32, 64, 128, 256 or 512 columns .* got 48"), ((16,), "got 16"), ((1024,), "got 1024"),
     ((0,), "got 0"), ((256, 128, 256), "no 256 columns of tensor memory left")],
)  # fmt: skip
def test_faults_of_allocation(both, sizes, expected):
    alloc = "".join(f"tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], {n};" for n in sizes)
    text = both.kernel(alloc, variables=".shared .b32 place;").replace("sm_80", "sm_100a")
    with pytest.raises(KernelFault, match=expected):
        load_ptx(text)["k"][1, 32](both.array(32))


def test_allocations_side_by_side(both):
    """The lowest free columns are given, in pieces of 32; one that is given back is taken anew, and is all ones."""
    take = "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [place], {}; ld.shared.b32 %r{}, [place];"
    give = "tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r{}, {};"
    body = f"""{take.format(32, 10)} {take.format(64, 11)} {take.format(32, 12)} {give.format(11, 64)}
    {take.format(128, 13)} {take.format(32, 14)} {take.format(256, 15)} {take.format(32, 16)}
    {give.format(13, 128)} {give.format(15, 256)} {give.format(10, 32)} {give.format(12, 32)} {give.format(16, 32)}
    {give.format(14, 32)} {take.format(512, 17)} {give.format(17, 512)}
    shl.b32 %r1, %r1, 3; add.u32 %r20, %r10, 0;
    {"".join(f"st.global.b32 [%rd0+{4 * i}], %r{10 + i};" for i in range(8))}"""
    text = both.kernel(body, variables=".shared .b32 place;").replace("sm_80", "sm_100a")
    out = both.array(32)
    run = both.run_both(text, "k", 1, 32, [out])
    run.check_memory()
    assert out[:8].tolist() == [0, 32, 96, 128, 32, 256, 64, 0]


WRONG = {
    "sparse": lambda n: n | 4,
    "shifted": lambda n: n | 1 << 30,
    "type of D": lambda n: n | 2 << 4,
    "types of A and B": lambda n: n ^ 1 << 7,
    "192 rows": lambda n: n & ~(31 << 24) | 12 << 24,
    "no columns": lambda n: n & ~(63 << 17),
    "24 columns of 128 rows": lambda n: n & ~(63 << 17) | 3 << 17,
    "saturated f32": lambda n: n | 8,
}


def test_products_that_do_not_exist_are_faults(both):
    good = what(128, 16, "f32", "f16")
    kernel = load_ptx(program(both, "f16", 16))["k"]
    for name, change in WRONG.items():
        given = arguments(both, good, "f16", "f16", "f32", 16, PLAIN)
        given[3][3] = change(good)
        with pytest.raises(KernelFault, match=f"got {change(good):#010x}") as caught:
            kernel[1, 128](*given)
        assert caught.value.kind == "tensor memory", name


@pytest.mark.parametrize("bit", [61, 52])
def test_matrices_that_are_not_emulated_are_faults(both, bit):
    given = arguments(both, what(128, 16, "f32", "f16"), "f16", "f16", "f32", 16, (PLAIN[0] | 1 << bit, PLAIN[1]))
    with pytest.raises(KernelFault, match="Expected a descriptor of a matrix in shared memory that is emulated"):
        load_ptx(program(both, "f16", 16))["k"][1, 128](*given)


def test_reading_outside_shared_memory_is_a_fault(both):
    kernel = load_ptx(program(both, "f16", 16))["k"]
    end = -(-(SHARED_BYTES + 16) // 16) * 16  # the allocation's address and a barrier follow
    number = what(128, 16, "f32", "f16")
    given = arguments(both, number, "f16", "f16", "f32", 16, (PLAIN[0], descriptor(SHARED_BYTES - 128, 128, 256)))
    with pytest.raises(
        KernelFault, match=rf"Out-of-bounds load of 16 bytes at byte \d+ of shared memory, which has {end}"
    ):
        kernel[1, 128](*given)


def test_checks_see_the_rows_that_are_read(both):
    text = program(both, "f16", 16)
    given = arguments(both, what(128, 16, "f32", "f16"), "f16", "f16", "f32", 16, PLAIN)
    with check():
        load_ptx(text)["k"][1, 128](*given)
    unwritten = text.replace(f"setp.lt.u32 %p2, %r23, {SHARED_BYTES}", f"setp.lt.u32 %p2, %r23, {SHARED_BYTES // 2}")
    with pytest.raises(KernelCheckError, match="written"), check():
        load_ptx(unwritten)["k"][1, 128](*given)


REFUSED = """tcgen05.mma.cta_group::2.kind::f16 tcgen05.mma.sp.cta_group::1.kind::f16
tcgen05.mma.ws.cta_group::1.kind::f16 tcgen05.mma.cta_group::1.kind::mxf8f6f4.block_scale.scale_vec::1X
tcgen05.mma.cta_group::1.kind::mxf4.block_scale.scale_vec::2X tcgen05.mma.cta_group::1.kind::f16.ashift
tcgen05.cp.cta_group::1.32x128b.warpx4 tcgen05.shift.cta_group::1.down tcgen05.alloc.cta_group::2.sync.aligned.b32
tcgen05.ld.red.sync.aligned.32x32b.x2.min.f32 tcgen05.ld.sync.aligned.16x256b.x64.b32
tcgen05.st.sync.aligned.16x64b.x3.b32
tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.multicast::cluster.b64
tcgen05.ld.sync.aligned.32x32b.x1.unpack::16b.b32 tcgen05.wait::ld.sync"""


@pytest.mark.parametrize("opcode", REFUSED.split())
def test_other_forms_have_no_row(opcode):
    assert lookup(opcode) is None


@pytest.mark.parametrize(
    ("before", "after", "what_is_wrong"),
    [("%r13, %p1;", "%r13, {%r1, %r1, %r1, %r1}, %p1;", "left out"), ("%r13, %p1;", "%r13, %p1, 3;", "scaled"),
     ("32x32b.x8", "32x32b.x4", "8 registers")],
)  # fmt: skip
def test_wrong_operands_are_refused(both, before, after, what_is_wrong):
    text = program(both, "f16", 16)
    assert before in text
    with pytest.raises(UnsupportedInstruction, match=rf"tcgen05.*{what_is_wrong}"):
        load_ptx(text.replace(before, after))["k"][1, 128](
            *arguments(both, what(128, 16, "f32", "f16"), "f16", "f16", "f32", 16, PLAIN)
        )
