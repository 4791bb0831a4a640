"""Divergence, barriers, warp communication, memory spaces, calls and counts, in hand-written PTX."""

import numpy as np
import pytest

from teachkit.emulator.oracle import run
from teachkit.emulator.oracle.order import execution_order
from teachkit.emulator.oracle.table import known
from teachkit.emulator.ptx import parse
from teachkit.errors import UnsupportedInstruction

HEADER = ".version 8.7\n.target sm_80\n.address_size 64\n"
REGISTERS = ".reg .b16 %h<9>; .reg .b32 %r<20>; .reg .b64 %rd<20>; .reg .pred %p<9>; .reg .f32 %f<9>;"
# %rd1 is this thread's 4-byte element of the first argument, %r1 the thread's number in the block.
PROLOGUE = "ld.param.u64 %rd0, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd1, %r1, 4; add.s64 %rd1, %rd0, %rd1;"


def launch(body, out, *, block=32, grid=1, before="", variables="", shared_bytes=0, arguments=()):
    """Run statements with one array; further arguments are 64-bit pointers %rd10, %rd11..."""
    names = [f"extra{i}" for i in range(len(arguments))]
    parameters = ", ".join(f".param .u64 {name}" for name in ["out", *names])
    loads = "".join(f"ld.param.u64 %rd{10 + i}, [{name}];" for i, name in enumerate(names))
    start = f"{REGISTERS} {variables} {PROLOGUE} {loads}"
    text = f"{HEADER}{before}.visible .entry k({parameters}) {{ {start}\n{body}\nret; }}"
    return run(parse(text), "k", grid, block, [out, *arguments], shared_bytes=shared_bytes)


def words(n, value=0):
    room = np.full(n + 32, value, np.uint32)
    start = -room.__array_interface__["data"][0] % 128 // 4
    return room[start : start + n]


LANE = np.arange(32, dtype=np.uint32)


def test_special_registers():
    out = words(2 * 12)
    body = """
    mov.u32 %r2, %ctaid.y; mov.u32 %r3, %nctaid.x; mad.lo.u32 %r2, %r2, %r3, %ctaid.x;
    mov.u32 %r3, %tid.y; mov.u32 %r4, %ntid.x; mad.lo.u32 %r5, %r3, %r4, %r1;
    mad.lo.u32 %r2, %r2, 6, %r5; mul.wide.u32 %rd2, %r2, 4; add.s64 %rd2, %rd0, %rd2;
    mov.u32 %r6, %laneid; st.global.u32 [%rd2], %r6;"""
    launch(body, out, grid=(2, 2), block=(3, 2))
    assert (out == np.tile(np.arange(6), 4)).all()


def test_an_unguarded_branch_is_no_branch_and_a_uniform_one_does_not_diverge():
    body = "setp.lt.u32 %p1, %r1, 64; @%p1 bra A; add.u32 %r2, %r2, 1; A: bra.uni B; B: st.global.u32 [%rd1], %r2;"
    counters = launch(body, words(32)).counters
    assert (counters.branches, counters.divergent_branches) == (1, 0)


def test_divergent_lanes_meet_again():
    out = words(32)
    body = """
    setp.lt.u32 %p1, %r1, 10; @%p1 bra THEN;
    mov.u32 %r2, 7; bra END;
    THEN: mov.u32 %r2, 5; add.u32 %r2, %r2, 1;
    END: st.global.u32 [%rd1], %r2;"""
    counters = launch(body, out).counters
    assert (out == np.where(LANE < 10, 6, 7)).all()
    assert (counters.branches, counters.divergent_branches) == (1, 1)
    # 4 instructions before, setp and bra, 2 + 2 in the arms, store and ret once for all lanes.
    assert counters.warp_instructions == 4 + 2 + 2 + 2 + 2
    assert counters.thread_instructions == 32 * 8 + 22 * 2 + 10 * 2 - (32 - 10)
    assert counters.global_store_requests == 1


