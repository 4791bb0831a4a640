"""The cache model alone, fed with traces written by hand: tiny caches, exact numbers."""

import numpy as np
import pytest

from teachkit.emulator.cache_model import CacheModel
from teachkit.emulator.engine.context import (
    SECTOR_BYTES,
    TRACE_BLOCK_MARK,
    TRACE_COUNT_SHIFT,
    TRACE_SECTOR_SHIFT,
    TRACE_STORE_BIT,
)
from teachkit.hardware import gpu

KIB = 1024
BASE = 1 << 20  # where the memory of these tests lies


@pytest.fixture
def tiny():
    """2 SMs with 512 bytes of L1 each, and 8 KiB of L2."""
    return gpu("A100-SXM4-40GB").replace(
        n_sms=2, l1_bytes_per_sm=512, l1_includes_shared=False, l2_bytes=8 * KIB, line_bytes=128
    )


def block(number):
    return TRACE_BLOCK_MARK | number


def read(address, n_sectors=1):
    return (BASE + address) // SECTOR_BYTES << TRACE_SECTOR_SHIFT | (n_sectors - 1) << TRACE_COUNT_SHIFT


def write(address, n_sectors=1):
    return read(address, n_sectors) | TRACE_STORE_BIT


def stream(access, n_bytes):
    """Every sector of ``n_bytes``, four to a record."""
    return [access(address, 4) for address in range(0, n_bytes, 128)]


def traffic(spec, *traces, shared_bytes=0):
    model = CacheModel(spec, shared_bytes, [(BASE, BASE + 64 * KIB)])
    model.feed([np.array(trace, np.uint64) for trace in traces])
    return model.traffic()


def test_streaming_reads_and_writes_once(tiny):
    t = traffic(tiny, [block(0), *stream(read, 4 * KIB), *(write(4 * KIB + a, 4) for a in range(0, 4 * KIB, 128))])
    assert (t.dram_read_bytes, t.dram_write_bytes) == (4 * KIB, 4 * KIB)
    assert (t.compulsory_read_bytes, t.compulsory_write_bytes) == (4 * KIB, 4 * KIB)
    assert (t.l1_lookups, t.l1_hits, t.l2_lookups, t.l2_hits) == (128, 0, 256, 0)


def test_a_working_set_that_fits_the_l2_hits_there(tiny):
    t = traffic(tiny, [block(0), *stream(read, 8 * KIB), *stream(read, 8 * KIB)])
    assert t.dram_read_bytes == t.compulsory_read_bytes == 8 * KIB
    assert (t.l1_hits, t.l2_lookups, t.l2_hits) == (0, 512, 256)


def test_a_working_set_larger_than_the_l2_misses_each_time(tiny):
    # Least recently used is the worst choice for a loop over a little too much.
    n = 16 * KIB
    t = traffic(tiny, [block(0), *stream(read, n), *stream(read, n), *stream(read, n)])
    assert (t.dram_read_bytes, t.compulsory_read_bytes) == (3 * n, n)
    assert t.l2_hits == 0


def test_the_l1_serves_its_own_sm_only(tiny):
    again = [read(0, 4), read(0, 4)]
    t = traffic(tiny, [block(0), *again])
    assert (t.l1_lookups, t.l1_hits, t.l2_lookups) == (8, 4, 4)
    t = traffic(tiny, [block(0), *again, block(1), *again])  # blocks are dealt to SMs in turn
    assert (t.l1_hits, t.l2_lookups, t.l2_hits) == (8, 8, 4)
    t = traffic(tiny, [block(0), *again, block(2), *again])
    assert (t.l1_hits, t.l2_lookups, t.l2_hits) == (12, 4, 0)


def test_a_line_holds_only_the_sectors_that_were_asked_for(tiny):
    t = traffic(tiny, [block(0), read(0), read(32), read(0), read(96)])
    assert t.dram_read_bytes == 3 * 32
    assert (t.l1_hits, t.l2_hits) == (1, 0)


def test_stores_stay_in_the_l2_until_they_are_evicted_or_the_launch_ends(tiny):
    t = traffic(tiny, [block(0), *[write(0)] * 10])
    assert (t.dram_read_bytes, t.dram_write_bytes) == (0, 32)
    assert (t.l1_lookups, t.l2_lookups, t.l2_hits) == (0, 10, 9)
    t = traffic(tiny, [block(0), *stream(write, 16 * KIB), *stream(write, 16 * KIB)])
    assert (t.dram_write_bytes, t.compulsory_write_bytes) == (32 * KIB, 16 * KIB)


