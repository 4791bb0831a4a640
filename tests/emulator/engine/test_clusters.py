"""Clusters on engine and oracle: the barrier, distributed shared memory, and what goes wrong with them."""

import numpy as np
import pytest

from teachkit.emulator import configure, load_ptx, observe, tensor_map
from teachkit.errors import KernelFault, LaunchError, UnsupportedInstruction

SHARED = ".shared .align 8 .b8 bar[16]; .shared .align 16 .b8 data[1024];"
OWN = "mov.u32 %r12, data; shl.b32 %r13, %r1, 2; add.u32 %r14, %r12, %r13;"  # %r14: the thread's word
RANKS = "mov.u32 %r10, %cluster_ctarank; mov.u32 %r11, %cluster_nctarank;"
NEXT = "add.u32 %r15, %r10, 1; rem.u32 %r15, %r15, %r11;"
SYNC = "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;"
OTHERS = "barrier.cluster.arrive; barrier.cluster.wait;"


def program(both, body, size=4, **more):
    directives = f".explicitcluster .reqnctapercluster {size}" if size else ""
    text = both.kernel(body, variables=more.pop("variables", SHARED), directives=directives, **more)
    return text.replace("sm_80", "sm_90")


def run(both, body, grid=8, n_threads=64, size=4, n_out=None, **more):
    out = both.array(n_out or np.prod(grid) * n_threads)
    result = both.run_both(program(both, body, size, **more), "k", grid, n_threads, [out])
    result.check_memory()
    result.check_counters()
    return out, result


def both_threads(both, text, grid, n_threads, out, **more):
    """Counters of one and of two worker threads, which are the same."""
    counted = []
    for n in (1, 2):
        before = configure(n_threads=n)
        launches = []
        try:
            with observe(launches.append):
                load_ptx(text)["k"].launch(grid, n_threads, [out], **more)
        finally:
            configure(n_threads=before.n_threads)
        counted.append(launches[0].counters)
    assert counted[0] == counted[1]
    return counted[0]


@pytest.mark.parametrize("sync", [SYNC, OTHERS])
def test_a_ring_of_blocks(both, sync):
    """Each block reads what the next one of its cluster stored; a load counts as one of shared memory."""
    body = f"""{RANKS} {OWN} {NEXT} st.shared.u32 [%r14], %r2; {sync}
    mapa.shared::cluster.u32 %r16, %r14, %r15; ld.shared::cluster.u32 %r17, [%r16];
    st.global.u32 [%rd1], %r17; {sync}"""
    out, result = run(both, body)
    blocks = np.arange(512).reshape(2, 4, 64)
    np.testing.assert_array_equal(out, np.roll(blocks, -1, axis=1).ravel())
    assert result.launch.counters.shared_load_wavefronts == 8 * 2
    assert result.launch.counters.barriers == 8 * 2 * 2
    both_threads(both, program(both, body), 64, 64, both.array(64 * 64))