def test_a_loop_runs_until_its_last_lane_and_its_exit_once():
    out = words(64)
    body = """
    mov.u32 %r2, 0; mov.u32 %r4, %laneid;
    LOOP: setp.ge.u32 %p1, %r2, %r4; @%p1 bra DONE; add.u32 %r2, %r2, 1; bra LOOP;
    DONE: st.global.u32 [%rd1], %r2;"""
    counters = launch(body, out, block=64).counters
    assert (out == np.tile(LANE, 2)).all()
    assert counters.branches == 2 * 32
    assert counters.divergent_branches == 2 * 31  # at the last turn only one lane is left
    assert counters.global_store_requests == 2
    assert counters.int_ops == 2 * (2 * 32 + sum(range(32)) + sum(range(33)))  # mul.wide, add; add; setp


def test_a_guard_that_no_lane_passes_still_costs_an_instruction():
    counters = launch("setp.eq.u32 %p1, %r1, 99; @%p1 st.global.u32 [%rd1], %r1;", words(32)).counters
    assert counters.global_store_requests == counters.global_store_bytes == 0
    assert counters.warp_instructions == 4 + 2 + 1
    assert counters.thread_instructions == 32 * (4 + 1 + 1)


def test_a_partial_warp_counts_its_threads():
    counters = launch("st.global.u32 [%rd1], %r1;", words(40), block=40).counters
    assert counters.warp_instructions == 2 * 6
    assert counters.thread_instructions == 40 * 6
    assert counters.global_store_bytes == 160


def test_execution_order_keeps_loops_together():
    #  0 -> 1 (header) -> 2 exit, 3 body -> 4, 5 -> 1
    assert execution_order([[1], [2, 3], [], [4, 5], [1], [1]])[-1] == 2
    # nested loops: 1 {2 {3}} -> 4
    order = execution_order([[1], [4, 2], [3, 1], [2], []])
    assert order[:2] == [0, 1]
    assert order[-1] == 4
    # unreachable block 2
    assert execution_order([[1], [], [1]]) == [0, 1]


def test_shared_memory_and_barrier():
    out = words(128)
    body = """
    shl.b32 %r2, %r1, 2; mov.u32 %r3, tile; add.u32 %r4, %r3, %r2; st.shared.u32 [%r4], %r1;
    bar.sync 0; sub.u32 %r5, 508, %r2; add.u32 %r5, %r5, %r3; ld.shared.u32 %r6, [%r5]; st.global.u32 [%rd1], %r6;"""
    counters = launch(body, out, block=128, variables=".shared .align 4 .b8 tile[512];").counters
    assert (out == np.arange(127, -1, -1)).all()
    assert counters.barriers == 4
    assert (counters.shared_load_wavefronts, counters.shared_store_wavefronts) == (4, 4)
    assert counters.shared_excess_wavefronts == 0


@pytest.mark.parametrize(
    ("stride", "n_bytes", "wavefronts", "ideal"),
    [
        *((1, 4, 1, 1), (2, 4, 2, 1), (3, 4, 1, 1), (8, 4, 8, 1), (32, 4, 32, 1), (33, 4, 1, 1), (0, 4, 1, 1)),
        *((2, 8, 2, 2), (4, 8, 4, 2), (0, 8, 2, 2), (32, 8, 32, 2)),
        *((4, 16, 4, 4), (8, 16, 8, 4), (12, 16, 4, 4), (0, 16, 4, 4)),
    ],
)
def test_bank_conflicts(stride, n_bytes, wavefronts, ideal):
    kind = {4: "u32", 8: "v2.u32", 16: "v4.u32"}[n_bytes]
    registers = {4: "%r5", 8: "{%r5, %r6}", 16: "{%r5, %r6, %r7, %r8}"}[n_bytes]
    body = f"mul.lo.u32 %r2, %r1, {4 * stride}; mov.u32 %r3, tile; add.u32 %r4, %r3, %r2;"
    body += f"ld.shared.{kind} {registers}, [%r4];"
    counters = launch(body, words(32), variables=".shared .align 16 .b8 tile[8192];").counters
    assert counters.shared_load_wavefronts == wavefronts
    assert counters.shared_excess_wavefronts == wavefronts - ideal


def test_bytes_of_one_word_are_one_wavefront():
    body = "mov.u32 %r3, tile; add.u32 %r4, %r3, %r1; ld.shared.u8 %r5, [%r4]; st.shared.u8 [%r4], %r5;"
    counters = launch(body, words(32), variables=".shared .b8 tile[64];").counters
    assert (counters.shared_load_wavefronts, counters.shared_store_wavefronts) == (1, 1)


