"""Lanes that part and meet again, against plain Python and against the oracle: results and every count."""

import numpy as np
import pytest

SIZES = [(1, 1), (1, 33), (3, 100), (2, 128)]  # blocks, threads


@pytest.fixture
def launch(samples, both):
    """Run a kernel of divergence.cu both ways; returns the engine's counters. The arrays keep the results."""

    def run(name, grid, block, *arguments):
        found = both.run_both(samples.cuda_ptx("divergence"), name, grid, block, arguments)
        found.check_memory()
        found.check_counters()
        return found.launch.counters

    return run


def integers(both, n, low, high):
    x = both.array(n, np.int32)
    x[:] = np.random.default_rng(n).integers(low, high, n)
    return x


def nested(a, i):
    if a & 1:
        result = a * 3 if a & 2 else a - 100 if a & 4 else -a
        return result + 7
    result = a // 3 if a & 8 and i % 5 else 0
    return result ^ i if a & 16 else result


@pytest.mark.parametrize(("grid", "block"), SIZES)
def test_nested_branches(launch, both, grid, block):
    n = grid * block
    x, out = integers(both, n, 0, 1000), both.array(n, np.int32)
    launch("nested", grid, block, x, out)
    assert out.tolist() == [nested(int(a), i) for i, a in enumerate(x)]


def collatz(a):
    n = 0
    while a > 1:
        a, n = 3 * a + 1 if a & 1 else a >> 1, n + 1
    return n


@pytest.mark.parametrize(("grid", "block"), SIZES)
def test_loops_of_different_length(launch, both, grid, block):
    n = grid * block
    x, out = integers(both, n, 1, 30), both.array(n, np.int32)
    launch("collatz", grid, block, x, out)
    assert out.tolist() == [collatz(int(a)) for a in x]


def loops(x, i, before):
    total = 0
    if x < 0:
        return before
    for a in range(12):
        if (a + x) % 3 == 0:
            continue
        if total > 90 + i:
            break
        for b in range(a, x % 7):
            if b == 4:
                break
            total += b * a + 1
        if total == 13:
            return -1
        total += a
    return total


@pytest.mark.parametrize(("grid", "block"), SIZES)
def test_break_continue_and_return(launch, both, grid, block):
    n = grid * block
    x, out = integers(both, n, -3, 40), both.array(n, np.int32, 77)
    launch("loops", grid, block, x, out)
    assert out.tolist() == [loops(int(a), i, 77) for i, a in enumerate(x)]