def test_special_registers(both):
    """A grid of 4 x 6 x 2 blocks in clusters of 2 x 3 x 1."""
    names = "cluster_ctaid.x cluster_ctaid.y cluster_ctaid.z cluster_nctaid.x cluster_nctaid.y cluster_nctaid.z"
    names += " clusterid.x clusterid.y clusterid.z nclusterid.x nclusterid.y nclusterid.z"
    names = (names + " cluster_ctarank cluster_nctarank").split()
    reads = "".join(f"mov.u32 %r20, %{name}; st.global.u32 [%rd1+{128 * i}], %r20;" for i, name in enumerate(names))
    body = f"""mov.u32 %r4, %ctaid.y; mov.u32 %r5, %ctaid.z; mad.lo.u32 %r4, %r5, 6, %r4; mad.lo.u32 %r4, %r4, 4, %r3;
    mul.lo.u32 %r4, %r4, {32 * 16}; add.u32 %r4, %r4, %r1; mul.wide.u32 %rd1, %r4, 4; add.s64 %rd1, %rd0, %rd1; {reads}
    mov.pred %p1, %is_explicit_cluster; selp.u32 %r20, 7, 0, %p1; st.global.u32 [%rd1+{128 * 14}], %r20;"""
    out, _ = run(both, body, (4, 6, 2), 32, "2, 3, 1", n_out=48 * 32 * 16)
    out = out.reshape(2, 6, 4, 16, 32)[..., 0]
    z, y, x = np.indices((2, 6, 4))
    expected = [x % 2, y % 3, 0 * z, 2, 3, 1, x // 2, y // 3, z, 2, 2, 2, x % 2 + 2 * (y % 3), 6, 7]
    for i, each in enumerate(expected):
        np.testing.assert_array_equal(out[..., i], np.broadcast_to(each, x.shape), names[i] if i < 14 else "explicit")


def test_stores_and_atomics_in_other_blocks(both):
    """Every thread adds to a word of block 0, stores to the last block, and swaps in the next one."""
    body = f"""{RANKS} {OWN} {NEXT} mov.u32 %r20, 0; st.shared.u32 [%r14], %r20; st.shared.u32 [%r14+256], %r20;
    st.shared.u32 [%r14+512], %r20; {SYNC}
    mapa.shared::cluster.u32 %r16, %r12, 0; atom.shared::cluster.add.u32 %r17, [%r16+4], %r1;
    red.relaxed.cluster.shared::cluster.max.u32 [%r16+8], %r2;
    sub.u32 %r18, %r11, 1; mapa.shared::cluster.u32 %r19, %r14, %r18;
    setp.eq.u32 %p1, %r10, 1; @%p1 st.shared::cluster.u32 [%r19+256], %r2;
    mapa.shared::cluster.u32 %r21, %r14, %r15; atom.shared::cluster.exch.b32 %r22, [%r21+512], %r2; {SYNC}
    ld.shared.u32 %r23, [%r14]; ld.shared.u32 %r24, [%r14+256]; ld.shared.u32 %r25, [%r14+512];
    mad.lo.u32 %r23, %r23, 3, %r24; mad.lo.u32 %r23, %r23, 3, %r25; st.global.u32 [%rd1], %r23; {SYNC}"""
    out, _ = run(both, body)
    number = np.arange(512).reshape(2, 4, 64)
    first, second, third = np.zeros((3, 2, 4, 64), np.int64)
    first[:, 0, 1], first[:, 0, 2] = 4 * sum(range(64)), number[:, 3, 63]
    second[:, 3], third = number[:, 1], np.roll(number, 1, axis=1)
    np.testing.assert_array_equal(out, ((first * 3 + second) * 3 + third).ravel())
    both_threads(both, program(both, body), 64, 64, both.array(64 * 64))


def test_generic_addresses(both):
    """``mapa`` and ``getctarank`` of generic addresses, conversions, and what is in which space."""
    body = f"""{RANKS} {OWN} {NEXT} cvt.u64.u32 %rd5, %r14; cvta.shared.u64 %rd6, %rd5; st.u32 [%rd6], %r2; {SYNC}
    mapa.u64 %rd7, %rd6, %r15; getctarank.u64 %r16, %rd7; ld.u32 %r17, [%rd7]; atom.add.u32 %r18, [%rd7], 5;
    isspacep.shared::cluster %p1, %rd7; isspacep.shared::cta %p2, %rd7; isspacep.shared::cta %p3, %rd6;
    isspacep.global %p4, %rd7; selp.u32 %r19, 1, 0, %p1; @%p2 add.u32 %r19, %r19, 2; @%p3 add.u32 %r19, %r19, 4;
    @%p4 add.u32 %r19, %r19, 8; cvta.to.shared::cluster.u64 %rd8, %rd7; getctarank.shared::cluster.u64 %r20, %rd8;
    cvt.u32.u64 %r21, %rd8; {SYNC} ld.shared::cluster.u32 %r22, [%r21]; cvta.shared::cluster.u64 %rd9, %rd8;
    st.u32 [%rd9], %r22; getctarank.shared::cluster.u32 %r23, %r14; getctarank.u64 %r24, %rd6;
    mad.lo.u32 %r17, %r17, 10, %r16; mad.lo.u32 %r17, %r17, 10, %r19; mad.lo.u32 %r17, %r17, 10, %r20;
    mad.lo.u32 %r17, %r17, 10, %r23; mad.lo.u32 %r17, %r17, 10, %r24; add.u32 %r17, %r17, %r22;
    st.global.u32 [%rd1], %r17; {SYNC}"""
    out, _ = run(both, body)
    other = np.roll(np.arange(512).reshape(2, 4, 64), -1, axis=1)
    rank = np.arange(4)[None, :, None]
    expected = ((((other * 10 + (rank + 1) % 4) * 10 + 5) * 10 + (rank + 1) % 4) * 10 + rank) * 10 + rank + other + 5
    np.testing.assert_array_equal(out, expected.ravel().astype(np.uint32))


def test_an_address_means_the_same_in_every_block(both):
    """Block 0 is told by the others where they keep their data, by addresses of 32 bits and generic ones."""
    body = f"""{RANKS} {OWN} st.shared.u32 [%r14], %r2; {SYNC}
    mapa.shared::cluster.u32 %r16, %r12, %r10; mapa.shared::cluster.u32 %r17, %r12, 0;
    shl.b32 %r18, %r10, 4; add.u32 %r17, %r17, %r18; st.shared::cluster.u32 [%r17+512], %r16;
    mov.u64 %rd5, data; cvta.shared.u64 %rd5, %rd5; mapa.u64 %rd5, %rd5, %r10; st.shared::cluster.u64 [%r17+520], %rd5;
    {SYNC} mov.u32 %r20, 0; setp.ne.u32 %p1, %r10, 0; @%p1 bra DONE;
    and.b32 %r21, %r1, 3; shl.b32 %r22, %r21, 4; add.u32 %r22, %r22, %r12;
    ld.shared.u32 %r23, [%r22+512]; ld.shared.u64 %rd6, [%r22+520]; add.u32 %r23, %r23, %r13;
    ld.shared::cluster.u32 %r20, [%r23]; cvt.u64.u32 %rd7, %r13; add.u64 %rd6, %rd6, %rd7; ld.u32 %r24, [%rd6];
    mad.lo.u32 %r20, %r20, 1000, %r24; DONE: st.global.u32 [%rd1], %r20; {SYNC}"""
    out, _ = run(both, body)
    t = np.arange(64)
    expected = np.zeros((2, 4, 64))
    expected[:, 0] = 1001 * (np.arange(2)[:, None] * 256 + t % 4 * 64 + t)
    np.testing.assert_array_equal(out, expected.ravel())


def test_threads_that_end_have_arrived(both):
    """Odd lanes of block 1 and all of block 2 leave before the others meet three times; one warp stays in part."""
    body = f"""{RANKS} {OWN} st.shared.u32 [%r14], %r2; st.global.u32 [%rd1], %r2; {OTHERS}
    setp.eq.u32 %p1, %r10, 2; @%p1 ret; and.b32 %r20, %r1, 1; setp.ne.u32 %p2, %r20, 0;
    setp.eq.and.u32 %p3, %r10, 1, %p2; @%p3 ret;
    {OTHERS} {OTHERS} mapa.shared::cluster.u32 %r16, %r14, 0; ld.shared::cluster.u32 %r17, [%r16];
    add.u32 %r17, %r17, 10000; st.global.u32 [%rd1], %r17; {OTHERS}"""
    out, _ = run(both, body)
    number = np.arange(512).reshape(2, 4, 64)
    expected = number.copy()
    expected[:, [0, 3]] = number[:, :1] + 10000
    expected[:, 1, ::2] = number[:, 0, ::2] + 10000
    np.testing.assert_array_equal(out, expected.ravel())


def test_lanes_arrive_apart_and_do_other_things_before_they_wait(both):
    body = f"""{RANKS} {OWN} and.b32 %r20, %r1, 3; setp.eq.u32 %p1, %r20, 0; st.shared.u32 [%r14], %r2;
    @%p1 bra SOME; barrier.cluster.arrive.release; mul.lo.u32 %r21, %r1, 3; bra BOTH;
    SOME: mul.lo.u32 %r21, %r1, 5; barrier.cluster.arrive.release; BOTH: barrier.cluster.wait.acquire;
    {NEXT} mapa.shared::cluster.u32 %r16, %r14, %r15; ld.shared::cluster.u32 %r17, [%r16]; add.u32 %r17, %r17, %r21;
    setp.lt.u32 %p2, %r1, 40; @%p2 barrier.cluster.arrive; @%p2 barrier.cluster.wait; @%p2 bra MORE;
    barrier.cluster.arrive.relaxed; barrier.cluster.wait; MORE: st.global.u32 [%rd1], %r17;"""
    out = both.array(512)
    both.run_both(program(both, body), "k", 8, 64, [out]).check_memory()  # lanes may store in one request or in two
    number, t = np.arange(512).reshape(2, 4, 64), np.arange(64)
    expected = np.roll(number, -1, axis=1) + np.where(t % 4 == 0, 5 * t, 3 * t)
    np.testing.assert_array_equal(out, expected.ravel())


def test_parts_of_warps_and_many_phases(both):
    """72 threads a block, each block adds its neighbour's sum 20 times."""
    body = f"""{RANKS} {OWN} {NEXT} mapa.shared::cluster.u32 %r16, %r14, %r15; add.u32 %r18, %r10, 1; mov.u32 %r20, 0;
    LOOP: st.shared.u32 [%r14], %r18; {OTHERS} ld.shared::cluster.u32 %r17, [%r16]; {OTHERS}
    mad.lo.u32 %r18, %r18, 3, %r17; add.u32 %r20, %r20, 1; setp.lt.u32 %p1, %r20, 20; @%p1 bra LOOP;
    st.global.u32 [%rd1], %r18;"""
    out, _ = run(both, body, 6, 72, 3)
    values = np.arange(1, 4, dtype=np.uint32)
    for _ in range(20):
        values = values * np.uint32(3) + np.roll(values, -1)
    np.testing.assert_array_equal(out, np.tile(np.repeat(values, 72), 2))


def test_arrivals_at_the_barrier_of_another_block(both):
    """Block 0 waits until all threads of the others have arrived at its mbarrier, which they do after they stored."""
    body = f"""{RANKS} {OWN} mov.u32 %r20, bar; setp.ne.u32 %p1, %r1, 0; @%p1 bra INITED;
    mbarrier.init.shared::cta.b64 [%r20], 192; fence.mbarrier_init.release.cluster; INITED: {SYNC}
    mapa.shared::cluster.u32 %r21, %r20, 0; mov.u32 %r26, 0; setp.eq.u32 %p2, %r10, 0; @%p2 bra WAIT;
    mapa.shared::cluster.u32 %r22, %r12, 0; shl.b32 %r23, %r10, 2; add.u32 %r22, %r22, %r23;
    atom.shared::cluster.or.b32 %r24, [%r22], -1; st.shared::cluster.u32 [%r22], %r10;
    mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r21]; bra DONE;
    WAIT: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p3, [%r20], 0; @!%p3 bra WAIT;
    ld.shared.v4.u32 {{%r25, %r26, %r27, %r28}}, [%r12]; mad.lo.u32 %r26, %r26, 10, %r27;
    mad.lo.u32 %r26, %r26, 10, %r28;
    DONE: st.global.u32 [%rd1], %r26; {OTHERS}"""
    out, _ = both.array(512), None
    result = both.run_both(program(both, body), "k", 8, 64, [out])
    result.check_memory()
    expected = np.zeros((2, 4, 64))
    expected[:, 0] = 123
    np.testing.assert_array_equal(out, expected.ravel())
    both_threads(both, program(both, body), 64, 64, both.array(64 * 64))


COPIES = f"""{RANKS} {OWN} mov.u32 %r20, bar; setp.ne.u32 %p1, %r1, 0; @%p1 bra INITED;
    mbarrier.init.shared::cta.b64 [%r20], 1; mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r20], 256;
    fence.mbarrier_init.release.cluster; INITED: {OTHERS}"""
ARRIVED = f"""WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r20], 0; @!%p3 bra WAIT;
    ld.shared.u32 %r25, [%r14]; st.global.u32 [%rd1], %r25; {OTHERS}"""


def copied(both, how, mask=""):
    """What the blocks have of 256 bytes each that block 1 of a cluster copies for block 1, the others for the next."""
    body = f"""{COPIES} @%p1 bra WAIT; shl.b32 %r26, %r3, 8; cvt.u64.u32 %rd5, %r26; add.s64 %rd5, %rd10, %rd5;
    {how}.mbarrier::complete_tx::bytes{mask} {ARRIVED}"""
    out, x = both.array(512), both.array(512)
    x[:] = np.arange(512)
    text = program(both, body, pointers=("x",))
    result = both.run_both(text, "k", 8, 64, [out, x])
    result.check_memory()
    return out.reshape(2, 4, 64), x.reshape(2, 4, 64), result.launch.counters


def test_a_copy_to_several_blocks_reads_once(both):
    """Block 2 of each cluster copies to all, and tells the barrier of each."""
    how = "setp.ne.u32 %p4, %r10, 2; @%p4 bra WAIT; mov.u16 %h1, 15; cp.async.bulk.shared::cluster.global"
    out, x, counters = copied(both, how, ".multicast::cluster [%r12], [%rd5], 256, [%r20], %h1;")
    np.testing.assert_array_equal(out, np.broadcast_to(x[:, 2:3], out.shape))
    assert counters.l2_lookups == 2 * 8 + 8 * 8  # sectors of what is copied, and of what the threads store
    assert counters.compulsory_read_bytes == 2 * 256


def test_two_copies_to_two_blocks_each(both):
    """Blocks 0 and 3 copy to the even and to the odd ones."""
    how = """setp.eq.u32 %p4, %r10, 1; @%p4 bra WAIT; setp.eq.u32 %p4, %r10, 2; @%p4 bra WAIT;
    mov.u16 %h1, 5; setp.eq.u32 %p4, %r10, 3; @%p4 mov.u16 %h1, 10; cp.async.bulk.shared::cluster.global"""
    out, x, _ = copied(both, how, ".multicast::cluster.L2::cache_hint [%r12], [%rd5], 256, [%r20], %h1, %rd6;")
    np.testing.assert_array_equal(out, x[:, [0, 3, 0, 3]])


def test_a_copy_to_another_block(both):
    how = f"""{NEXT} mapa.shared::cluster.u32 %r27, %r12, %r15; mapa.shared::cluster.u32 %r28, %r20, %r15;
    cp.async.bulk.shared::cluster.global"""
    out, x, _ = copied(both, how, " [%r27], [%rd5], 256, [%r28];")
    np.testing.assert_array_equal(out, np.roll(x, 1, axis=1))


@pytest.mark.parametrize("swizzle", [0, 2])
def test_a_box_for_several_blocks(both, swizzle):
    """Blocks 1 and 2 copy a box of 4 rows of 16 floats to two blocks each; rows of 64 bytes may be swizzled."""
    x, out = both.array(16 * 32, np.float32), both.array(512)
    x[:] = np.arange(x.size)
    body = f"""mov.b64 %rd9, map; {COPIES} @%p1 bra WAIT; setp.eq.u32 %p4, %r10, 0; @%p4 bra WAIT;
    setp.eq.u32 %p4, %r10, 3; @%p4 bra WAIT; mov.u16 %h1, 9; setp.eq.u32 %p4, %r10, 2; @%p4 mov.u16 %h1, 6;
    shl.b32 %r26, %r3, 2; cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
    .multicast::cluster [%r12], [%rd9, {{0, %r26}}], [%r20], %h1; {ARRIVED}""".replace(
        "bytes\n    .multi", "bytes.multi"
    )
    variables = ".shared .align 512 .b8 data[1024]; .shared .align 8 .b8 bar[16];"
    text = program(both, body, variables=variables, pointers=("x",)).replace("k(", "k(.param .align 64 .b8 map[128], ")
    where = x.__array_interface__["data"][0]
    box = tensor_map.encode(where, tensor_map.TYPES.index("f32"), [16, 32], [64], [16, 4], swizzle=swizzle)
    both.run_both(text, "k", 8, 64, [box, out, x]).check_memory()
    boxes = x.reshape(2, 4, 64)[:, [1, 2, 2, 1]]
    found = out.view(np.float32).reshape(2, 4, 64)
    np.testing.assert_array_equal(np.sort(found, axis=2) if swizzle else found, boxes)


def test_copies_and_stores_from_block_to_block(both):
    """Half of 256 bytes comes as one copy, the rest by single stores of 4 and of 16 bytes."""
    body = f"""{COPIES} st.shared.u32 [%r14+512], %r2; bar.sync 0; {NEXT} mapa.shared::cluster.u32 %r27, %r12, %r15;
    mapa.shared::cluster.u32 %r28, %r20, %r15; setp.eq.u32 %p5, %r1, 40; add.u32 %r29, %r12, 512;
    @%p5 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r27], [%r29], 128, [%r28];
    add.u32 %r30, %r27, %r13; setp.ge.u32 %p6, %r1, 48;
    @%p6 st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r30], %r2, [%r28];
    shl.b32 %r31, %r1, 4; add.u32 %r30, %r27, %r31; setp.lt.u32 %p7, %r1, 4; add.u32 %r32, %r2, 100;
    @%p7 st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%r30+128], {{%r2, %r32, %r1, %r10}}, [%r28];
    {ARRIVED}"""
    out, _ = both.array(512), None
    result = both.run_both(program(both, body), "k", 8, 64, [out])
    result.check_memory()
    number, t = np.roll(np.arange(512).reshape(2, 4, 64), 1, axis=1), np.arange(4)
    expected = number.copy()
    rank = np.broadcast_to(np.roll(np.arange(4), 1)[None, :, None], (2, 4, 4))
    quads = [number[..., :4], number[..., :4] + 100, np.broadcast_to(t, rank.shape), rank]
    expected[..., 32:48] = np.stack(quads, -1).reshape(2, 4, 16)
    np.testing.assert_array_equal(out, expected.ravel())


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        ("mov.u16 %h1, 16; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
         "[%r12], [%rd0], 256, [%r20], %h1;", "block 4 of a cluster of 4"),
        ("mov.u16 %h1, 3; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
         "[%r12+896], [%rd0], 256, [%r20], %h1;", "of shared memory of block . of its cluster, which has 1040"),
        ("mapa.shared::cluster.u32 %r27, %r12, 9; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
         "[%r27], [%rd0], 256, [%r20];", "block 9 of a cluster of 4"),
        ("mapa.shared::cluster.u32 %r27, %r12, 2; mov.u32 %r28, 1024;"
         "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r27+64], [%r12], %r28, [%r20];",
         "of shared memory of block 2 of its cluster, which has 1040"),
        ("mapa.shared::cluster.u32 %r27, %r20, 9; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
         "[%r12], [%rd0], 256, [%r27];", "block 9 of a cluster of 4"),
    ],
)  # fmt: skip
def test_copies_that_lead_nowhere(both, copy, said):
    with pytest.raises(KernelFault, match=said):
        load_ptx(program(both, f"{COPIES} @%p1 bra PAST; {copy} PAST: {OTHERS}"))["k"][8, 64](both.array(512))


