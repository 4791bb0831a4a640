"""Launches from several Python threads at once: results, counts and observers do not mix."""

import concurrent.futures
import threading

import numpy as np
import pytest

from teachkit.emulator import configure, load_ptx, observe
from teachkit.emulator.launches import observe_alone
from teachkit.errors import KernelFault

N = 4096
BODY = """
mov.u32 %r5, %r2; mov.u32 %r6, 0;
LOOP: add.u32 %r5, %r5, %r6; add.u32 %r6, %r6, 1; setp.lt.u32 %p1, %r6, 20; @%p1 bra LOOP;
mad.wide.u32 %rd2, %r2, 4, %rd10; ld.global.u32 %r4, [%rd2]; add.u32 %r4, %r4, %r5; st.global.u32 [%rd1], %r4;"""


@pytest.fixture(params=[1, 3])
def n_workers(request):
    old = configure(n_threads=request.param)
    yield request.param
    configure(n_threads=old.n_threads)


def work(kernel, number):
    """One launch of ``number`` blocks on memory of its own; whether the result is right."""
    n = 32 * number
    x, out = np.full(n, number, np.uint32), np.zeros(n, np.uint32)
    kernel[number, 32](out, x)
    return (out == np.arange(n) + number + sum(range(20))).all()


def test_many_threads_one_kernel(both, n_workers):
    kernel = load_ptx(both.kernel(BODY, pointers=["x"]))["k"]
    launches = []
    with observe(launches.append), concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, [kernel] * 60, range(40, 100)))
    assert sorted(launch.grid[0] for launch in launches) == list(range(40, 100))
    for launch in launches:
        n = 32 * launch.grid[0]
        assert launch.counters.global_load_bytes == launch.counters.global_store_bytes == 4 * n
        assert launch.counters.branches == 20 * launch.grid[0]
        assert launch.counters.dram_read_bytes == launch.counters.compulsory_read_bytes


def test_many_threads_many_kernels(both, n_workers):
    texts = [both.kernel(BODY + f"// {i}", pointers=["x"]) for i in range(6)]

    def load_and_run(number):
        return work(load_ptx(texts[number % 6])["k"], 50 + number)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(load_and_run, range(24)))


def test_each_observer_sees_what_was_launched_while_it_looked(both):
    kernel = load_ptx(both.kernel(BODY, pointers=["x"]))["k"]
    outer, inner, other, alone = [], [], [], []
    with observe(outer.append):
        work(kernel, 1)
        with observe(inner.append):
            thread = threading.Thread(target=work, args=(kernel, 2))
            thread.start()
            thread.join()
        with observe_alone(alone.append):
            work(kernel, 3)
            thread = threading.Thread(target=work, args=(kernel, 4))
            thread.start()
            thread.join()
        work(kernel, 5)
    work(kernel, 6)
    with observe(other.append):
        pass
    assert [[launch.grid[0] for launch in seen] for seen in (outer, inner, alone, other)] == [
        [1, 2, 4, 5],
        [2],
        [3],
        [],
    ]
    assert outer[1] is inner[0]


def test_counters_read_from_several_threads(both):
    launches = []
    with observe(launches.append):
        work(load_ptx(both.kernel(BODY, pointers=["x"]))["k"], 500)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: launches[0].counters, range(8)))
    assert all(counters is found[0] for counters in found)


def test_a_fault_in_one_thread_leaves_the_others_alone(both, n_workers):
    good = load_ptx(both.kernel(BODY, pointers=["x"]))["k"]
    bad = load_ptx(both.kernel("st.global.u32 [%rd1], %r1;"))["k"]

    def run(number):
        if number % 3:
            return work(good, 60 + number)
        with pytest.raises(KernelFault) as caught:
            bad[100, 32](np.zeros(32 * number, np.uint32))
        return caught.value.block == (number, 0, 0)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(run, range(30)))


def test_observing_and_not_observing_at_once(both):
    """One thread counts only its own launches; the other's may be seen, but its results are right either way."""
    kernel = load_ptx(both.kernel(BODY, pointers=["x"]))["k"]
    stop = threading.Event()
    wrong = []

    def background():
        while not stop.is_set():
            if not work(kernel, 7):
                wrong.append(1)

    thread = threading.Thread(target=background)
    thread.start()
    try:
        for _ in range(20):
            launches = []
            with observe(launches.append):
                work(kernel, 50)
            mine = [launch for launch in launches if launch.grid[0] == 50]
            assert len(mine) == 1
            assert mine[0].counters.global_load_bytes == 4 * 32 * 50
    finally:
        stop.set()
        thread.join()
    assert not wrong