@pytest.mark.parametrize(("grid", "block"), SIZES)
def test_early_exit(launch, both, grid, block):
    n = grid * block
    x, out = integers(both, n, 0, 40), both.array(n, np.int32, -5)
    launch("early_exit", grid, block, x, out, n - 1)
    assert out.tolist() == [100 // (int(a) % 4) if a % 4 else 0 for a in x[:-1]] + [-5]


@pytest.mark.parametrize("grid", [(1, 1, 1), (2, 3, 1), (2, 1, 2)])
@pytest.mark.parametrize("block", [(1, 1, 1), (5, 3, 2), (32, 2, 1), (3, 3, 8), (4, 1, 9)])
def test_two_and_three_dimensions(launch, both, grid, block):
    n = int(np.prod(grid) * np.prod(block))
    out = both.array(n, np.int32)
    launch("where_am_i", grid, block, out)
    (tz, ty, tx), (bz, by, bx) = np.indices(block[::-1]), np.indices(grid[::-1])
    threads = (tx | ty << 4 | tz << 8).reshape(-1)
    blocks = (bx << 12 | by << 16 | bz << 20).reshape(-1)
    assert (out == (blocks[:, None] ^ threads[None, :]).reshape(-1)).all()


@pytest.mark.parametrize("n_rounds", [0, 1, 3])
def test_barriers_in_uniform_loops(launch, both, n_rounds):
    x, out = integers(both, 256, -9, 99), both.array(256, np.int32)
    counters = launch("block_sum", 2, 128, x, out, n_rounds)
    totals = x.reshape(2, 128).sum(1) * sum(range(1, n_rounds + 1))
    extra = np.array([sum(t % 3 == r % 3 for r in range(n_rounds)) for t in range(128)])
    assert (out.reshape(2, 128) == totals[:, None] + extra).all()
    assert counters.barriers == 2 * 4 * 9 * n_rounds


@pytest.mark.parametrize(("grid", "block"), SIZES)
def test_switch(launch, both, grid, block):
    n = grid * block
    x, out = integers(both, n, 0, 200), both.array(n, np.int32, 10)
    launch("pick", grid, block, x, out)
    cases = {0: lambda a: a + 1, 1: lambda a: 2 * a + 3, 2: lambda a: 13, 5: lambda a: 10 + sum(range((a >> 3) % 5))}
    assert out.tolist() == [cases.get(a & 7, lambda a: -a)(a) for a in map(int, x)]


def ptx(both, body, block=64, variables=""):
    out = both.array(block)
    found = both.run_both(both.kernel(body, variables=variables), "k", 1, block, [out])
    found.check_memory()
    found.check_counters()
    return out


LANE = np.arange(64, dtype=np.uint32)


def test_guards_on_everything(both):
    body = """
    setp.lt.u32 %p1, %r1, 20; setp.gt.u32 %p2, %r1, 10; and.pred %p3, %p1, %p2;
    mov.u32 %r4, 5; @%p1 mov.u32 %r4, 6; @!%p2 add.u32 %r4, %r4, 10;
    @%p3 setp.eq.u32 %p4, %r1, 15; @!%p3 setp.ne.u32 %p4, %r1, 30;
    @%p4 st.global.u32 [%rd1], %r4; @%p3 ld.global.u32 %r5, [%rd1]; @%p3 add.u32 %r5, %r5, 1;
    @%p3 st.global.u32 [%rd1], %r5; @%p1 bra END; @%p2 st.global.u32 [%rd1], 99; END:"""
    out = ptx(both, body)
    expected = np.where(LANE < 20, np.where(LANE <= 10, 16, np.where(LANE == 15, 7, 1)), 99)
    assert (out == expected).all()


def test_a_guarded_return(both):
    assert (
        ptx(both, "setp.lt.u32 %p1, %r1, 40; @%p1 ret; st.global.u32 [%rd1], 3;") == np.where(LANE < 40, 0, 3)
    ).all()
    assert (ptx(both, "setp.eq.u32 %p1, %r1, 1; @!%p1 exit; st.global.u32 [%rd1], 3;") == 3 * (LANE == 1)).all()


def test_a_branch_into_the_middle_and_both_ways_to_one_place(both):
    body = """
    mov.u32 %r4, 0; and.b32 %r5, %r1, 3; setp.eq.u32 %p1, %r5, 0; setp.eq.u32 %p2, %r5, 1;
    @%p1 bra MIDDLE; add.u32 %r4, %r4, 1; @%p2 bra END;
    MIDDLE: add.u32 %r4, %r4, 10; @%p1 bra END; add.u32 %r4, %r4, 100; @%p2 bra END;
    END: st.global.u32 [%rd1], %r4;"""
    assert (ptx(both, body) == np.array([10, 1, 111, 111])[LANE % 4]).all()


def test_a_loop_with_two_exits_and_text_out_of_order(both):
    body = """
    mov.u32 %r4, 0; bra.uni HEAD;
    DONE: st.global.u32 [%rd1], %r4; bra.uni END;
    EARLY: add.u32 %r4, %r4, 1000; bra DONE;
    HEAD: setp.ge.u32 %p1, %r4, %r1; @%p1 bra DONE;
    add.u32 %r4, %r4, 3; setp.gt.u32 %p2, %r4, 30; @%p2 bra EARLY; bra HEAD;
    END:"""
    expected = [1000 + 33 if lane > 30 else -(-lane // 3) * 3 for lane in range(64)]
    assert ptx(both, body).tolist() == expected


def test_a_register_that_only_some_lanes_wrote(both):
    body = "setp.lt.u32 %p1, %r1, 9; @%p1 bra A; mov.u32 %r4, 8; A: st.global.u32 [%rd1], %r4;"
    assert (ptx(both, body) == np.where(LANE < 9, 0, 8)).all()


def test_a_lane_waits_for_a_flag_that_another_warp_sets(both):
    body = """
    mov.u32 %r5, flag; setp.ne.u32 %p1, %r1, 0; @%p1 bra GO; st.shared.u32 [%r5], 0; GO: bar.sync 0;
    setp.ge.u32 %p1, %r1, 32; @%p1 bra SET;
    WAIT: ld.volatile.shared.u32 %r4, [%r5]; setp.ne.u32 %p2, %r4, 7; @%p2 bra WAIT; bra DONE;
    SET: setp.ne.u32 %p3, %r1, 32; @%p3 bra DONE; st.volatile.shared.u32 [%r5], 7;
    DONE: st.global.u32 [%rd1], %r4;"""
    out = both.array(64)
    text = both.kernel(body, variables=".shared .align 4 .u32 flag;")
    _, (memory,) = both.observed(text, "k", 1, 64, [out])  # how often a warp looks is the scheduler's, so no counts
    assert (memory.view(np.uint32)[:32] == 7).all()


@pytest.mark.parametrize("n_threads", [64, 40])
def test_a_branch_that_a_broadcast_decides(both, n_threads):
    """All lanes take what lane 0 holds, so they stay together, though the thread's number went in."""
    body = """mov.u32 %r5, %r1; shfl.sync.idx.b32 %r4, %r1, 0, 31, -1; setp.lt.u32 %p1, %r4, 32; @%p1 bra LOW;
    add.u32 %r5, %r4, 1000; LOW: st.global.b32 [%rd1], %r5;"""
    out = both.array(64)
    run = both.run_both(both.kernel(body), "k", 1, n_threads, [out])
    run.check_memory()
    run.check_counters()
    assert out[:n_threads].tolist() == [i if i < 32 else 1032 for i in range(n_threads)]
    assert run.launch.counters.divergent_branches == 0