def test_a_size_given_at_launch(both):
    """Without a directive a launch may say how large clusters are; without that each block is one."""
    body = f"{RANKS} {SYNC} mad.lo.u32 %r10, %r10, 10, %r11; st.global.u32 [%rd1], %r10;"
    kernel = load_ptx(program(both, body, 0))["k"]
    for cluster, expected in ((2, [2, 12] * 3), ((3, 1, 1), [3, 13, 23] * 2), (None, [1] * 6)):
        out = both.array(6 * 32)
        kernel.launch(6, 32, [out], cluster=cluster)
        np.testing.assert_array_equal(out.reshape(6, 32)[:, 0], expected)


def test_a_barrier_of_the_whole_grid_in_clusters(both):
    """Every block waits for all blocks of the grid, so clusters have to be resident beside each other."""
    body = f"""{RANKS} {SYNC} setp.ne.u32 %p1, %r1, 0; @%p1 bra PAST; atom.global.add.u32 %r20, [%rd10], 1;
    WAIT: ld.acquire.gpu.global.u32 %r21, [%rd10]; setp.lt.u32 %p2, %r21, 12; @%p2 bra WAIT; PAST: {OTHERS}
    ld.global.u32 %r22, [%rd10]; st.global.u32 [%rd1], %r22;"""
    text = program(both, body, 2, pointers=("count",))
    for n in (1, 2):
        before = configure(n_threads=n)
        out, count = both.array(12 * 32), both.array(1)
        load_ptx(text)["k"][12, 32](out, count)
        configure(n_threads=before.n_threads)
        assert (out == 12).all()


