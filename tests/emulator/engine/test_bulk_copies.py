"""Bulk copies on engine and oracle: runs of bytes, boxes of tensors, reductions, and maps that a kernel makes."""

import numpy as np
import pytest

from teachkit.emulator import load_ptx, tensor_map
from teachkit.errors import KernelFault, UnsupportedInstruction

SHARED = ".shared .align 1024 .b8 data[8192]; .shared .align 8 .b8 bar[16];"
# The first thread waits for all bytes; then everybody reads.
BEGIN = """
    setp.eq.u32 %p1, %r1, 0; mov.u32 %r20, bar; mov.u32 %r21, data;
    @%p1 mbarrier.init.shared::cta.b64 [%r20], 1;
    @%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r20], {n_bytes}; fence.proxy.async.shared::cta; bar.sync 0;"""
WAIT = "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r20], 0; @!%p2 bra WAIT;"
# Thread t copies words t, t + 64, ... of shared memory to the first argument, or there from it.
TAKE = """
    mov.u32 %r22, %r1; setp.lt.u32 %p3, %r22, {n_words}; @!%p3 bra TAKEN;
    TAKE: shl.b32 %r23, %r22, 2; add.u32 %r24, %r21, %r23; ld.shared.u32 %r25, [%r24];
    cvt.u64.u32 %rd5, %r23; add.s64 %rd5, %rd0, %rd5; st.global.u32 [%rd5], %r25;
    add.u32 %r22, %r22, 64; setp.lt.u32 %p3, %r22, {n_words}; @%p3 bra TAKE; TAKEN:"""
GIVE = """
    mov.u32 %r22, %r1; setp.lt.u32 %p3, %r22, {n_words}; @!%p3 bra GIVEN;
    GIVE: shl.b32 %r23, %r22, 2; add.u32 %r24, %r21, %r23;
    cvt.u64.u32 %rd5, %r23; add.s64 %rd5, %rd0, %rd5; ld.global.u32 %r25, [%rd5]; st.shared.u32 [%r24], %r25;
    add.u32 %r22, %r22, 64; setp.lt.u32 %p3, %r22, {n_words}; @%p3 bra GIVE; GIVEN:
    fence.proxy.async.shared::cta; bar.sync 0;"""
DONE = "cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0; bar.sync 0;"
N_THREADS = 64


