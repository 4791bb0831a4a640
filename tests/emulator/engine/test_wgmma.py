"""``wgmma`` on shared memory full of small numbers, whose sums are exact: every element that a descriptor may name."""

import numpy as np
import pytest

from teachkit.emulator import check, configure, load_ptx
from teachkit.emulator.isa.table import lookup
from teachkit.errors import KernelCheckError, KernelFault, UnsupportedInstruction
from tests.emulator.engine.elements import octets

SHARED_BYTES = 40 * 1024
SWIZZLES = {"plain": 0, "128 bytes": 1, "64 bytes": 2, "32 bytes": 3}


def descriptor(start, leading=0, stride=0, swizzle="plain", base=0):
    """Its 64 bits; places and distances in bytes."""
    return start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | base << 49 | SWIZZLES[swizzle] << 62


def columns_of(form):
    return int(form.split(".")[0].partition("n")[2].partition("k")[0])


def n_sums(form):
    """Registers of D."""
    return columns_of(form) // (4 if ".f16." in form[:16] else 2)


def program(both, form, options, *, in_registers=False, adds="%p1", guard="", before=""):
    """Threads fill shared memory from ``octets``, load their D (and A), multiply with the descriptors, and store D."""
    sums = [f"%d{i}" for i in range(n_sums(form))]
    rows = [f"%a{i}" for i in range(4)]
    fill = "mov.u32 %r20, s; mad.lo.u32 %r20, %r1, 16, %r20; mul.wide.u32 %rd2, %r1, 16; add.s64 %rd2, %rd2, %rd10;"
    fill += "mov.u32 %r22, %ntid.x; shl.b32 %r22, %r22, 4; cvt.u64.u32 %rd3, %r22; mul.lo.u32 %r23, %r1, 16;"
    fill += (
        "FILL: ld.global.v4.b32 {%r24, %r25, %r26, %r27}, [%rd2]; st.shared.v4.b32 [%r20], {%r24, %r25, %r26, %r27};"
    )
    fill += "add.s64 %rd2, %rd2, %rd3; add.u32 %r20, %r20, %r22; add.u32 %r23, %r23, %r22;"
    fill += f"setp.lt.u32 %p2, %r23, {SHARED_BYTES}; @%p2 bra FILL; bar.sync 0;"
    moved = [(f"mul.wide.u32 %rd{6 + i}, %r2, {4 * len(names)}; add.s64 %rd{6 + i}, %rd{6 + i}, %rd{at};", i, names)
             for i, (names, at) in enumerate(((sums, 0), (rows, 11)))]  # fmt: skip
    loads = "".join(
        text + "".join(f"ld.global.b32 {name}, [%rd{6 + i}+{4 * j}];" for j, name in enumerate(names))
        for text, i, names in moved
    )
    stores = "".join(f"st.global.b32 [%rd6+{4 * j}], {name};" for j, name in enumerate(sums))
    a = "{" + ", ".join(rows) + "}" if in_registers else "%rd4"
    body = f"""{fill} {loads}
    ld.global.b64 %rd4, [%rd12]; ld.global.b64 %rd5, [%rd12+8]; ld.global.b32 %r28, [%rd12+16];
    setp.ne.u32 %p1, %r28, 0; {before}
    wgmma.fence.sync.aligned;
    {guard} wgmma.mma_async.sync.aligned.{form} {{{", ".join(sums)}}}, {a}, %rd5, {", ".join([adds, *options])};
    wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0; fence.proxy.async.shared::cta;
    {stores}"""
    variables = f".shared .align 1024 .b8 s[{SHARED_BYTES}]; .reg .b32 {', '.join([*sums, *rows])};"
    return both.kernel(body, variables=variables, pointers=("octets", "a", "descriptors")).replace("sm_80", "sm_90a")


def arguments(both, form, where, *, adds=1, n_threads=128):
    """D, what shared memory is to hold, registers of A, and the descriptors."""
    _, d_type, a_type, b_type, *_ = (part for part in form.split(".") if part != "satfinite")
    random = np.random.default_rng(sum(form.encode()))
    shared = both.array(SHARED_BYTES, np.uint8)
    half = SHARED_BYTES // 2
    shared[:half], shared[half:] = octets(a_type, half, random), octets(b_type, half, random)
    held = []
    for kind, n in ((d_type, n_threads * n_sums(form)), (a_type, n_threads * 4)):
        array = both.array(n)
        array[:] = octets(kind, 4 * n, random).view(np.uint32)
        held.append(array)
    words = both.array(3, np.uint64)
    words[:] = [*where, adds]
    return [held[0], shared, held[1], words]