def test_sectors_of_aligned_shifted_and_scattered_loads():
    out, data = words(32), words(4096, 3)
    for step, shift, sectors in ((4, 0, 4), (4, 4, 5), (8, 0, 8), (32, 0, 32), (128, 0, 32), (0, 0, 1)):
        body = f"mad.wide.u32 %rd2, %r1, {step}, %rd10; ld.global.u32 %r2, [%rd2+{shift}]; st.global.u32 [%rd1], %r2;"
        counters = launch(body, out, arguments=[data]).counters
        assert counters.global_load_sectors == sectors
        assert counters.global_load_bytes == 128
        assert counters.compulsory_read_bytes == 32 * sectors


def test_dynamic_shared_memory():
    out = words(32)
    body = """
    shl.b32 %r2, %r1, 2; mov.u32 %r3, room; add.u32 %r4, %r3, %r2; st.shared.u32 [%r4], %r1;
    ld.shared.u32 %r5, [%r4]; st.global.u32 [%rd1], %r5;"""
    result = launch(body, out, before=".extern .shared .align 16 .b8 room[];", shared_bytes=64)
    assert {fault.kind for fault in result.faults} == {"bounds"}
    assert len(result.faults) == 32  # 16 stores and 16 loads
    assert (out == np.where(LANE < 16, LANE, 0)).all()


def test_out_of_bounds_and_misaligned_lanes_are_masked_and_reported():
    out = words(20)
    neighbour = out.copy()
    result = launch("st.global.u32 [%rd1], %r1;", out)
    assert (out == np.arange(20)).all()
    assert [fault.thread for fault in result.faults] == list(range(20, 32))
    assert result.counters.global_store_bytes == 80
    result = launch("add.s64 %rd1, %rd1, 2; ld.global.u32 %r2, [%rd1];", words(40))
    assert {fault.kind for fault in result.faults} == {"alignment"}
    assert not neighbour.any()


def test_null_pointer():
    result = launch("ld.global.u32 %r2, [%rd10]; st.global.u32 [%rd1], %r2;", words(32, 5), arguments=[None])
    assert len(result.faults) == 32
    assert result.counters.global_load_requests == 0


