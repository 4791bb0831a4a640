"""Counts that a pencil can check: streaming, strides, transposes, bank conflicts, branches, barriers, alignment."""

import pytest
import torch

LANES = 32


@pytest.fixture
def count(samples, both):
    """Counters of a kernel of counting.cu, and its check against the oracle where the launch is small."""

    def run(name, grid, block, *arguments, oracle=True):
        text = samples.cuda_ptx("counting")
        if not oracle:
            return both.observed(text, name, grid, block, arguments)[0].counters
        found = both.run_both(text, name, grid, block, arguments)
        found.check_counters()
        found.check_memory()
        return found.launch.counters

    return run


def floats(both, *shape):
    """Random float32 at a multiple of 256 bytes."""
    n = 1
    for size in shape:
        n *= size
    out = both.array(n, "f4")
    out[:] = torch.randn(n, generator=torch.Generator().manual_seed(n)).numpy()
    return out


def test_vector_add(count, both):
    n = 4096
    x, y, out = floats(both, n), floats(both, n), both.array(n, "f4")
    c = count("add", n // 256, 256, x, y, out, n)
    assert (c.global_load_requests, c.global_store_requests) == (2 * n // LANES, n // LANES)
    assert (c.global_load_bytes, c.global_store_bytes) == (8 * n, 4 * n)
    assert c.global_load_sectors + c.global_store_sectors == 3 * n // 8
    assert (c.compulsory_read_bytes, c.compulsory_write_bytes) == (8 * n, 4 * n)
    assert (c.dram_read_bytes, c.dram_write_bytes) == (8 * n, 4 * n)
    assert c.dram_bytes == 12 * n
    assert c.flop == c.flop_fp32 == n
    assert (c.branches, c.divergent_branches) == (n // LANES, 0)
    assert (c.l1_hit_rate, c.l2_hit_rate) == (0.0, 0.0)
    assert c.n_launches == 1


def test_vector_add_of_an_odd_size_touches_what_it_must(count, both):
    n = 1000
    x, y, out = floats(both, n), floats(both, n), both.array(n, "f4")
    c = count("add", 4, 256, x, y, out, n)
    assert (c.global_load_bytes, c.global_store_bytes) == (8 * n, 4 * n)
    assert c.global_load_requests == 2 * 32  # 31 whole warps and one of 8 threads
    assert (c.branches, c.divergent_branches) == (32, 1)
    assert c.global_store_sectors == n // 8
    assert c.dram_bytes == 12 * n


def test_in_place_reads_and_writes_the_same_bytes(count, both):
    n = 2048
    x = floats(both, n)
    c = count("add", n // 256, 256, x, x, x, n)
    assert c.global_load_bytes == 8 * n
    assert (c.compulsory_read_bytes, c.compulsory_write_bytes) == (4 * n, 4 * n)
    assert (c.dram_read_bytes, c.dram_write_bytes) == (4 * n, 4 * n)
    assert c.l1_hit_rate == 0.5  # the second operand


@pytest.mark.parametrize(("stride", "sectors"), [(1, 128), (2, 256), (8, 1024), (32, 1024)])
def test_strided_copy(count, both, stride, sectors):
    n = 1024
    x, out = floats(both, n * stride), both.array(n, "f4")
    c = count("copy_strided", n // 256, 256, x, out, stride)
    assert c.global_load_sectors == sectors
    assert c.global_store_sectors == 128
    assert c.global_load_bytes == c.global_store_bytes == 4 * n
    assert c.dram_read_bytes == c.compulsory_read_bytes == 32 * sectors
    assert c.dram_write_bytes == 4 * n


@pytest.mark.parametrize(("shift", "sectors"), [(0, 4), (4, 5), (16, 5), (28, 5), (32, 4)])
def test_an_unaligned_base_costs_a_sector_a_request(count, both, shift, sectors):
    n = 1024
    room = floats(both, n + 8)
    x, out = room[shift // 4 : shift // 4 + n], both.array(n, "f4")
    c = count("copy_strided", n // 256, 256, x, out, 1)
    assert c.global_load_sectors == sectors * n // LANES
    assert c.compulsory_read_bytes == 4 * n + (32 if sectors == 5 else 0)


def test_transposes(count, both):
    n = 64
    x, out = floats(both, n, n), both.array(n * n, "f4")
    warps, grid, block = n * n // LANES, (n // 32, n // 32), (32, 32)
    naive = count("transpose_naive", grid, block, x, out, n)
    assert (out.reshape(n, n) == x.reshape(n, n).T).all()
    assert (naive.global_load_sectors, naive.global_store_sectors) == (4 * warps, 32 * warps)
    assert naive.barriers == naive.shared_load_wavefronts == naive.shared_store_wavefronts == 0
    tiled = count("transpose_tiled", grid, block, x, out, n)
    assert (tiled.global_load_sectors, tiled.global_store_sectors) == (4 * warps, 4 * warps)
    assert (tiled.shared_store_wavefronts, tiled.shared_load_wavefronts) == (warps, 32 * warps)
    assert tiled.shared_excess_wavefronts == 31 * warps
    assert tiled.barriers == warps
    padded = count("transpose_padded", grid, block, x, out, n)
    assert (padded.shared_store_wavefronts, padded.shared_load_wavefronts) == (warps, warps)
    assert padded.shared_excess_wavefronts == 0
    for c in (naive, tiled, padded):
        assert (c.global_load_bytes, c.global_store_bytes) == (4 * n * n, 4 * n * n)
        assert (c.dram_read_bytes, c.dram_write_bytes) == (4 * n * n, 4 * n * n)


def test_fused_softmax(samples, both):
    sample = next(s for s in samples.TRITON if s.kernel == "softmax" and "/16" in s.types)
    rows, columns = 3, 1024
    x, out = floats(both, rows, columns), both.array(rows * columns, "f4")
    arguments = [x, out, columns, columns, None, None]
    shared_bytes = samples.triton_shared_bytes(sample)
    launch, _ = both.observed(samples.triton_ptx(sample), "softmax", rows, 128, arguments, shared_bytes)
    c, n = launch.counters, rows * columns
    assert (c.global_load_bytes, c.global_store_bytes) == (4 * n, 4 * n)
    assert c.global_load_requests == c.global_store_requests == n // 4 // LANES  # 16 bytes a lane
    assert c.global_load_sectors == c.global_store_sectors == n // 8
    assert (c.dram_read_bytes, c.dram_write_bytes) == (4 * n, 4 * n)
    assert c.sfu_ops == 2 * n  # an exponential and a division an element
    assert c.branches == c.divergent_branches == c.shared_excess_wavefronts == 0


@pytest.mark.parametrize(
    ("n_bytes", "stride", "wavefronts"),
    [
        *((4, 0, 1), (4, 1, 1), (4, 2, 2), (4, 4, 4), (4, 8, 8), (4, 16, 16), (4, 32, 32), (4, 33, 1), (4, 3, 1)),
        # Half-warps: 16 lanes of 8 bytes fill the 32 banks.
        *((8, 0, 2), (8, 1, 2), (8, 2, 4), (8, 4, 8), (8, 8, 16), (8, 16, 32), (8, 17, 2)),
        # Quarter-warps: 8 lanes of 16 bytes.
        *((16, 0, 4), (16, 1, 4), (16, 2, 8), (16, 4, 16), (16, 8, 32), (16, 9, 4)),
    ],
)
@pytest.mark.parametrize("direction", ["load", "store"])
def test_bank_conflicts(both, n_bytes, stride, wavefronts, direction):
    """``stride`` in units of the access."""
    kind = {4: "u32", 8: "v2.u32", 16: "v4.u32"}[n_bytes]
    registers = {4: "%r5", 8: "{%r5, %r6}", 16: "{%r5, %r6, %r7, %r8}"}[n_bytes]
    access = f"ld.shared.{kind} {registers}, [%r4];"
    if direction == "store":
        access = f"st.shared.{kind} [%r4], {registers};"
    body = f"mov.u32 %r3, tile; mad.lo.u32 %r4, %r1, {n_bytes * stride}, %r3; {access}"
    text = both.kernel(body, variables=".shared .align 16 .b8 tile[8192];")
    found = both.run_both(text, "k", 1, 32, [both.array(32)])
    found.check_counters()
    c = found.launch.counters
    other = "store" if direction == "load" else "load"
    assert getattr(c, f"shared_{direction}_wavefronts") == wavefronts
    assert getattr(c, f"shared_{other}_wavefronts") == 0
    assert c.shared_excess_wavefronts == wavefronts - n_bytes // 4


@pytest.mark.parametrize(
    ("n_bytes", "step_bytes", "wavefronts"),
    [
        *((1, 1, 1), (1, 3, 1), (2, 2, 1), (2, 6, 2), (2, 8, 2)),
        *((4, 0, 1), (4, 4, 1), (4, 8, 2), (4, 12, 1), (4, 16, 4), (4, 20, 1), (4, 128, 32), (4, 132, 1), (4, -8, 2)),
        *((8, 0, 2), (8, 8, 2), (8, 16, 4), (8, 24, 2), (8, 32, 8), (8, 128, 32), (8, 136, 2)),
        *((16, 16, 4), (16, 32, 8), (16, 128, 32), (16, 144, 4)),
    ],
)
def test_global_loads_pass_the_same_banks(both, n_bytes, step_bytes, wavefronts):
    kind = {1: "u8", 2: "u16", 4: "u32", 8: "v2.u32", 16: "v4.u32"}[n_bytes]
    registers = {1: "%r5", 2: "%h1", 4: "%r5", 8: "{%r5, %r6}", 16: "{%r5, %r6, %r7, %r8}"}[n_bytes]
    body = f"""
    mul.lo.s32 %r4, %r1, {step_bytes}; cvt.s64.s32 %rd2, %r4; add.s64 %rd3, %rd0, %rd2; add.s64 %rd3, %rd3, 2048;
    ld.global.{kind} {registers}, [%rd3];"""
    found = both.run_both(both.kernel(body), "k", 1, 32, [both.array(2048)])
    found.check_counters()
    assert found.launch.counters.global_load_wavefronts == wavefronts


def test_global_loads_of_lanes_in_disorder_and_of_few_lanes(both):
    body = """
    xor.b32 %r4, %r1, 5; mul.wide.u32 %rd2, %r4, 64; add.s64 %rd3, %rd0, %rd2; ld.global.u32 %r5, [%rd3];
    setp.lt.u32 %p1, %r1, 5; @%p1 ld.global.u32 %r5, [%rd3];
    setp.gt.u32 %p3, %r1, 99; @%p3 ld.global.u32 %r5, [%rd3];"""
    found = both.run_both(both.kernel(body), "k", 1, 32, [both.array(2048)])
    found.check_counters()
    c = found.launch.counters
    assert c.global_load_wavefronts == 16 + 3  # every second word, two banks; then places 5, 4, 7, 6, 1
    assert c.l1_tag_lookups == 16 + 3


def test_bank_conflicts_of_the_lanes_that_are_on(both):
    body = """
    mov.u32 %r3, tile; mad.lo.u32 %r4, %r1, 128, %r3; setp.lt.u32 %p1, %r1, 5; @%p1 ld.shared.u32 %r5, [%r4];
    and.b32 %r6, %r1, 1; setp.eq.u32 %p2, %r6, 1; @%p2 st.shared.u32 [%r4], %r5;
    setp.gt.u32 %p3, %r1, 99; @%p3 ld.shared.u32 %r5, [%r4];"""
    found = both.run_both(both.kernel(body, variables=".shared .b8 tile[4096];"), "k", 1, 32, [both.array(32)])
    found.check_counters()
    c = found.launch.counters
    assert (c.shared_load_wavefronts, c.shared_store_wavefronts, c.shared_excess_wavefronts) == (5, 16, 4 + 15)


@pytest.mark.parametrize(("condition", "n_divergent"), [("lane % 2", 4), ("warp % 2", 0), ("thread < 40", 1)])
def test_divergent_branches(both, condition, n_divergent):
    test = {
        "lane % 2": "and.b32 %r4, %r1, 1; setp.ne.u32 %p1, %r4, 0;",
        "warp % 2": "and.b32 %r4, %r1, 32; setp.ne.u32 %p1, %r4, 0;",
        "thread < 40": "setp.lt.u32 %p1, %r1, 40;",
    }[condition]
    body = f"{test} @%p1 bra THEN; add.u32 %r5, %r5, 1; THEN: st.global.u32 [%rd1], %r5;"
    found = both.run_both(both.kernel(body), "k", 1, 128, [both.array(128)])
    found.check_counters()
    found.check_memory()
    assert (found.launch.counters.branches, found.launch.counters.divergent_branches) == (4, n_divergent)


def test_barriers_are_counted_a_warp(both):
    found = both.run_both(both.kernel("bar.sync 0; bar.sync 0; bar.sync 1;"), "k", 5, 96, [both.array(1)])
    found.check_counters()
    assert found.launch.counters.barriers == 3 * 3 * 5


def test_instructions_of_lanes_that_are_on(both):
    body = "setp.lt.u32 %p1, %r1, 7; @%p1 add.u32 %r4, %r4, 1; @!%p1 add.f32 %f1, %f1, %f1;"
    found = both.run_both(both.kernel(body), "k", 1, 40, [both.array(1)])
    found.check_counters()
    c = found.launch.counters
    before_and_after = 7 + 1  # the prologue and ret
    assert c.warp_instructions == 2 * (before_and_after + 3)
    assert c.thread_instructions == 40 * (before_and_after + 1) + 7 + 33
    assert c.flop_fp32 == 33
    assert c.int_ops == 40 * (2 + 1 + 1 + 1) + 7  # mad, mul.wide, add and setp; the guarded add


def test_a_working_set_that_fits_the_cache_is_read_from_dram_once(count, both):
    n, n_times = 8192, 3
    x, out = floats(both, n), both.array(256, "f4")
    c = count("read_again", 1, 256, x, out, n, n_times)
    assert c.global_load_bytes == n_times * 4 * n
    assert c.compulsory_read_bytes == c.dram_read_bytes == 4 * n
    assert c.l1_lookups == n_times * n // 8
    assert c.l1_hit_rate == (n_times - 1) / n_times


def test_blocks_on_different_sms_share_the_l2(count, both):
    n = 8192
    x, out = floats(both, n), both.array(256, "f4")
    c = count("read_again", 2, 256, x, out, n, 1)
    assert c.dram_read_bytes == 4 * n
    assert c.l1_hit_rate == 0
    assert c.l2_lookups == 2 * n // 8 + 2 * 32  # and the stores
    assert c.l2_hit_rate == (n // 8 + 32) / c.l2_lookups


@pytest.mark.parametrize(("gpu", "n_reads"), [("V100-SXM2-16GB", 2), ("A100-SXM4-40GB", 1)])
def test_a_working_set_between_two_cache_sizes(count, both, gpu, n_reads):
    """8 MiB read twice: more than the L2 of a V100 (6 MiB), less than that of an A100 (40 MiB)."""
    from teachkit.emulator import configure

    n = 1 << 21
    x, out = both.array(n, "f4"), both.array(1024, "f4")
    old = configure(gpu=gpu)
    try:
        c = count("read_again", 1, 1024, x, out, n, 2, oracle=False)
    finally:
        configure(gpu=old.gpu)
    assert c.dram_read_bytes == n_reads * 4 * n
    assert c.compulsory_read_bytes == 4 * n