PLAIN = (descriptor(0, 128, 256), descriptor(SHARED_BYTES // 2, 128, 256))
FLOAT = {"f16": ("f16", "f32"), "bf16": ("f32",), "tf32": ("f32",)}
OPTIONS = {"f16": ("1", "1", "0", "0"), "bf16": ("1", "1", "0", "0"), "tf32": ("1", "1"), "e4m3": ("1", "1"),
           "e5m2": ("1", "1"), "s8": (), "u8": (), "b1": ()}  # fmt: skip
FORMS = [
    *(f"m64n{n}k16.{d}.f16.f16" for n, d in ((40, "f16"), (256, "f32"))),
    *(f"m64n{n}k16.f32.bf16.bf16" for n in (16, 72)),
    *(f"m64n{n}k8.f32.tf32.tf32" for n in (8, 104)),
    *(f"m64n{n}k32.{d}.{a}.{b}" for n, d in ((8, "f32"), (24, "f16")) for a in ("e4m3", "e5m2")
      for b in ("e4m3", "e5m2")),
    *(f"m64n{n}k32{sat}.s32.{a}.{b}" for n, sat in ((8, ""), (48, ".satfinite")) for a in ("s8", "u8")
      for b in ("s8", "u8")),
    *(f"m64n{n}k256.s32.b1.b1.and.popc" for n in (8, 32)),
]  # fmt: skip


@pytest.mark.parametrize("in_registers", [False, True], ids=["shared", "registers"])
@pytest.mark.parametrize("form", FORMS)
def test_every_type(both, form, in_registers):
    kind = form.replace(".satfinite", "").split(".")[2]
    options = OPTIONS[kind][:3] if in_registers else OPTIONS[kind]
    text = program(both, form, options, in_registers=in_registers)
    given = arguments(both, form, PLAIN)
    before = given[0].copy()
    run = both.run_both(text, "k", 1, 128, given)
    run.check_memory()
    run.check_counters()
    assert (given[0] != before).mean() > 0.5
    n, k = columns_of(form), int(form.split(".")[0].rpartition("k")[2])
    assert run.launch.counters.flop_tensor == 2 * 64 * n * k


def layouts():
    """(swizzle, base offset, where the matrix starts after a pattern's start, bytes of 8 lines)"""
    yield "plain", 0, 160, 128
    for swizzle, width in (("32 bytes", 32), ("64 bytes", 64), ("128 bytes", 128)):
        yield swizzle, 0, 160, 8 * width
        yield swizzle, 3, 0, 8 * width


@pytest.mark.parametrize("ways", ["00", "01", "10", "11"])
def test_every_layout(both, ways):
    """A starts in the middle of a pattern, or where the base offset says that one does."""
    form = "m64n64k16.f32.f16.f16"
    text = program(both, form, ("1", "1", *ways))
    results = []
    for swizzle, base, shift, step in layouts():
        # B has 8 groups of 8, or as many lines: neither runs out of memory, nor do they lie upon each other.
        a = descriptor(128 * base + shift, 2 * step, step, swizzle, base)
        b = descriptor(SHARED_BYTES // 2 + shift, step, 2 * step, swizzle, base)
        given = arguments(both, form, (a, b))
        run = both.run_both(text, "k", 1, 128, given)
        run.check_memory()
        run.check_counters()
        results.append(given[0].tobytes())
    assert len(set(results)) == len(results)


def laid_out(matrix, by_k, width):
    """Bytes of a matrix [M or N, K] of which all rows (or columns) are lines of a swizzle's pattern, with 1 to 8
    pieces of 16 bytes, and (leading, stride). An XOR of the piece's number with the line's; two bytes an element."""
    pieces = width // 16
    lines = matrix if by_k else matrix.T
    lines = np.ascontiguousarray(lines).view(np.uint8).reshape(len(lines), -1, pieces, 16)
    blocks = lines.transpose(1, 0, 2, 3).copy()  # [block, line, piece, 16]
    if width > 16:
        for line in range(blocks.shape[1]):
            number = (line * width // 128) % 8 if width == 128 else (line * width // 128) % pieces
            order = np.arange(pieces) ^ number
            blocks[:, line] = blocks[:, line][:, order]
    return blocks.reshape(-1), blocks[0].nbytes, 8 * width


@pytest.mark.parametrize("width", [16, 32, 64, 128])
@pytest.mark.parametrize("by_k", [True, False], ids=["K", "MN"])
def test_matrices_laid_out_by_hand(both, by_k, width):
    """A and B in 64 rows; by K, the first 16 columns of a line are multiplied."""
    form, random = "m64n64k16.f32.f16.f16", np.random.default_rng(5)
    n_k = max(16, width // 2) if by_k else 16
    a, b = (random.integers(-8, 9, (64, n_k)).astype(np.float16) for _ in range(2))
    images = [laid_out(matrix, by_k, width) for matrix in (a, b)]
    shared = both.array(SHARED_BYTES, np.uint8)
    where = []
    for start, (image, block, step) in zip((0, SHARED_BYTES // 2), images, strict=True):
        shared[start : start + image.size] = image
        leading, stride = (step, block) if width == 16 and not by_k else (block, step)
        name = next(name for name in SWIZZLES if name.startswith("plain" if width == 16 else f"{width} "))
        where.append(descriptor(start, leading, stride, name))
    out, words = both.array(128 * n_sums(form)), both.array(3, np.uint64)
    words[:] = [*where, 0]
    way = "0" if by_k else "1"
    both.run_both(
        program(both, form, ("1", "1", way, way)), "k", 1, 128, [out, shared, both.array(512), words]
    ).check_memory()
    found = out.view(np.float32).reshape(4, 8, 4, 8, 2, 2)  # warp, g, t, tile, half, element
    found = found.transpose(0, 4, 1, 3, 2, 5).reshape(64, 64)
    np.testing.assert_array_equal(found, a[:, :16].astype(np.float32) @ b[:, :16].astype(np.float32).T)


@pytest.mark.parametrize("signs", [("1", "-1"), ("-1", "-1")])
@pytest.mark.parametrize("form", ["m64n16k16.f32.f16.f16", "m64n8k8.f32.tf32.tf32", "m64n8k32.f16.e4m3.e5m2"])
@pytest.mark.parametrize("in_registers", [False, True], ids=["shared", "registers"])
def test_signs(both, form, signs, in_registers):
    rest = OPTIONS[form.split(".")[2]][3 if in_registers else 2 :]
    text = program(both, form, (*signs, *rest), in_registers=in_registers)
    both.run_both(text, "k", 1, 128, arguments(both, form, PLAIN)).check_memory()


@pytest.mark.parametrize("adds", ["%p1", "!%p1", "1", "0"])
@pytest.mark.parametrize("flag", [0, 1])
def test_what_was_there_before(both, adds, flag):
    form = "m64n16k16.f32.f16.f16"
    given = arguments(both, form, PLAIN, adds=flag)
    if adds in ("0", "!%p1" if flag else "%p1"):
        given[0][:] = 0x7FC00000  # NaN, which is not to be read
    run = both.run_both(program(both, form, OPTIONS["f16"], adds=adds), "k", 1, 128, given)
    run.check_memory()
    assert np.isfinite(given[0].view(np.float32)).all()


@pytest.mark.parametrize(("guard", "before"), [
    ("@%p3", "setp.lt.u32 %p3, %r1, 64;"),
    ("", "setp.lt.u32 %p3, %r1, 7; @!%p3 bra OTHERS; add.u32 %a0, %a0, 1; OTHERS: bar.warp.sync -1;"),
])  # fmt: skip
@pytest.mark.parametrize("adds", [0, 1])
def test_where_lanes_may_part(both, guard, before, adds):
    """Under a guard that holds for whole warps, and in a kernel whose blocks have masks."""
    form = "m64n16k16.f32.f16.f16"
    text = program(both, form, OPTIONS["f16"][:3], in_registers=True, guard=guard, before=before)
    given = arguments(both, form, PLAIN, adds=adds)
    given[2][::4] = 0x3C003C00
    run = both.run_both(text, "k", 1, 128, given)
    run.check_memory()
    run.check_counters()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_two_warpgroups_and_several_blocks(both, n_threads):
    form = "m64n24k16.f32.f16.f16"
    old = configure(n_threads=n_threads)
    try:
        run = both.run_both(
            program(both, form, OPTIONS["f16"]), "k", 3, 256, arguments(both, form, PLAIN, n_threads=3 * 256)
        )
    finally:
        configure(n_threads=old.n_threads)
    run.check_memory()
    run.check_counters()
    c = run.launch.counters
    assert c.flop_tensor == 3 * 2 * 2 * 64 * 24 * 16
    assert (c.shared_load_wavefronts, c.shared_excess_wavefronts) == (0, 0)
    assert {line.flop_tensor for line in run.launch.by_line.values()} == {c.flop_tensor}


@pytest.mark.parametrize("n_columns", [8, 64])
def test_reading_outside_shared_memory_is_a_fault(both, n_columns):
    form = f"m64n{n_columns}k16.f32.f16.f16"
    kernel = load_ptx(program(both, form, OPTIONS["f16"]))["k"]
    beyond = descriptor(SHARED_BYTES - 128, 128, 256)
    given = arguments(both, form, (PLAIN[0], beyond))
    expected = (
        rf"Out-of-bounds load of 16 bytes at byte {SHARED_BYTES} of shared memory, which has {SHARED_BYTES} bytes"
    )
    with pytest.raises(KernelFault, match=expected) as caught:
        kernel[1, 128](*given)
    assert (caught.value.kind, caught.value.block, caught.value.thread) == (
        "out-of-bounds access",
        (0, 0, 0),
        (0, 0, 0),
    )
    assert "wgmma.mma_async.sync.aligned.m64n" in str(caught.value)
    with pytest.raises(KernelFault, match="Out-of-bounds load of 16 bytes"):
        kernel[1, 128](*arguments(both, form, (descriptor((1 << 18) - 16, 128, 256), PLAIN[1])))
    with pytest.raises(KernelCheckError, match="shared memory"), check():
        kernel[1, 128](*given)


def test_checks_see_the_rows_that_are_read(both):
    form = "m64n8k16.f32.f16.f16"
    text = program(both, form, OPTIONS["f16"])
    given = arguments(both, form, PLAIN)
    with check():
        load_ptx(text)["k"][1, 128](*given)
    unwritten = text.replace(f"setp.lt.u32 %p2, %r23, {SHARED_BYTES}", f"setp.lt.u32 %p2, %r23, {SHARED_BYTES // 2}")
    with pytest.raises(KernelCheckError, match="written"), check():
        load_ptx(unwritten)["k"][1, 128](*given)
    with pytest.raises(KernelCheckError, match="race"), check():
        load_ptx(text.replace("bra FILL; bar.sync 0;", "bra FILL;"))["k"][1, 128](*given)


REFUSED = """wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 wgmma.mma_async.sync.aligned.m64n8k16.f16.bf16.bf16
wgmma.mma_async.sync.aligned.m64n12k16.f32.f16.f16 wgmma.mma_async.sync.aligned.m64n264k16.f32.f16.f16
wgmma.mma_async.sync.aligned.m64n40k32.s32.s8.s8 wgmma.mma_async.sync.aligned.m64n8k32.f32.f16.f16
wgmma.mma_async.sync.aligned.m64n8k256.s32.b1.b1.xor.popc wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.bf16
wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8.satfinite.x wgmma.fence.aligned wgmma.wait_group.sync"""


@pytest.mark.parametrize("opcode", REFUSED.split())
def test_other_forms_have_no_row(opcode):
    assert lookup(opcode) is None


@pytest.mark.parametrize(
    ("options", "in_registers"),
    [(("1", "1"), False), (("1", "1", "0", "0"), True), (("2", "1", "0", "0"), False), (("1", "1", "0", "2"), False)],
)
def test_wrong_options_are_refused(both, options, in_registers):
    text = program(both, "m64n8k16.f32.f16.f16", options, in_registers=in_registers)
    with pytest.raises(UnsupportedInstruction, match=r"wgmma\.mma_async.*options"):
        load_ptx(text)["k"][1, 128](*arguments(both, "m64n8k16.f32.f16.f16", PLAIN))


def test_too_few_registers_are_refused(both):
    text = program(both, "m64n8k16.f32.f16.f16", OPTIONS["f16"]).replace("m64n8k16", "m64n16k16")
    with pytest.raises(UnsupportedInstruction, match="4 registers of D"):
        load_ptx(text)["k"][1, 128](*arguments(both, "m64n8k16.f32.f16.f16", PLAIN))