REMOTE = f"{RANKS} {OWN} {NEXT} {SYNC} mapa.shared::cluster.u32 %r16, %r14, %r15;"
GENERIC = f"{RANKS} {OWN} {NEXT} {SYNC} cvt.u64.u32 %rd5, %r14; cvta.shared.u64 %rd5, %rd5; mapa.u64 %rd6, %rd5, %r15;"


PAST = r"byte \d+ of shared memory of block 0 of its cluster, which has 1040"
LOAD = "ld.shared::cluster.u32 %r17,"
STRAYS = {
    "load": (f"{REMOTE} {LOAD} [%r16+1040]; {SYNC}", PAST),
    "before": (f"{REMOTE} st.shared::cluster.u32 [%r16+-100], %r1; {SYNC}", "of shared memory of block"),
    "misaligned": (f"{REMOTE} {LOAD} [%r16+2]; {SYNC}", "Misaligned load of 4 bytes"),
    "atomic": (
        f"{REMOTE} atom.shared::cluster.add.u32 %r17, [%r16+2000], 1; {SYNC}",
        "atomic operation of 4 bytes at byte",
    ),
    "rank": (f"{REMOTE} mapa.shared::cluster.u32 %r16, %r14, 4; {LOAD} [%r16];", "block 4 of a cluster of 4"),
    "far": (
        f"{REMOTE} mapa.shared::cluster.u32 %r16, %r14, 999; st.shared::cluster.u32 [%r16], 1;",
        "of a cluster of 4",
    ),
    "generic": (f"{GENERIC} ld.u32 %r17, [%rd6+1040]; {SYNC}", PAST),
    "generic rank": (f"{GENERIC} mapa.u64 %rd6, %rd5, 9; st.u32 [%rd6], %r1; {SYNC}", "Out-of-bounds store"),
    "global": (f"{GENERIC} mapa.u64 %rd6, %rd0, 1; st.u32 [%rd6], %r1; {SYNC}", "in no block's shared memory"),
    "ended": (
        f"{REMOTE} {LOAD} [%r16]; setp.eq.u32 %p1, %r10, 1; @%p1 ret; {OTHERS} {OTHERS} {LOAD} [%r16];",
        "has not begun, or has ended",
    ),
    "not begun": (
        f"{RANKS} {OWN} mapa.shared::cluster.u32 %r16, %r14, 3; {LOAD} [%r16];",
        "has not begun, or has ended",
    ),
}