def test_what_was_just_written_is_read_from_the_l2(tiny):
    t = traffic(tiny, [block(0), write(0, 4), read(0, 4)])
    assert (t.dram_read_bytes, t.dram_write_bytes) == (0, 128)
    assert (t.l1_hits, t.l2_hits) == (0, 4)
    assert (t.compulsory_read_bytes, t.compulsory_write_bytes) == (128, 128)


def test_shared_memory_takes_its_part_of_the_l1():
    spec = gpu("A100-SXM4-40GB").replace(n_sms=1, l1_bytes_per_sm=32 * KIB, shared_bytes_per_sm=32 * KIB)
    twice = [block(0), *stream(read, 24 * KIB), *stream(read, 24 * KIB)]
    assert traffic(spec, twice).l1_hits == 24 * KIB // 32
    assert traffic(spec, twice, shared_bytes=16 * KIB).l1_hits == 0


def test_the_order_of_blocks_decides_not_that_of_threads(tiny):
    first = [block(n) for n in (0, 2, 4)], [stream(read, 4 * KIB), stream(write, 2 * KIB), [read(0, 4)] * 3]
    second = [block(n) for n in (1, 3, 5)], [stream(read, 12 * KIB), [write(64, 2)], stream(read, 1 * KIB)]
    blocks = {mark: accesses for marks, parts in (first, second) for mark, accesses in zip(marks, parts, strict=True)}
    one = [record for mark in sorted(blocks) for record in (mark, *blocks[mark])]
    two = [[record for mark in marks for record in (mark, *blocks[mark])] for marks, _ in (first, second)]
    assert traffic(tiny, one) == traffic(tiny, *two) == traffic(tiny, two[1], two[0])
    model = CacheModel(tiny, 0, [(BASE, BASE + 64 * KIB)])
    for mark in sorted(blocks):
        model.feed([np.array([mark, *blocks[mark]], np.uint64)])
    assert model.traffic() == traffic(tiny, one)


def test_allocations_that_overlap_or_touch_are_counted_once(tiny):
    intervals = [(BASE, BASE + 100), (BASE + 64, BASE + 256), (BASE + 256, BASE + 300), (0, 0)]
    model = CacheModel(tiny, 0, intervals)
    model.feed([np.array([block(0), *(read(a) for a in range(0, 300, 32))], np.uint64)])
    assert model.traffic().compulsory_read_bytes == 32 * 10
    model = CacheModel(tiny, 0, [(BASE, BASE + 48), (BASE + 48, BASE + 80), (BASE + 96, BASE + 128)])
    model.feed([np.array([block(0), read(0, 4), read(32), read(64), read(96)], np.uint64)])
    assert model.traffic().compulsory_read_bytes == 128


def two_arrays(spec, x, y):
    """Read one array and write another, forwards and back; they lie at ``x`` and ``y``."""
    n = 6 * KIB
    model = CacheModel(spec, 0, [(BASE + x, BASE + x + n), (BASE + y, BASE + y + n)])
    accesses = [access for at in range(0, n, 128) for access in (read(x + at, 4), write(y + at, 4))]
    model.feed([np.array([block(0), *accesses, *accesses[::-1]], np.uint64)])
    return model.traffic()


@pytest.mark.parametrize(("x", "y"), [(64, 1 << 20), (1 << 20, 96), (32, (1 << 20) + 13 * 128 + 64)])
def test_where_the_host_put_the_arrays_decides_nothing(tiny, x, y):
    """64 bytes more or less would cut a warp's 128 bytes into two lines, and other cache sets evict other lines."""
    t = two_arrays(tiny, x, y)
    assert t == two_arrays(tiny, 0, 1 << 20)
    assert t.l1_tag_lookups == 2 * 6 * KIB // 128 - 1  # one a line and way, but the last is the first on the way back


def test_nothing_at_all(tiny):
    t = traffic(tiny, [])
    assert (t.dram_read_bytes, t.dram_write_bytes, t.l1_lookups) == (0, 0, 0)