@pytest.mark.parametrize(
    ("statement", "source"),
    [
        ("shfl.sync.up.b32 %r2|%p1, %r1, 3, 0, -1", np.where(LANE >= 3, LANE - 3, LANE)),
        ("shfl.sync.down.b32 %r2|%p1, %r1, 3, 31, -1", np.where(LANE < 29, LANE + 3, LANE)),
        ("shfl.sync.bfly.b32 %r2|%p1, %r1, 5, 31, -1", LANE ^ 5),
        ("shfl.sync.idx.b32 %r2|%p1, %r1, 7, 31, -1", np.full(32, 7)),
        # c = 0x181f: segments of 8 lanes
        ("shfl.sync.idx.b32 %r2|%p1, %r1, 2, 0x181f, -1", LANE // 8 * 8 + 2),
        ("shfl.sync.down.b32 %r2|%p1, %r1, 3, 0x181f, -1", np.where(LANE % 8 < 5, LANE + 3, LANE)),
        ("shfl.sync.up.b32 %r2|%p1, %r1, 3, 0x1800, -1", np.where(LANE % 8 >= 3, LANE - 3, LANE)),
    ],
)
def test_shuffle(statement, source):
    out = words(32)
    launch(f"{statement}; selp.u32 %r3, 100, 0, %p1; add.u32 %r2, %r2, %r3; st.global.u32 [%rd1], %r2;", out)
    in_range = (source != LANE) | ("idx" in statement)
    assert (out == source + 100 * in_range).all()


def test_vote_match_redux_activemask():
    out = words(32)
    body = "setp.gt.u32 %p1, %r1, 20; vote.sync.ballot.b32 %r2, %p1, -1; st.global.u32 [%rd1], %r2;"
    launch(body, out)
    assert (out == 0xFFE00000).all()
    for mode, expected in (("all", 0), ("any", 1), ("uni", 0)):
        body = f"setp.gt.u32 %p1, %r1, 20; vote.sync.{mode}.pred %p2, %p1, -1;"
        body += "selp.u32 %r2, 1, 0, %p2; st.global.u32 [%rd1], %r2;"
        launch(body, out)
        assert (out == expected).all()
    launch("and.b32 %r3, %r1, 3; match.any.sync.b32 %r2, %r3, -1; st.global.u32 [%rd1], %r2;", out)
    assert (out == np.left_shift(np.uint32(0x11111111), LANE % 4)).all()
    launch("match.all.sync.b32 %r2|%p1, %r1, -1; st.global.u32 [%rd1], %r2;", out)
    assert (out == 0).all()
    for name, expected in (("add", 496), ("min", 0), ("max", 31)):
        launch(f"redux.sync.{name}.u32 %r2, %r1, -1; st.global.u32 [%rd1], %r2;", out)
        assert (out == expected).all()
    launch("redux.sync.xor.b32 %r2, %r1, 0xff; st.global.u32 [%rd1], %r2;", out)
    assert (out[:8] == 0).all()
    body = "setp.lt.u32 %p1, %r1, 4; @!%p1 bra END; activemask.b32 %r2; st.global.u32 [%rd1], %r2; END:"
    out[:] = 0
    launch(body, out)
    assert (out == np.where(LANE < 4, 15, 0)).all()


def test_atomics_return_in_block_warp_lane_order():
    out, counter = words(128), words(1)
    body = "atom.global.add.u32 %r2, [%rd10], 1; mad.lo.u32 %r3, %ctaid.x, 64, %r1;"
    body += "mul.wide.u32 %rd2, %r3, 4; add.s64 %rd2, %rd0, %rd2; st.global.u32 [%rd2], %r2;"
    counters = launch(body, out, grid=2, block=64, arguments=[counter]).counters
    assert (out == np.arange(128)).all()
    assert counter[0] == 128
    assert (counters.atomic_requests, counters.atomic_max_conflict) == (4, 32)
    assert counters.global_load_requests == 0


@pytest.mark.parametrize(
    ("operation", "start", "expected"),
    [
        ("red.global.add.u32 [%rd10], %r1", 5, 5 + 496),
        ("red.global.min.u32 [%rd10], %r1", 5, 0),
        ("red.global.max.u32 [%rd10], %r1", 5, 31),
        ("red.global.xor.b32 [%rd10], %r1", 5, 5),
        ("atom.global.inc.u32 %r2, [%rd10], 6", 0, 32 % 7),
        ("atom.global.dec.u32 %r2, [%rd10], 6", 6, (6 - 32) % 7),
        ("atom.global.exch.b32 %r2, [%rd10], %r1", 0, 31),
        ("atom.global.cas.b32 %r2, [%rd10], %r1, 77", 4, 77),
        ("atom.relaxed.gpu.global.add.f32 %f1, [%rd10], 0f3F800000", 0, 0x42000000),
        ("atom.add.u32 %r2, [%rd10], 1", 0, 32),
    ],
)
def test_atomic_operations(operation, start, expected):
    cell = words(1, start)
    launch(f"{operation};", words(32), arguments=[cell])
    assert cell[0] == expected


def test_shared_atomics_and_generic_addresses():
    out = words(32)
    body = """
    mov.u32 %r2, cell; st.shared.u32 [%r2], 0; bar.sync 0; atom.shared.add.u32 %r3, [%r2], 2;
    mov.u64 %rd2, cell; cvta.shared.u64 %rd2, %rd2; ld.u32 %r4, [%rd2]; st.u32 [%rd1], %r4;
    isspacep.shared %p1, %rd2; @!%p1 trap; isspacep.global %p1, %rd1; @!%p1 trap;
    cvta.to.shared.u64 %rd3, %rd2; cvt.u32.u64 %r5, %rd3; ld.shared.u32 %r6, [%r5];"""
    result = launch(body, out, variables=".shared .align 4 .u32 cell;")
    assert not result.faults
    assert (out == 64).all()
    assert result.counters.shared_load_wavefronts == 2
    assert result.counters.global_store_requests == 1


def test_local_memory_is_each_threads_own():
    out = words(32)
    body = """
    mov.u64 %rd2, stack; cvta.local.u64 %rd3, %rd2; st.local.v2.u32 [%rd2], {%r1, %r1}; st.u32 [%rd3+4], 9;
    ld.local.u32 %r2, [%rd2]; ld.u32 %r3, [%rd3+4]; add.u32 %r2, %r2, %r3; st.global.u32 [%rd1], %r2;"""
    counters = launch(body, out, variables=".local .align 8 .b8 stack[8];").counters
    assert (out == LANE + 9).all()
    assert counters.local_bytes == 32 * (8 + 4 + 4 + 4)
    assert counters.global_load_requests == 0


def test_constant_tables_and_relocations():
    before = ".const .align 4 .u32 table[4] = {10, 20, 30, 40}; .global .u64 pointer = generic(table)+4;"
    out = words(32)
    body = """
    and.b32 %r2, %r1, 3; mul.wide.u32 %rd2, %r2, 4; mov.u64 %rd3, table; add.s64 %rd2, %rd3, %rd2;
    ld.const.u32 %r3, [%rd2];
    ld.global.u64 %rd4, [pointer]; ld.u32 %r4, [%rd4]; add.u32 %r3, %r3, %r4; st.global.u32 [%rd1], %r3;"""
    counters = launch(body, out, before=before).counters
    assert (out == (LANE % 4 + 1) * 10 + 20).all()
    assert counters.global_load_requests == 1  # the pointer; the table is constant memory


def test_calls_direct_indirect_and_divergent():
    before = """
    .func (.param .b32 result) twice(.param .b32 a) { .reg .b32 %r<3>; .reg .pred %p<2>; ld.param.b32 %r1, [a];
      setp.gt.u32 %p1, %r1, 9; @%p1 bra BIG; add.u32 %r1, %r1, %r1; BIG: st.param.b32 [result], %r1; ret; }
    .func (.param .b32 result) next(.param .b32 a) { .reg .b32 %r<3>; ld.param.b32 %r1, [a]; add.u32 %r1, %r1, 1;
      st.param.b32 [result], %r1; ret; }
    .global .u64 functions[2] = {twice, next};"""
    out = words(32)
    body = """
    { .param .b32 p0; st.param.b32 [p0], %r1; .param .b32 r0; call.uni (r0), twice, (p0); ld.param.b32 %r2, [r0]; }
    and.b32 %r3, %r1, 1; mul.wide.u32 %rd2, %r3, 8; mov.u64 %rd3, functions; add.s64 %rd2, %rd3, %rd2;
    ld.global.u64 %rd4, [%rd2];
    { .param .b32 p0; st.param.b32 [p0], %r2; .param .b32 r0; proto: .callprototype (.param .b32 _) _ (.param .b32 _);
      call (r0), %rd4, (p0), proto; ld.param.b32 %r5, [r0]; }
    st.global.u32 [%rd1], %r5;"""
    counters = launch(body, out, before=before).counters
    doubled = np.where(LANE > 9, LANE, 2 * LANE)
    assert (out == np.where(LANE % 2, doubled + 1, np.where(doubled > 9, doubled, 2 * doubled))).all()
    assert counters.global_store_requests == 1


def test_branch_table():
    out = words(32)
    body = """
    and.b32 %r2, %r1, 3; table: .branchtargets A, B, C, A; brx.idx %r2, table;
    A: mov.u32 %r3, 1; bra END; B: mov.u32 %r3, 2; bra END; C: mov.u32 %r3, 3; END: st.global.u32 [%rd1], %r3;"""
    counters = launch(body, out).counters
    assert (out == np.array([1, 2, 3, 1])[LANE % 4]).all()
    assert counters.global_store_requests == 1


def test_carry_chains():
    out = words(64)
    body = """
    mov.u32 %r2, -1; add.cc.u32 %r3, %r2, %r1; addc.u32 %r4, 0, 0; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, %rd2;
    st.global.v2.u32 [%rd2], {%r3, %r4};"""
    launch(body, out)
    assert (out.reshape(-1, 2)[:, 0] == (LANE + 0xFFFFFFFF).astype(np.uint32)).all()
    assert (out.reshape(-1, 2)[:, 1] == (LANE > 0)).all()


def test_vector_loads_packing_and_extension():
    out = words(32)
    data = words(128)
    data[:] = np.arange(128) * 0x01010101
    body = """
    mad.wide.u32 %rd2, %r1, 16, %rd10; ld.global.v4.u32 {%r2, _, %r3, %r4}, [%rd2]; ld.global.s8 %r5, [%rd2+15];
    mov.b32 {%h1, %h2}, %r2; mov.b32 %r6, {%h2, %h1}; xor.b32 %r6, %r6, %r4; add.s32 %r6, %r6, %r5;
    st.global.u32 [%rd1], %r6;"""
    launch(body, out, arguments=[data])
    rows = data.reshape(32, 4)
    swapped = rows[:, 0] << 16 | rows[:, 0] >> 16
    top = (rows[:, 3] >> 24).astype(np.uint8).view(np.int8).astype(np.int32)
    assert (out == (swapped ^ rows[:, 3]) + top.astype(np.uint32)).all()


def test_cp_async_and_ldmatrix():
    out, data = words(32), words(64)
    data[:] = np.arange(64)
    body = """
    shl.b32 %r2, %r1, 4; mov.u32 %r3, tile; add.u32 %r4, %r3, %r2; mad.wide.u32 %rd2, %r1, 16, %rd10;
    setp.lt.u32 %p1, %r1, 16; setp.lt.u32 %p2, %r1, 8; selp.u32 %r5, 16, 0, %p2;
    @%p1 cp.async.cg.shared.global [%r4], [%rd2], 16, %r5; cp.async.commit_group; cp.async.wait_group 0; bar.sync 0;
    ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r6}, [%r4]; st.global.u32 [%rd1], %r6;"""
    counters = launch(body, out, arguments=[data], variables=".shared .align 16 .b8 tile[512];").counters
    assert (out == data[:32]).all()  # row l / 4, elements 2 (l % 4) and the next: word l of the 8 x 8 matrix
    assert (counters.global_load_requests, counters.global_load_bytes, counters.global_load_sectors) == (1, 128, 4)
    assert (counters.shared_store_wavefronts, counters.shared_load_wavefronts) == (2, 1)
    assert counters.shared_excess_wavefronts == 0


def test_barrier_reduction_named_barriers_and_early_exit():
    out = words(96)
    body = """
    setp.ge.u32 %p1, %r1, 64; @%p1 bra LAST; setp.lt.u32 %p2, %r1, 10; bar.red.popc.u32 %r2, 1, 64, %p2;
    st.global.u32 [%rd1], %r2; ret; LAST:"""
    launch(body, out, block=96)
    assert (out == np.where(np.arange(96) < 64, 10, 0)).all()
    result = launch("setp.eq.u32 %p1, %r1, 0; @%p1 exit; bar.sync 0; st.global.u32 [%rd1], 1;", out, block=96)
    assert not result.faults
    assert out[0] == 10


def test_a_missing_arrival_is_a_deadlock():
    body = "setp.lt.u32 %p1, %r1, 32; @%p1 bra A; bar.sync 1; bra END; A: bar.sync 2; END:"
    assert [fault.kind for fault in launch(body, words(64), block=64).faults] == ["deadlock"]


def test_a_warp_that_waits_for_another_one_lets_it_run():
    flag = words(1)
    body = """
    setp.ge.u32 %p1, %r1, 32; @%p1 bra SET;
    WAIT: ld.volatile.global.u32 %r2, [%rd10]; setp.eq.u32 %p2, %r2, 0; @%p2 bra WAIT;
    st.global.u32 [%rd1], %r2; ret; SET: st.volatile.global.u32 [%rd10], 7;"""
    out = words(64)
    launch(body, out, block=64, arguments=[flag])
    assert (out[:32] == 7).all()


def test_trap():
    result = launch("setp.eq.u32 %p1, %r1, 3; @%p1 trap; st.global.u32 [%rd1], 1;", out := words(32))
    assert [(fault.kind, fault.thread) for fault in result.faults] == [("trap", 3)]
    assert out.sum() == 31


def test_breakpoint():
    result = launch("setp.eq.u32 %p1, %r1, 3; @%p1 brkpt; st.global.u32 [%rd1], 1;", out := words(32))
    assert [(fault.kind, fault.thread) for fault in result.faults] == [("breakpoint", 3)]
    assert out.sum() == 31


def test_unknown_opcodes_and_modifiers_say_where():
    for statement in ("frobnicate.b32 %r1, %r2;", "add.weird.s32 %r1, %r2, %r3;", "cvt.rn.f16x2.s32 %r1, %r2;"):
        with pytest.raises(UnsupportedInstruction) as caught:
            launch(f"\n{statement}", words(32))
        assert caught.value.opcode == statement.split()[0]
        assert caught.value.ptx_line == 6


def test_counts_by_kind_of_arithmetic():
    body = """
    add.f32 %f1, %f2, %f3; fma.rn.f32 %f1, %f2, %f3, %f1; div.rn.f32 %f1, %f2, %f3; sqrt.rn.f32 %f1, %f2;
    div.full.f32 %f1, %f2, %f3; ex2.approx.f32 %f1, %f2; min.f32 %f1, %f2, %f3; neg.f32 %f1, %f2;
    fma.rn.f16x2 %r2, %r3, %r4, %r5; add.f64 %rd2, %rd3, %rd4; mad.lo.s32 %r2, %r3, %r4, %r5; setp.lt.f32 %p1, %f1, %f2;
    cvt.rn.f32.s32 %f1, %r2; selp.b32 %r2, %r3, %r4, %p1; and.pred %p1, %p2, %p3; prmt.b32 %r2, %r3, %r4, %r5;"""
    counters = launch(body, words(32)).counters
    assert counters.flop_fp32 == 32 * (1 + 2 + 1 + 1)
    assert counters.flop_fp16 == 32 * 4
    assert counters.flop_fp64 == 32
    assert counters.sfu_ops == 32 * 2
    assert counters.int_ops == 32 * (2 + 2 + 1)  # the prologue's mul.wide and add, mad, prmt


def test_counts_by_source_line_add_up():
    text = (
        HEADER + '.file 1 "/k.py"\n.entry k(.param .u64 out) { .reg .b64 %rd<3>; .reg .b32 %r<3>;\n'
        ".loc 1 3 1\nld.param.u64 %rd1, [out];\n.loc 1 4 1\nadd.s32 %r1, %r2, 1;\nst.global.u32 [%rd1], %r1;\nret; }"
    )
    result = run(parse(text), "k", 1, 32, [words(1)])
    lines = {source.line: counters for source, counters in result.by_line.items()}
    assert lines[3].warp_instructions == 1
    assert lines[4].global_store_requests == 1
    assert sum(c.warp_instructions for c in lines.values()) == result.counters.warp_instructions


def test_parameters_of_every_kind():
    text = (
        HEADER + ".entry k(.param .u64 out, .param .u32 i, .param .f32 f, .param .align 8 .b8 s[16], .param .u8 b)\n"
        "{ .reg .b64 %rd<4>; .reg .b32 %r<9>; ld.param.u64 %rd1, [out]; ld.param.u32 %r1, [i]; ld.param.f32 %r2, [f];\n"
        "ld.param.u32 %r3, [s+12]; ld.param.u8 %r4, [b]; st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4};\n"
        "mov.b64 %rd2, s; ld.param.u32 %r5, [%rd2+4]; st.global.u32 [%rd1+16], %r5; ret; }"
    )
    out = words(8)
    result = run(parse(text), "k", 1, 1, [out, -2, 1.0, np.arange(4, dtype=np.uint32).tobytes(), True])
    assert out[:5].tolist() == [2**32 - 2, 0x3F800000, 3, 1, 1]
    assert result.counters.global_load_requests == 0


def test_views_and_overlapping_buffers_are_one_memory():
    memory = words(64)
    launch(
        "ld.global.u32 %r2, [%rd10]; add.u32 %r2, %r2, %r1; st.global.u32 [%rd1], %r2;",
        memory[:32],
        arguments=[memory[32:]],
    )
    assert (memory[:32] == LANE).all()
    backwards = np.arange(32, dtype=np.uint32)[::-1]
    launch("ld.global.u32 %r2, [%rd1+-4];", words(32), arguments=[backwards])


def test_the_table_lists_its_mnemonics():
    assert {"add", "ldmatrix", "mma", "shfl", "atom", "cp"} <= set(known())


def test_printf_and_assert(samples):
    module = parse(samples.cuda_ptx("language"))
    out = words(256).view(np.float32)
    parameters = np.array([(1.0, 3, 0.5)], dtype=[("x", "f4"), ("n", "i4"), ("d", "f8")]).tobytes()
    result = run(module, "everything", 1, 256, [parameters, out, 2], shared_bytes=1024)
    assert result.printed[0].startswith("thread 0: ")
    assert result.printed[0].endswith(" text\n")
    assert len(result.printed) == 2
    assert result.module_memory["counter"].view(np.int32)[0] == 9
