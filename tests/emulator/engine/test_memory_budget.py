"""Observers may keep every launch: what is kept are counters, and not for long the traces that they come from."""

import gc
import threading
import weakref

import numpy as np
import pytest

from teachkit.emulator import launches, load_ptx, observe
from teachkit.emulator.counters import Counters
from teachkit.emulator.engine import launching, worker
from teachkit.emulator.launches import Backlog, Launch, Resources


@pytest.fixture
def backlog(monkeypatch):
    """A backlog of 1 MB in place of the process's own."""
    small = Backlog(1 << 20)
    monkeypatch.setattr(launches, "backlog", small)
    return small


def scattered(both):
    """A kernel whose lanes read 32 sectors each time, unevenly apart: 256 bytes of trace a warp and turn."""
    body = """
    mov.u32 %r6, 0; and.b32 %r4, %r2, 1023; and.b32 %r7, %r2, 1; mad.lo.u32 %r4, %r4, 4, %r7;
    mad.wide.u32 %rd2, %r4, 32, %rd10;
    LOOP: ld.global.u32 %r5, [%rd2]; add.u32 %r6, %r6, 1; setp.lt.u32 %p1, %r6, 20; @%p1 bra LOOP;"""
    return load_ptx(both.kernel(body, pointers=["x"]))["k"]


def test_two_hundred_launches_do_not_keep_two_hundred_traces(both, backlog):
    kernel, out, x = scattered(both), both.array(1), both.array(32 * 1024)
    kept, most = [], 0
    with observe(kept.append):
        for _ in range(200):
            kernel[16, 32](out, x)
            most = max(most, backlog.n_bytes)
    trace_bytes = 16 * (20 * 32 + 1) * 8
    assert 200 * trace_bytes > 15 * backlog.limit_bytes  # else the test would show nothing
    assert backlog.limit_bytes - trace_bytes < most <= backlog.limit_bytes
    assert {launch.counters.global_load_sectors for launch in kept} == {16 * 20 * 32}
    assert backlog.n_bytes == 0


def test_reading_or_dropping_a_launch_makes_room(both, backlog):
    kernel, out, x = scattered(both), both.array(1), both.array(32 * 1024)
    kept = []
    with observe(kept.append):
        for _ in range(4):
            kernel[4, 32](out, x)
    assert backlog.n_bytes > 4 * 4 * 20 * 32 * 8
    for left in (3, 2, 1, 0):
        before = backlog.n_bytes
        if left % 2:
            assert kept.pop().counters.n_launches == 1
        else:
            kept.pop()
        gc.collect()
        assert backlog.n_bytes < before
    assert backlog.n_bytes == 0


def test_the_oldest_are_counted_first():
    counted = []

    def launch(number):
        def count():
            counted.append(number)
            return Counters(n_launches=1), {}

        return Launch(f"kernel {number}", (1, 1, 1), (32, 1, 1), count, Resources(), "")

    backlog = Backlog(limit_bytes=100)
    kept = [launch(i) for i in range(6)]
    for each in kept:
        backlog.add(each, 40)
    assert counted == [0, 1, 2, 3]
    backlog.add(huge := launch(9), 1000)
    assert counted == [0, 1, 2, 3, 4, 5, 9]
    assert backlog.n_bytes == 0
    assert huge.counters.n_launches == 1
    assert counted == [0, 1, 2, 3, 4, 5, 9]


def test_threads_share_the_backlog(both, backlog):
    kernel, out, x = scattered(both), both.array(1), both.array(32 * 1024)
    kept = []

    def many():
        for _ in range(30):
            kernel[16, 32](out, x)

    with observe(kept.append):
        threads = [threading.Thread(target=many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(kept) == 120
    assert backlog.n_bytes <= backlog.limit_bytes
    assert {launch.counters.global_load_sectors for launch in kept} == {16 * 20 * 32}
    assert backlog.n_bytes == 0


def test_a_launch_does_not_keep_its_arguments(both):
    class Array(np.ndarray):
        """NumPy's own arrays cannot be referred to weakly."""

    x = both.array(32).view(Array)
    kept = []
    with observe(kept.append):
        load_ptx(both.kernel("st.global.u32 [%rd1], %r1;"))["k"][1, 32](x)
    reference = weakref.ref(x)
    del x
    gc.collect()
    assert reference() is None
    assert kept[0].counters.dram_write_bytes == 128


def test_a_trace_that_grows_large_is_replayed_on_the_way(both, monkeypatch):
    kernel, out, x = scattered(both), both.array(1), both.array(32 * 1024)
    found = []
    for limit in (64 << 20, 100_000):
        monkeypatch.setattr(worker, "TRACE_LIMIT_BYTES", limit)
        monkeypatch.setattr(launching, "TRACE_LIMIT_BYTES", limit)
        kernel = scattered(both)  # idle workers know the limit of their time
        with observe(found.append):
            kernel[300, 32](out, x)
    small, large = found
    assert small.counters == large.counters
    assert small.counters.compulsory_read_bytes == 32 * 1024
    assert small.counters.l1_lookups == 300 * 20 * 32


def test_idle_workers_keep_no_large_traces(both):
    kernel, out, x = scattered(both), both.array(1), both.array(32 * 1024)
    with observe(lambda launch: None):
        kernel[2000, 32](out, x)
    workers = [idle for program in kernel._programs.values() for idle in program._idle]
    assert workers
    assert all((w.context.trace_end or 0) - (w.context.trace_begin or 0) <= 1 << 20 for w in workers)
