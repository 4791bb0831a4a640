"""Blocks that threads take one by one or in pieces: each runs once, whatever else happens, and counts stay the same."""

import concurrent.futures
import itertools

import numpy as np
import pytest

from teachkit.emulator import load_ptx, observe
from teachkit.emulator.engine import launching, worker
from teachkit.emulator.engine.queue import Queue
from teachkit.errors import KernelFault

N_BLOCKS = 700
# Every lane adds 1 to a word of its own, and reads words that other blocks read as well, twice.
SCATTERED = """
ld.global.u32 %r4, [%rd1]; add.u32 %r4, %r4, 1; st.global.u32 [%rd1], %r4;
mul.lo.u32 %r5, %r2, 2654435761; mov.u32 %r6, 0;
LOOP: shr.u32 %r7, %r5, 16; mad.wide.u32 %rd2, %r7, 4, %rd10; ld.global.u32 %r4, [%rd2]; add.u32 %r6, %r6, 1;
setp.lt.u32 %p1, %r6, 2; @%p1 bra LOOP;"""


def test_a_queue_that_is_split_gives_each_block_to_one_thread_in_ever_smaller_pieces():
    queue = Queue(1000)
    queue.split(2, least=10)

    def drain(_):
        found = []
        while (piece := queue.take(1000)) is not None:
            found.append((piece.next.value, piece.end))
        return found

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pieces = sorted(itertools.chain.from_iterable(pool.map(drain, range(4))))
    assert [start for start, _ in pieces] == [0, *(end for _, end in pieces[:-1])]
    assert pieces[-1][1] == 1000
    sizes = [end - start for start, end in pieces]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 250
    assert min(sizes[:-1]) == 10
    assert queue.n_left == 0


def test_a_queue_that_is_not_split_gives_all_that_is_left_to_everyone():
    queue = Queue(10)
    first, second = queue.take(4), queue.take(10)
    assert first.is_shared
    assert second.is_shared
    first.next.value += 4
    assert (first.n_left, second.n_left, queue.n_left) == (0, 6, 6)
    assert queue.take(4) is None


@pytest.fixture
def pieces(monkeypatch):
    """Every piece that a thread takes, as (first block, end); threads start at once."""
    taken = []
    take = Queue.take

    def spy(self, end):
        piece = take(self, end)
        if piece is not None:
            taken.append((piece.next.value, piece.end, piece.is_shared))
        return piece

    monkeypatch.setattr(Queue, "take", spy)
    monkeypatch.setattr(launching, "ALONE_S", 0.0)
    return taken


@pytest.mark.parametrize("limit", [64 << 20, 40_000], ids=["whole", "replayed_on_the_way"])
def test_pieces_change_no_count_and_no_result(both, settings, monkeypatch, pieces, limit):
    """The caches see the blocks in their order, also where traces grow long, a piece here and another there."""
    for module in (worker, launching):
        monkeypatch.setattr(module, "TRACE_LIMIT_BYTES", limit)
    x, launches = both.array(1 << 16), []
    for n_threads in (1, 2, 3):
        settings(n_threads=n_threads)
        kernel = load_ptx(both.kernel(SCATTERED, pointers=("x",)))["k"]
        out = np.zeros(32 * N_BLOCKS, np.uint32)
        with observe(launches.append):
            kernel[N_BLOCKS, 32](out, x)
        assert (out == 1).all()
    alone, *others = launches
    assert alone.counters.dram_read_bytes > alone.counters.compulsory_read_bytes / 2
    for launch in others:
        assert launch.counters == alone.counters
        assert launch.by_line == alone.by_line
    assert any(not is_shared for *_, is_shared in pieces)


def test_blocks_that_look_at_others_are_taken_one_by_one(both, settings, pieces):
    settings(n_threads=2)
    lock = """
    LOOP: atom.global.cas.b32 %r4, [%rd0], 0, 1; setp.ne.u32 %p1, %r4, 0; @%p1 bra LOOP;
    atom.global.exch.b32 %r4, [%rd0], 0;"""
    load_ptx(both.kernel(lock))["k"][N_BLOCKS, 1](both.array(1))
    assert pieces
    assert all(is_shared for *_, is_shared in pieces)


def test_a_block_may_wait_for_one_of_another_piece_all_the_same(both, settings, pieces):
    """With loads that do not say that others store: no compiler writes such a loop, but a person may.

    More than 64 blocks wait beside each other, each as long as it takes to see the flag of the one before.
    """
    settings(n_threads=2)
    n = 90
    body = """
    mad.wide.u32 %rd2, %r3, 4, %rd0; setp.eq.u32 %p1, %r3, 0; @%p1 bra MINE;
    LOOP: ld.global.u32 %r4, [%rd2+-4]; setp.eq.u32 %p1, %r4, 0; @%p1 bra LOOP;
    MINE: mov.u32 %r4, 1; st.global.u32 [%rd2], %r4;"""
    for _ in range(20):
        out = np.zeros(n, np.uint32)
        load_ptx(both.kernel(body))["k"][n, 1](out)
        assert (out == 1).all()
    assert any(not is_shared for *_, is_shared in pieces)


def test_the_lowest_of_several_blocks_that_fail_is_found_in_whichever_piece_it_is(both, settings, pieces):
    """Blocks 99 and 610 fail; 99 is late in the first piece, and long after the other."""
    settings(n_threads=2)
    body = """
    mov.u32 %r4, 0; setp.gt.u32 %p1, %r3, 200; @%p1 bra OVER;
    LOOP: add.u32 %r4, %r4, 1; setp.lt.u32 %p1, %r4, 20000; @%p1 bra LOOP;
    OVER: setp.eq.u32 %p1, %r3, 99; setp.eq.or.u32 %p1, %r3, 610, %p1; @%p1 st.global.u32 [%rd0+4000], %r1;"""
    with pytest.raises(KernelFault) as caught:
        load_ptx(both.kernel(body))["k"][N_BLOCKS, 1](both.array(1))
    assert caught.value.block == (99, 0, 0)


def test_blocks_that_wait_beside_each_other_all_end_however_many(both, settings):
    """On one thread: the last but one waits for all others, and these for the last, which sets the flag."""
    settings(n_threads=1, time_limit_s=20)
    n = 100
    body = f"""
    setp.eq.u32 %p1, %r3, {n - 1}; @%p1 bra SETS; setp.eq.u32 %p1, %r3, {n - 2}; @%p1 bra LAST;
    LOOP: ld.volatile.global.u32 %r4, [%rd0]; setp.eq.u32 %p1, %r4, 0; @%p1 bra LOOP; red.global.add.u32 [%rd0+4], 1;
    bra OVER;
    SETS: st.volatile.global.u32 [%rd0], 1; bra OVER;
    LAST: ld.volatile.global.u32 %r4, [%rd0+4]; setp.ne.u32 %p1, %r4, {n - 2}; @%p1 bra LAST;
    OVER:"""
    out = np.zeros(2, np.uint32)
    load_ptx(both.kernel(body))["k"][n, 1](out)
    assert out.tolist() == [1, n - 2]