def program(both, body, n_bytes, pointers=("x",), has_map=True):
    text = both.kernel(
        body.replace("{n_bytes}", str(n_bytes)).replace("{n_words}", str(n_bytes // 4)),
        variables=SHARED,
        pointers=pointers,
    ).replace("sm_80", "sm_90a")
    return text.replace("k(.param .u64 out", "k(.param .align 64 .b8 map[128], .param .u64 out") if has_map else text


def run(both, body, n_bytes, arguments, **options):
    text = program(both, body, n_bytes, **options)
    result = both.run_both(text, "k", 1, N_THREADS, arguments)
    result.check_memory()
    result.check_counters()
    return result


def numbers(both, kind, shape, seed=0):
    """A tensor in memory of its own, and the same bytes that its oracle sees."""
    random = np.random.default_rng(seed)
    data = both.array(int(np.prod(shape)), kind)
    wanted = random.integers(-100, 100, data.size)
    data[:] = wanted.astype(kind) if np.dtype(kind).kind in "if" else wanted % 251
    return data


def make_map(data, kind, sizes, box, **options):
    """A map of a dense tensor; ``sizes`` and ``box`` begin with the innermost dimension."""
    size = data.itemsize
    strides = [int(size * np.prod(sizes[: i + 1])) for i in range(len(sizes) - 1)]
    return tensor_map.encode(
        data.__array_interface__["data"][0], tensor_map.TYPES.index(kind), sizes, strides, box, **options
    )


def boxed(tensor, start, box, fill=0, steps=None):
    """What NumPy makes of a box, dimensions from the outermost one inwards."""
    steps = steps or [1] * tensor.ndim
    out = np.full([-(-n // s) for n, s in zip(box, steps, strict=True)], fill, tensor.dtype)
    for index in np.ndindex(*out.shape):
        at = tuple(c + i * s for c, i, s in zip(start, index, steps, strict=True))
        if all(0 <= i < n for i, n in zip(at, tensor.shape, strict=True)):
            out[index] = tensor[at]
    return out


def unswizzled(octets, swizzle):
    """Bytes in the order of the box, from where they lie in shared memory."""
    if not swizzle:
        return octets
    at = np.arange(octets.size)
    return octets[at ^ ((at >> 3) & ((16 << swizzle) - 16))]


LOAD = "@%p1 cp.async.bulk.tensor.{rank}d.{space}.global.mbarrier::complete_tx::bytes [%r21], [%rd9, {{{at}}}], [%r20];"
BOXES = [  # sizes and box from the outermost dimension inwards, start, type, swizzle
    ((40,), (16,), (32,), "u8", 0),
    ((9, 24), (8, 16), (-3, 5), "f16", 1),
    ((9, 32), (8, 32), (4, -7), "f16", 2),
    ((20, 40), (16, 32), (-1, 20), "s32", 3),
    ((20, 48), (8, 48), (14, 0), "u16", 0),
    ((5, 6, 16), (3, 4, 8), (3, -2, 9), "f32", 1),
    ((3, 4, 5, 8), (2, 3, 3, 8), (-1, 2, 3, 1), "u64", 2),
    ((2, 3, 3, 4, 16), (2, 2, 2, 2, 16), (1, -1, 2, 0, 3), "u8", 0),
    ((3, 4), (2, 2), (100, 100), "f64", 0),
]
DTYPES = {"u8": "u1", "f16": "f2", "s32": "i4", "u16": "u2", "f32": "f4", "u64": "u8", "f64": "f8"}


@pytest.mark.parametrize("case", BOXES, ids=str)
@pytest.mark.parametrize("space", ["shared::cta", "shared::cluster"])
def test_boxes_land_in_rows_with_their_swizzle_and_zeros_outside(both, case, space):
    sizes, box, start, kind, swizzle = case
    data = numbers(both, DTYPES[kind], sizes)
    n_bytes = int(np.prod(box)) * data.itemsize
    tensor = make_map(data, kind, sizes[::-1], box[::-1], swizzle=swizzle)
    at = ", ".join(map(str, start[::-1]))
    load = LOAD.format(rank=len(sizes), space=space, at=at)
    body = "mov.b64 %rd8, map; cvta.param.u64 %rd9, %rd8;" + BEGIN + load + WAIT + TAKE
    out = both.array(n_bytes // 4)
    result = run(both, body, n_bytes, [tensor, out, data])
    expected = boxed(data.reshape(sizes), start, box)
    np.testing.assert_array_equal(unswizzled(out.view(np.uint8), swizzle), expected.reshape(-1).view(np.uint8))
    counters = result.launch.counters
    assert counters.global_load_requests == counters.global_load_bytes == 0
    assert counters.dram_read_bytes == counters.compulsory_read_bytes
    assert counters.l1_lookups == 0


@pytest.mark.parametrize(("kind", "nan"), [("f16", 0x7FFF), ("bf16", 0x7FFF), ("f32", 0x7FFFFFFF)])
def test_what_lies_outside_may_be_nan(both, kind, nan):
    data = both.array(8 * 16, "u2" if kind[-2:] == "16" else "u4", value=1)
    tensor = make_map(data, kind, (16, 8), (16, 4), fill=1)
    n_bytes = 64 * data.itemsize
    load = LOAD.format(rank=2, space="shared::cta", at="8, 6")
    out = both.array(n_bytes // 4)
    run(both, "mov.b64 %rd9, map;" + BEGIN + load + WAIT + TAKE, n_bytes, [tensor, out, data])
    expected = boxed(data.reshape(8, 16), (6, 8), (4, 16), fill=nan)
    np.testing.assert_array_equal(out.view(data.dtype).reshape(4, 16), expected)


def test_loads_round_to_tf32(both):
    data = both.array(8 * 16, "u4")
    data[:] = np.random.default_rng(0).integers(0, 1 << 32, data.size, np.uint32)
    data[:8] = 0x3F801000, 0x3F803000, 0x3F800FFF, 0x3F801001, 0x7F800001, 0xFF800000, 0x7F7FFFFF, 0x80001000
    tensor = make_map(data, "tf32", (16, 8), (16, 4))
    load = LOAD.format(rank=2, space="shared::cta", at="0, -1")
    out = both.array(64)
    run(both, "mov.b64 %rd9, map;" + BEGIN + load + WAIT + TAKE, 256, [tensor, out, data])
    np.testing.assert_array_equal(
        out[16:24], [0x3F800000, 0x3F804000, 0x3F800000, 0x3F802000, 0x7F800001, 0xFF800000, 0x7F800000, 0x80000000]
    )


def test_steps_leave_elements_out(both):
    data = numbers(both, "i4", (12, 8))
    tensor = make_map(data, "s32", (8, 12), (8, 9), steps=(1, 3))
    load = LOAD.format(rank=2, space="shared::cta", at="4, -3")
    out = both.array(24)
    run(both, "mov.b64 %rd9, map;" + BEGIN + load + WAIT + TAKE, 96, [tensor, out, data])
    expected = boxed(data.reshape(12, 8), (-3, 4), (9, 8), steps=(3, 1))
    np.testing.assert_array_equal(out.view("i4").reshape(3, 8), expected)


@pytest.mark.parametrize("swizzle", [0, 1, 2, 3])
def test_stores_leave_what_lies_outside_alone(both, swizzle):
    columns = (8, 16, 32, 64)[swizzle]
    data = both.array(10 * 72, "u2", value=7)
    source = both.array(16 * columns // 2)
    source[:] = np.arange(source.size) * 65537
    tensor = make_map(data, "u16", (72, 10), (columns, 16), swizzle=swizzle)
    store = "@%p1 cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%rd9, {66, -3}], [%r21];"
    body = "mov.b64 %rd9, map; setp.eq.u32 %p1, %r1, 0; mov.u32 %r21, data;" + GIVE + store + DONE
    run(both, body, 4 * source.size, [tensor, source, data])
    box = unswizzled(source.view(np.uint8), swizzle).view("u2").reshape(16, columns)
    expected = np.full((10, 72), 7, "u2")
    expected[:, 66:] = box[3:13, :6]
    np.testing.assert_array_equal(data.reshape(10, 72), expected)


REDUCTIONS = [
    *((op, kind) for op in ("add", "min", "max", "and", "or", "xor") for kind in ("u32", "s32", "u64", "s64")),
    *((op, kind) for op in ("add", "min", "max") for kind in ("f16", "bf16")),
    *(("add", kind) for kind in ("f32", "f64")),
    ("inc", "u32"),
    ("dec", "u32"),
]


def elements(both, kind, n, seed):
    random = np.random.default_rng(seed)
    letter = {"u": "u", "s": "i", "f": "f", "b": "u"}[kind[0]]
    values = both.array(n, f"{letter}{int(kind.lstrip('bfsu')) // 8}")
    if kind[0] == "f":
        values[:] = random.normal(size=n)
        values[1::7] = -0.0 if seed == 1 else 0.0
    elif kind == "bf16":
        values[:] = random.normal(size=n).astype("f4").view("u4") >> 16
    elif kind[0] == "s":
        values[:] = random.integers(-5, 5, n)
    else:
        values[:] = random.integers(0, 9, n)
    return values


@pytest.mark.parametrize(("operation", "kind"), REDUCTIONS, ids=lambda part: part)
def test_reductions(both, operation, kind):
    """Of a box by the map's type, whose last rows and columns are outside, then of a run of bytes."""
    n = 16
    old, new = elements(both, kind, n * 8, 1), elements(both, kind, n * 8, 2)
    tensor = make_map(old, kind, (n, 7), (n, 8))
    noftz = ".noftz" if operation == "add" and kind in ("f16", "bf16") else ""
    named = kind.replace("s", "b").replace("u", "b") if operation in ("and", "or", "xor") else kind
    body = (
        "mov.b64 %rd9, map; setp.eq.u32 %p1, %r1, 0; mov.u32 %r21, data;"
        + GIVE
        + f"""@%p1 cp.reduce.async.bulk.tensor.2d.global.shared::cta.{operation}.bulk_group [%rd9, {{3, 1}}], [%r21];
        add.s64 %rd6, %rd10, 16;"""
    )
    if (operation, kind) != ("add", "s64"):  # there is none of bytes
        how = f"bulk_group.{operation}{noftz}.{named}"
        body += f"@%p1 cp.reduce.async.bulk.global.shared::cta.{how} [%rd6], [%r21], 64;"
    if kind in ("f16", "bf16") and operation != "add":
        old.view("u2")[20::9], new.view("u2")[5::6] = 0x7FC1, 0xFFC0
    before = old.copy()
    run(both, body + DONE, new.nbytes, [tensor, new, old])
    if kind not in ("f16", "bf16"):
        functions = {"add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
                     "xor": np.bitwise_xor, "inc": lambda a, b: np.where(a >= b, 0, a + 1),
                     "dec": lambda a, b: np.where((a == 0) | (a > b), b, a - 1)}  # fmt: skip
        expected, box = before.reshape(8, n), new.reshape(8, n)
        expected[1:7, 3:] = functions[operation](expected[1:7, 3:], box[:6, : n - 3])
        if (operation, kind) != ("add", "s64"):
            part = slice(16 // old.itemsize, 80 // old.itemsize)
            before[part] = functions[operation](before[part], new[: 64 // old.itemsize])
        np.testing.assert_array_equal(old, before)


def test_runs_of_bytes_by_several_lanes(both):
    """Four lanes copy 256 bytes each to shared memory; two copy 512 bytes each back to another array."""
    x, back = numbers(both, "u4", 256), both.array(256)
    body = (
        BEGIN
        + """setp.lt.u32 %p4, %r1, 4; setp.lt.u32 %p5, %r1, 2; shl.b32 %r26, %r1, 8; add.u32 %r27, %r21, %r26;
        cvt.u64.u32 %rd6, %r26; add.s64 %rd6, %rd10, %rd6; mov.u32 %r28, 256;
        @%p4 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r27], [%rd6], %r28, [%r20];"""
        + WAIT
        + TAKE
        + """ bar.sync 0; shl.b32 %r26, %r1, 9; add.u32 %r27, %r21, %r26; cvt.u64.u32 %rd6, %r26;
        add.s64 %rd6, %rd11, %rd6; mov.u64 %rd7, 0;
        @%p5 cp.async.bulk.global.shared::cta.bulk_group.L2::cache_hint [%rd6], [%r27], 512, %rd7;"""
        + DONE
    )
    out = both.array(256)
    result = run(both, body, 1024, [out, x, back], pointers=("x", "back"), has_map=False)
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(back, x)
    counters = result.launch.counters
    assert counters.compulsory_read_bytes == counters.dram_read_bytes == 1024
    assert counters.dram_write_bytes == counters.compulsory_write_bytes == 2048
    assert counters.global_store_bytes == 1024  # of the threads' own stores


MAKE = """
    mov.u32 %r30, 0; shl.b32 %r31, %r1, 2; add.u32 %r32, %r21, %r31; setp.lt.u32 %p6, %r1, 32;
    @%p6 st.shared.u32 [%r32], %r30; bar.sync 0; cvt.u64.u32 %rd7, %r21; mov.u32 %r33, 16; mov.u32 %r34, 1;
    mov.u32 %r35, 10; mov.u64 %rd12, 64; cvta.shared.u64 %rd13, %rd7; mov.u32 %r36, 4;
    @%p1 tensormap.replace.tile.global_address.shared::cta.b1024.b64 [%rd7], %rd10;
    @%p1 tensormap.replace.tile.rank.b1024.b32 [%rd13], 0x1;
    @%p1 tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [%rd7], 0, %r36;
    @%p1 tensormap.replace.tile.box_dim.b1024.b32 [%rd13], 1, %r36;
    @%p1 tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [%rd7], 0, %r33;
    @%p1 tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [%rd7], 1, %r35;
    @%p1 tensormap.replace.tile.global_stride.shared::cta.b1024.b64 [%rd7], 0, %rd12;
    @%p1 tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [%rd7], 0, %r34;
    @%p1 tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [%rd7], 1, %r34;
    @%p1 tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [%rd7], 0x2;
    @%p1 tensormap.replace.tile.interleave_layout.shared::cta.b1024.b32 [%rd7], 0x0;
    @%p1 tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [%rd7], 0x0;
    @%p1 tensormap.replace.tile.fill_mode.shared::cta.b1024.b32 [%rd7], 0x0; bar.sync 0;
    @%p6 tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%rd11], [%rd7], 128;
    @%p6 fence.proxy.tensormap::generic.acquire.gpu [%rd11], 128; cvta.global.u64 %rd9, %rd11;
    @%p1 tensormap.replace.tile.box_dim.global.b1024.b32 [%rd11], 0, %r33; bar.sync 0;"""


def test_a_map_made_by_the_kernel(both):
    data, scratch = numbers(both, "u4", (10, 16)), both.array(32)
    load = LOAD.format(rank=2, space="shared::cta", at="2, 8")
    body = BEGIN + MAKE + load + WAIT + TAKE
    out = both.array(64)
    result = run(both, body, 256, [out, data, scratch], pointers=("x", "map"), has_map=False)
    np.testing.assert_array_equal(out.reshape(4, 16), boxed(data.reshape(10, 16), (8, 2), (4, 16)))
    host = make_map(data, "u32", (16, 10), (16, 4))
    assert scratch.tobytes() == host
    assert result.launch.counters.global_store_requests == 2  # the results, by two warps


def test_hints_and_fences_do_nothing(both):
    data = numbers(both, "i4", (8, 16))
    tensor = make_map(data, "s32", (16, 8), (16, 4))
    body = (
        "mov.b64 %rd9, map; mov.u64 %rd7, 0;"
        + BEGIN
        + """
        prefetch.tensormap [%rd9]; prefetch.param.tensormap [%rd9]; fence.mbarrier_init.release.cluster;
        cp.async.bulk.prefetch.tensor.2d.L2.global.tile [%rd9, {0, 0}]; cp.async.bulk.prefetch.L2.global [%rd10], 64;
        cp.async.bulk.prefetch.L2.global.L2::cache_hint [%rd10], 64, %rd7; fence.proxy.async.global;
        fence.proxy.async.shared::cluster; fence.proxy.tensormap::generic.release.gpu;
        fence.proxy.tensormap::generic.acquire.sys [%rd9], 128;
        @%p1 cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint
        [%r21], [%rd9, {0, 4}], [%r20], %rd7;"""
        + WAIT
        + TAKE
        + """bar.sync 0;
        @%p1 cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group.L2::cache_hint [%rd9, {0, 0}], [%r21], %rd7;
        cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;"""
    )
    out = both.array(64)
    expected = data[64:].copy()
    run(both, body, 256, [tensor, out, data])
    np.testing.assert_array_equal(out.view("i4"), expected)
    np.testing.assert_array_equal(data[:64], expected)


def fault_of(both, body, n_bytes, arguments, **options):
    text = program(both, body, n_bytes, **options)
    with pytest.raises(KernelFault) as caught:
        load_ptx(text)["k"].launch(1, N_THREADS, arguments)
    return caught.value


LOAD_2D = "mov.b64 %rd9, map;" + BEGIN + LOAD.format(rank=2, space="shared::cta", at="0, 0")


def spoilt(octets, offset, *values):
    return octets[:offset] + bytes(values) + octets[offset + len(values) :]


@pytest.mark.parametrize(
    ("offset", "values", "said"),
    [
        (8, (0, 0, 0, 0), "where there is none"),
        (12, (2,), "another number of dimensions"),
        (13, (12,), "type of elements is not emulated"),
        (96, (0, 0, 0, 0), "box or element strides are out of range"),
        (117, (9,), "box or element strides are out of range"),
        (14, (4,), "swizzle or interleaved layout"),
        (16, (1,), "swizzle or interleaved layout"),
        (14, (1,), "rows wider than its swizzle"),
        (14, (3,), "rows narrower than its swizzle"),
        (15, (1,), "fills with NaN"),
        (0, (8,), "multiples of 16 bytes"),
        (64, (8,), "multiples of 16 bytes"),
    ],
)
def test_what_is_no_map_is_named(both, offset, values, said):
    data = numbers(both, "i4", (8, 16))
    tensor = spoilt(make_map(data, "s32", (16, 8), (16, 4)), offset, *values)
    error = fault_of(both, LOAD_2D, 256, [tensor, both.array(64), data])
    assert said in str(error)
    assert error.kind == "tensor map"


def test_a_box_outside_the_memory_of_the_launch_is_a_fault(both):
    """A map that says more than the tensor has, and one of a tensor that the launch is not given."""
    data = numbers(both, "i4", (8, 16))
    longer = spoilt(make_map(data, "s32", (16, 8), (16, 4)), 33, 1)
    body = LOAD_2D.replace("{0, 0}", "{0, 254}")
    error = fault_of(both, body, 256, [longer, both.array(64), data])
    assert error.kind == "out-of-bounds access"
    other = numbers(both, "i4", (8, 16))
    error = fault_of(both, LOAD_2D, 256, [make_map(other, "s32", (16, 8), (16, 4)), both.array(64), data])
    assert error.kind == "out-of-bounds access"
    huge = make_map(data, "s32", (16, 1 << 32), (16, 4))
    huge = spoilt(huge, 64, *((1 << 40) - 16).to_bytes(8, "little"))
    error = fault_of(both, LOAD_2D.replace("{0, 0}", "{0, 2147483647}"), 256, [huge, both.array(64), data])
    assert error.kind == "out-of-bounds access"


def test_shared_memory_has_an_end_and_an_alignment(both):
    data = numbers(both, "i4", (8, 16))
    tensor = make_map(data, "s32", (16, 8), (16, 4))
    error = fault_of(both, LOAD_2D.replace("[%r21]", "[%r21+64]"), 256, [tensor, both.array(64), data])
    assert error.kind == "misaligned access"
    assert "multiple of 128" in str(error)
    error = fault_of(both, LOAD_2D.replace("[%r21]", "[%r21+8192]"), 256, [tensor, both.array(64), data])
    assert error.kind == "out-of-bounds access"
    assert "shared memory" in str(error)


@pytest.mark.parametrize(
    ("copy", "kind"),
    [
        ("[%r21], [%rd10], 2048", "out-of-bounds access"),
        ("[%r21], [%rd10+4], 16", "misaligned access"),
        ("[%r21+8], [%rd10], 16", "misaligned access"),
        ("[%r21], [%rd10], 20", "misaligned access"),
        ("[%r21+8208], [%rd10], 16", "out-of-bounds access"),
    ],
)
def test_runs_of_bytes_that_cannot_be(both, copy, kind):
    body = BEGIN + f"@%p1 cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes {copy}, [%r20];"
    error = fault_of(both, body, 16, [both.array(4), numbers(both, "u4", 256)], has_map=False)
    assert error.kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "cp.async.bulk.tensor.2d.shared::cta.global.mbarrier::complete_tx::bytes.multicast::cluster "
        "[%r21], [%rd9, {0, 0}], [%r20], %h1;",
        "cp.async.bulk.tensor.3d.shared::cta.global.im2col.mbarrier::complete_tx::bytes "
        "[%r21], [%rd9, {0, 0, 0}], [%r20], {%h1};",
        "cp.async.bulk.tensor.2d.shared::cta.global.tile::gather4.mbarrier::complete_tx::bytes "
        "[%r21], [%rd9, {0, 0, 1, 2, 3}], [%r20];",
        "cp.async.bulk.shared::cta.shared::cta.mbarrier::complete_tx::bytes [%r21], [%r21], 16, [%r20];",
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.min.f32 [%rd10], [%r21], 16;",
        "cp.async.bulk.tensor.2d.shared::cta.global.mbarrier::complete_tx::bytes [%r21], [%rd9, {0}], [%r20];",
        "tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [%rd9], 4;",
        "tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [%rd9], 12;",
        "tensormap.replace.tile.interleave_layout.shared::cta.b1024.b32 [%rd9], 1;",
    ],
)
def test_what_is_not_emulated_is_refused_by_name(both, text):
    data = numbers(both, "i4", (8, 16))
    with pytest.raises(UnsupportedInstruction):
        load_ptx(program(both, BEGIN + text, 256))["k"].launch(
            1, N_THREADS, [make_map(data, "s32", (16, 8), (16, 4)), both.array(64), data]
        )


def test_a_reduction_of_a_type_without_it_is_named(both):
    data = numbers(both, "f4", (8, 16))
    tensor = make_map(data, "f32", (16, 8), (16, 4))
    body = "mov.b64 %rd9, map; mov.u32 %r21, data; setp.eq.u32 %p1, %r1, 0;"
    body += "@%p1 cp.reduce.async.bulk.tensor.2d.global.shared::cta.max.bulk_group [%rd9, {0, 0}], [%r21];"
    assert "this reduction" in str(fault_of(both, body, 256, [tensor, both.array(64), data]))
