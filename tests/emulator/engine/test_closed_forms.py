"""Counts against sets of addresses written down in Python: neither the engine nor the oracle has a part in them."""

import dataclasses

import numpy as np
import pytest

from teachkit.emulator import configure, load_ptx, observe

LANES = 32
# name: bytes of a lane, PTX type, registers
KINDS = {
    "u8": (1, "u8", "%h1"), "u16": (2, "u16", "%h1"), "u32": (4, "u32", "%r5"), "u64": (8, "u64", "%rd5"),
    "v2.u16": (4, "v2.u16", "{%h1, %h2}"), "v4.u16": (8, "v4.u16", "{%h1, %h2, %h3, %h4}"),
    "v4.u8": (4, "v4.u8", "{%h1, %h2, %h3, %h4}"), "v2.f32": (8, "v2.f32", "{%f1, %f2}"),
    "v4.u32": (16, "v4.u32", "{%r5, %r6, %r7, %r8}"), "v2.f64": (16, "v2.f64", "{%fd1, %fd2}"),
}  # fmt: skip
# Which place each lane uses, in units of its access.
LANE = np.arange(LANES)
PLACES = {
    "in order": LANE, "backwards": 31 - LANE, "all one": LANE * 0 + 3, "pairs": LANE // 2, "every second": 2 * LANE,
    "every third": 3 * LANE, "every eighth": 8 * LANE, "every ninth": 9 * LANE, "every thirty-second": 32 * LANE,
    "butterfly": LANE ^ 5, "halves far apart": LANE + 100 * (LANE // 16), "off by one": LANE + 1,
    "rows of a tile": 33 * (LANE % 8) + LANE // 8, "swizzled column": 32 * LANE + (LANE ^ 7),
    "disorder": np.random.default_rng(7).permutation(LANES) * 3, "few": LANE % 5,
    "anywhere": np.random.default_rng(8).integers(0, 1024, LANES),
}  # fmt: skip
MASKS = {"all": 0xFFFFFFFF, "odd": 0xAAAAAAAA, "first five": 31, "last": 1 << 31, "second half": 0xFFFF0000, "none": 0}
N_BYTES = 16 * 1100


def access(both, space, kind, direction):
    """PTX of one access at byte ``x[lane]`` of the room, by the lanes of ``mask``."""
    _, ptx_type, registers = KINDS[kind]
    base = "cvt.u64.u32 %rd3, %r4; add.s64 %rd3, %rd0, %rd3;"
    where = "%rd3"
    if space == "shared":
        base, where = "mov.u32 %r9, room; add.u32 %r4, %r4, %r9;", "%r4"
    one = f"ld.{space}.{ptx_type} {registers}, [{where}];"
    if direction == "store":
        one = f"st.{space}.{ptx_type} [{where}], {registers};"
    body = f"""
    mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd10, %rd2; ld.global.u32 %r4, [%rd2]; {base}
    cvt.u32.u64 %r10, %rd11; shr.u32 %r10, %r10, %r1; and.b32 %r10, %r10, 1; setp.ne.u32 %p1, %r10, 0; @%p1 {one}"""
    room = f".shared .align 16 .b8 room[{N_BYTES}];" if space == "shared" else ""
    return both.kernel(body, pointers=["x", "mask"], variables=room)


def run(both, kernel, offsets, mask, shift=0):
    """Counters of one warp."""
    x, out = both.array(LANES), both.array(N_BYTES + 64, "u1", shift=shift)
    x[:] = offsets
    found = []
    with observe(found.append):
        kernel[1, LANES](out, x, mask)
    return found[0].counters


def cases(size):
    for place, numbers in PLACES.items():
        for name, mask in MASKS.items():
            yield f"{place}, {name}", numbers * size, mask, [lane for lane in range(LANES) if mask >> lane & 1]


@pytest.mark.parametrize("direction", ["load", "store"])
@pytest.mark.parametrize("kind", KINDS)
def test_sectors(both, kind, direction):
    size = KINDS[kind][0]
    kernel = load_ptx(access(both, "global", kind, direction))["k"]
    for shift in (0, 16):
        for name, offsets, mask, lanes in cases(size):
            c = run(both, kernel, offsets, mask, shift)
            sectors = {(shift + offsets[lane] + k) // 32 for lane in lanes for k in range(size)}
            index = 4 if direction == "load" else 0  # the load of x[lane]: one request of 4 whole sectors
            requests, n_sectors, n_bytes = (
                getattr(c, f"global_{direction}_{n}") for n in ("requests", "sectors", "bytes")
            )
            assert n_sectors - index == len(sectors), (name, shift)
            assert n_bytes - 32 * index == len(lanes) * size, (name, shift)
            assert requests - index // 4 == bool(lanes), (name, shift)
            if direction == "load":
                assert c.compulsory_read_bytes == 128 + 32 * len(sectors), (name, shift)
            else:
                assert c.compulsory_write_bytes == c.dram_write_bytes == 32 * len(sectors), (name, shift)
                assert c.dram_read_bytes == 128, (name, shift)


def wavefronts(offsets, lanes, size):
    """The definition: phases of 32, 16 or 8 lanes; in each, the most different words that one bank has to give."""
    n_lanes = LANES * 4 // max(size, 4)
    total = ideal = 0
    for first in range(0, LANES, n_lanes):
        words = {(offsets[lane] + k) // 4 for lane in lanes if first <= lane < first + n_lanes for k in range(size)}
        banks = np.bincount([word % 32 for word in words], minlength=32) if words else np.zeros(32, int)
        total += banks.max()
        ideal += bool(words)
    return total, ideal


@pytest.mark.parametrize("direction", ["load", "store"])
@pytest.mark.parametrize("kind", KINDS)
def test_wavefronts(both, kind, direction):
    size = KINDS[kind][0]
    kernel = load_ptx(access(both, "shared", kind, direction))["k"]
    for name, offsets, mask, lanes in cases(size):
        c = run(both, kernel, offsets, mask)
        total, ideal = wavefronts(offsets, lanes, size)
        assert getattr(c, f"shared_{direction}_wavefronts") == total, name
        assert c.shared_excess_wavefronts == total - ideal, name


# One instruction, what it counts as, and how much a lane.
OPERATIONS = {
    "add.f32 %f1, %f2, %f3;": ("flop_fp32", 1), "fma.rn.f32 %f1, %f2, %f3, %f1;": ("flop_fp32", 2),
    "mul.rn.f32 %f1, %f2, %f3;": ("flop_fp32", 1), "sub.ftz.f32 %f1, %f2, %f3;": ("flop_fp32", 1),
    "add.f64 %fd1, %fd2, %fd3;": ("flop_fp64", 1), "fma.rn.f64 %fd1, %fd2, %fd3, %fd1;": ("flop_fp64", 2),
    "mul.f64 %fd1, %fd2, %fd3;": ("flop_fp64", 1), "add.f16 %h1, %h2, %h3;": ("flop_fp16", 1),
    "fma.rn.f16 %h1, %h2, %h3, %h1;": ("flop_fp16", 2), "add.f16x2 %r5, %r6, %r7;": ("flop_fp16", 2),
    "fma.rn.f16x2 %r5, %r6, %r7, %r5;": ("flop_fp16", 4), "fma.rn.bf16x2 %r5, %r6, %r7, %r5;": ("flop_fp16", 4),
    "fma.rn.bf16 %h1, %h2, %h3, %h1;": ("flop_fp16", 2),
    "ex2.approx.f32 %f1, %f2;": ("sfu_ops", 1), "lg2.approx.f32 %f1, %f2;": ("sfu_ops", 1),
    "sin.approx.f32 %f1, %f2;": ("sfu_ops", 1), "rsqrt.approx.f32 %f1, %f2;": ("sfu_ops", 1),
    "rcp.approx.f32 %f1, %f2;": ("sfu_ops", 1), "sqrt.approx.f32 %f1, %f2;": ("sfu_ops", 1),
    "tanh.approx.f32 %f1, %f2;": ("sfu_ops", 1), "add.s32 %r5, %r6, %r7;": ("int_ops", 1),
    "mul.lo.s32 %r5, %r6, %r7;": ("int_ops", 1), "xor.b32 %r5, %r6, %r7;": ("int_ops", 1),
    "add.s64 %rd5, %rd6, %rd7;": ("int_ops", 1), "mov.u32 %r5, %r6;": (None, 0),
}  # fmt: skip


@pytest.mark.parametrize("line", OPERATIONS)
def test_operations(both, line):
    field, each = OPERATIONS[line]
    n_times = 3
    plain, guarded = "", f"setp.lt.u32 %p1, %r1, 7; {f'@%p1 {line} ' * n_times}"
    counts = []
    for body in (plain, "setp.lt.u32 %p1, %r1, 7;", guarded):
        found = []
        with observe(found.append):
            load_ptx(both.kernel(body))["k"][2, 40](both.array(80))
        counts.append(found[0].counters)
    before, after = counts[1:]
    for name in ("flop_fp64", "flop_fp32", "flop_fp16", "flop_tensor", "sfu_ops", "int_ops"):
        expected = 2 * 7 * n_times * each if name == field else 0
        assert getattr(after, name) - getattr(before, name) == expected, name
    assert after.thread_instructions - before.thread_instructions == 2 * 7 * n_times
    assert after.warp_instructions - before.warp_instructions == 2 * 2 * n_times  # the second warp's too, all lanes off


@pytest.mark.parametrize("n_places", [1, 2, 5, 32])
@pytest.mark.parametrize("how", ["atom.global.add.u32 %r5, ", "red.global.add.u32 ", "atom.global.cas.b32 %r5, "])
def test_atomics(both, how, n_places):
    operand = "0, 7" if "cas" in how else "1"
    body = f"""rem.u32 %r4, %r1, {n_places}; mul.wide.u32 %rd2, %r4, 4; add.s64 %rd2, %rd0, %rd2;
    {how} [%rd2], {operand}; setp.lt.u32 %p1, %r1, 3; @%p1 {how} [%rd0], {operand};"""
    found = []
    with observe(found.append):
        load_ptx(both.kernel(body))["k"][3, 64](both.array(64))
    c = found[0].counters
    assert c.atomic_requests == 3 * (2 + 1)  # both warps, then the first alone
    lanes = [np.bincount(np.arange(first, first + 32) % n_places).max() for first in (0, 32)]
    assert c.atomic_max_conflict == max(*lanes, 3)


@pytest.mark.parametrize(("kind", "n_bytes"), [("u8", 1), ("u32", 4), ("v4.u32", 16), ("u64", 8)])
def test_local_bytes(both, kind, n_bytes):
    registers = KINDS[kind][2]
    body = f"""setp.lt.u32 %p1, %r1, 9; mov.u64 %rd2, own; cvta.local.u64 %rd2, %rd2; cvta.to.local.u64 %rd2, %rd2;
    st.local.{kind} [%rd2], {registers}; @%p1 ld.local.{kind} {registers}, [%rd2+16];"""
    found = []
    with observe(found.append):
        load_ptx(both.kernel(body, variables=".local .align 16 .b8 own[32];"))["k"][2, 48](both.array(96))
    assert found[0].counters.local_bytes == 2 * (48 + 9) * n_bytes
    assert found[0].counters.global_load_bytes == found[0].counters.global_store_bytes == 0


@pytest.fixture
def small_cache():
    """A GPU with 6 MiB of L2."""
    old = configure(gpu="V100-SXM2-16GB")
    yield 6 << 20
    configure(gpu=old.gpu)


WRITE_TWICE = """
mov.u32 %r4, 0;
AGAIN: mov.u32 %r5, %r1;
NEXT: mul.wide.u32 %rd2, %r5, 16; add.s64 %rd2, %rd0, %rd2; st.global.v4.u32 [%rd2], {%r5, %r5, %r5, %r5};
add.u32 %r5, %r5, 1024; cvt.u32.u64 %r6, %rd10; setp.lt.u32 %p1, %r5, %r6; @%p1 bra NEXT;
add.u32 %r4, %r4, 1; setp.lt.u32 %p2, %r4, 2; @%p2 bra AGAIN;"""


@pytest.mark.parametrize(("part", "n_writes"), [(0.5, 1), (2, 2)])
def test_what_is_written_twice_goes_to_dram_once_where_the_cache_holds_it(both, small_cache, part, n_writes):
    n_bytes = int(small_cache * part)
    out, found = both.array(n_bytes, "u1"), []
    with observe(found.append):
        load_ptx(both.kernel(WRITE_TWICE, pointers=["n"]))["k"][1, 1024](out, n_bytes // 16)
    c = found[0].counters
    assert c.global_store_bytes == 2 * n_bytes
    assert c.compulsory_write_bytes == n_bytes
    assert c.dram_write_bytes == n_writes * n_bytes
    assert c.dram_read_bytes == 0


@pytest.mark.parametrize("stride", [1, 2, 8, 9, 32])
def test_bytes_of_strided_stores(both, stride):
    """Whole sectors go to memory, also where only a part of each was written; none is read for that."""
    body = f"mul.lo.u32 %r4, %r2, {stride}; mul.wide.u32 %rd2, %r4, 4; add.s64 %rd2, %rd0, %rd2;"
    body += "st.global.u32 [%rd2], %r2;"
    out, found = both.array(128 * stride), []
    with observe(found.append):
        load_ptx(both.kernel(body))["k"][2, 64](out)
    c = found[0].counters
    sectors = {4 * i * stride // 32 for i in range(128)}
    assert c.dram_write_bytes == c.compulsory_write_bytes == 32 * len(sectors)
    assert (c.dram_read_bytes, c.global_store_bytes) == (0, 512)


NOT_SUMS = {"n_launches", "atomic_max_conflict", "l1_hit_rate", "l2_hit_rate"}
# Sectors that two source lines share, and what the caches do, belong to the launch, not to a line.
OF_THE_LAUNCH = {"compulsory_read_bytes", "compulsory_write_bytes", "dram_read_bytes", "dram_write_bytes"}
OF_THE_LAUNCH |= {"l1_lookups", "l2_lookups", "l1_tag_lookups"}


@pytest.mark.parametrize("name", ["add", "copy_strided", "transpose_tiled", "transpose_padded", "read_again"])
def test_source_lines_sum_to_the_kernel(both, samples, name):
    arguments = {
        "add": [(4, 128), 3, 1000], "copy_strided": [(4, 128), 2, 3], "transpose_tiled": [((2, 2), (32, 32)), 2, 64],
        "transpose_padded": [((2, 2), (32, 32)), 2, 64], "read_again": [(2, 128), 2, 1024, 2],
    }  # fmt: skip
    (grid, block), n_arrays, *numbers = arguments[name]
    found = []
    with observe(found.append):
        arrays = [both.array(4096, "f4") for _ in range(n_arrays)]
        load_ptx(samples.cuda_ptx("counting"))[name][grid, block](*arrays, *numbers)
    launch = found[0]
    assert len(launch.by_line) > 1
    for field in dataclasses.fields(launch.counters):
        if field.name in NOT_SUMS | OF_THE_LAUNCH:
            continue
        total = sum(getattr(counters, field.name) for counters in launch.by_line.values())
        assert total == getattr(launch.counters, field.name), field.name


def test_counts_of_atomics_do_not_depend_on_the_number_of_threads(both):
    body = """rem.u32 %r4, %r2, 7; mul.wide.u32 %rd2, %r4, 4; add.s64 %rd2, %rd0, %rd2;
    atom.global.add.u32 %r5, [%rd2], %r1; atom.global.max.u32 %r6, [%rd2+32], %r5; bar.sync 0;"""
    results = []
    for n_threads in (1, 2, 3):
        old = configure(n_threads=n_threads)
        try:
            out, found = both.array(32), []
            with observe(found.append):
                load_ptx(both.kernel(body))["k"][3000, 96](out)
            results.append((found[0].counters, out.tolist()))
        finally:
            configure(n_threads=old.n_threads)
    assert results[0] == results[1] == results[2]