@pytest.mark.parametrize(("body", "said"), STRAYS.values(), ids=STRAYS)
def test_what_leads_nowhere_is_a_fault(both, body, said):
    for n in (1, 2):
        before = configure(n_threads=n)
        try:
            with pytest.raises(KernelFault, match=said):
                load_ptx(program(both, body))["k"][64, 64](both.array(64 * 64))
        finally:
            configure(n_threads=before.n_threads)


def test_a_barrier_that_not_all_reach_is_a_deadlock(both):
    """In block 1 one thread waits for the cluster, and the others for that thread at the barrier of the block."""
    body = f"{RANKS} setp.eq.u32 %p1, %r10, 1; setp.ne.and.u32 %p1, %r1, 0, %p1; @%p1 bra OTHER; {OTHERS}"
    with pytest.raises(KernelFault, match="at its barrier, which others never reach") as caught:
        load_ptx(program(both, f"{body} OTHER: bar.sync 0;"))["k"][8, 64](both.array(512))
    assert caught.value.kind == "deadlock"


def test_a_wait_for_an_arrival_that_never_comes(both):
    body = f"""{RANKS} mov.u32 %r20, bar; setp.ne.u32 %p1, %r1, 0; @%p1 bra INITED;
    mbarrier.init.shared::cta.b64 [%r20], 1; INITED: {OTHERS}
    WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r20], 0; @!%p3 bra WAIT;"""
    with pytest.raises(KernelFault, match="never ends"):
        load_ptx(program(both, body))["k"][8, 64](both.array(512))


