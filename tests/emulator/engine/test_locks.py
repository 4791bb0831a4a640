"""Locks, tickets and flags between the lanes of one warp: on the engine, and (smaller) on the oracle."""

import numpy as np
import pytest

from teachkit.emulator import check, configure, load_ptx, observe
from teachkit.errors import KernelFault


@pytest.fixture(params=["one thread", "two threads", "oracle"])
def run(request, samples, both):
    """Runs a kernel of locks.cu in place."""
    if request.param == "oracle":

        def on_oracle(name, grid, block, *arguments):
            found = both.run(both.parse(samples.cuda_ptx("locks")), name, grid, block, arguments)
            assert not found.faults, found.faults[:3]

        yield on_oracle
        return
    before = configure()
    configure(n_threads=1 + (request.param == "two threads"))
    yield lambda name, grid, block, *arguments: load_ptx(samples.cuda_ptx("locks"))[name].launch(grid, block, arguments)
    configure(n_threads=before.n_threads)


def words(both, n, value=0):
    return both.array(n, np.int32, value)


@pytest.mark.parametrize(("grid", "block", "n_locks"), [(1, 32, 1), (1, 40, 3), (2, 64, 7)])
@pytest.mark.parametrize("name", ["spin", "done_flag"])
def test_every_thread_has_the_lock_once(run, both, name, grid, block, n_locks):
    n = grid * block
    lock, count, seen = words(both, n_locks), words(both, n_locks), words(both, n, -1)
    run(name, grid, block, lock, count, seen, n_locks)
    for which in range(n_locks):
        mine = seen[which::n_locks]
        assert sorted(mine) == list(range(mine.size))
        assert count[which] == mine.size
    assert not lock.any()


@pytest.mark.parametrize("name", ["tickets", "counting"])
def test_waiting_loops_that_change_registers(run, both, name):
    lock, count, seen = words(both, 2), words(both, 1), words(both, 24, -1)
    run(name, 2, 12, lock, count, seen, 1)
    assert sorted(seen) == list(range(24))
    assert count[0] == 24


def test_lanes_that_have_the_lock_meet_the_others_at_a_barrier(run, both):
    """What each thread sees behind the barrier are the turns of all: 40, then 80."""
    lock, count, seen = words(both, 2), words(both, 2), words(both, 80)
    run("lock_then_barrier", 2, 40, lock, count, seen, 0)
    assert (seen == 40_080).all()


def test_lanes_that_have_the_lock_meet_the_others_at_a_shuffle(run, both):
    lock, count, out = words(both, 1), words(both, 1), words(both, 32)
    run("lock_then_shuffle", 1, 32, lock, count, out)
    mine = out % 100
    assert sorted(mine) == list(range(32))
    assert (out // 100 == mine.reshape(-1, 2)[:, ::-1].reshape(-1)).all()


@pytest.mark.parametrize("n_buckets", [1, 5])
def test_sorted_lists_and_hash_tables(run, both, n_buckets):
    n = 64
    locks, heads, following, keys = (
        words(both, n_buckets),
        words(both, n_buckets, -1),
        words(both, n, -1),
        words(both, n),
    )
    keys[:] = np.random.default_rng(1).permutation(1000)[:n]
    run("insert", 2, 32, locks, heads, following, keys, n_buckets)
    for bucket, at in enumerate(heads):
        found = []
        while at >= 0:
            found.append(keys[at])
            at = following[at]
        assert found == sorted(key for key in keys if key % n_buckets == bucket)


def test_values_handed_from_lane_to_lane(run, both):
    flags, out = words(both, 96), words(both, 96)
    run("hand_down", 3, 32, flags, out)
    assert (out == 2 * np.arange(96)).all()


def test_lanes_that_make_and_lanes_that_use(run, both):
    box, out = words(both, 40), words(both, 40)
    run("produce_and_consume", 1, 40, box, out, 5)
    assert out.tolist() == [0 if i % 2 else 15 * (i // 2) + 5 for i in range(40)]


def test_counters_do_not_depend_on_the_number_of_threads(samples, both):
    counted, before = [], configure()
    for n_threads in (1, 1, 2):
        configure(n_threads=n_threads)
        launches = []
        with observe(launches.append):
            load_ptx(samples.cuda_ptx("locks"))["spin"].launch(
                6, 64, [words(both, 3), words(both, 3), words(both, 384), 3]
            )
        counted.append(launches[0].counters)
    configure(n_threads=before.n_threads)
    assert counted[0] == counted[1] == counted[2]


def test_a_lock_without_contention_costs_no_extra_turns(samples, both):
    """All lanes get their lock at once, so nobody is parked, and every count is the oracle's."""
    arguments = [words(both, 64), words(both, 64), words(both, 64), 64]
    both.run_both(samples.cuda_ptx("locks"), "spin", 1, 64, arguments).check_counters()


@pytest.mark.parametrize("block", [32, 48])
def test_two_locks_in_opposite_order(samples, both, block):
    with pytest.raises(KernelFault, match="never ends") as caught:
        load_ptx(samples.cuda_ptx("locks"))["opposite"].launch(1, block, [words(both, 2), words(both, block)])
    assert caught.value.kind == "endless loop"
    assert "opposite order" in str(caught.value)
    line = int(caught.value.source.rpartition(":")[2])
    assert "atomicCAS" in samples.cuda_source("locks").splitlines()[line - 1]
    assert caught.value.source.endswith(f"locks.cu:{line}")


def test_the_checks_accept_a_lock_between_lanes(samples, both):
    lock, count, seen = words(both, 1), words(both, 1), words(both, 32, -1)
    with check() as report:
        load_ptx(samples.cuda_ptx("locks"))["spin"].launch(1, 32, [lock, count, seen, 1])
    assert not report.findings, report.findings
    assert sorted(seen) == list(range(32))