@pytest.mark.parametrize(
    ("directives", "grid", "cluster", "said"),
    [
        (".reqnctapercluster 4", 6, None, r"multiple of the clusters of \(4, 1, 1\) blocks of kernel 'k', got"),
        (".reqnctapercluster 16", 16, None, "at most 8 blocks"),
        (".reqnctapercluster 4", 8, 2, r"Expected clusters of \(4, 1, 1\) blocks, for which"),
        (".maxclusterrank 2", 8, 4, "at most 2 blocks"),
        (".explicitcluster", 8, None, "Expected the size of a cluster"),
        (".reqntid 32 .blocksareclusters .reqnctapercluster 2", 8, None, "blocksareclusters"),
        ("", 8, 0, "Expected 1 to"),
        ("", 8, (2, 2), "multiple of the clusters"),
    ],
)  # fmt: skip
def test_clusters_that_cannot_be(both, directives, grid, cluster, said):
    text = both.kernel("", directives=directives).replace("sm_80", "sm_90")
    with pytest.raises(LaunchError, match=said):
        load_ptx(text)["k"].launch(grid, 32, [both.array(8)], cluster=cluster)


@pytest.mark.parametrize(
    "text",
    [
        "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r10], %r11, [%r12];",
        "mbarrier.test_wait.shared::cluster.b64 %p1, [%r10], %rd5;",
        "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes.multicast::cluster [%r9], [%rd9], 16, [%r9];",
        "barrier.cluster.sync;",
        "mapa.u32 %r10, %r11, 0;",
    ],
)
def test_what_is_not_there_is_refused_by_name(both, text):
    with pytest.raises(UnsupportedInstruction):
        load_ptx(program(both, text))["k"][4, 32](both.array(128))


def test_checks_and_traces_refuse_clusters(both):
    from teachkit.emulator import check, trace
    from teachkit.errors import TraceError

    text = program(both, SYNC)
    with check(), pytest.raises(LaunchError, match="without clusters to check"):
        load_ptx(text)["k"][4, 32](both.array(128))
    with trace(), pytest.raises(TraceError, match="without clusters to trace"):
        load_ptx(text)["k"][4, 32](both.array(128))
