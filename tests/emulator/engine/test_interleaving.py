"""Vectors of a thread, which lie side by side in memory and apart in registers.

Four words a lane are taken apart and put together by the runtime, through memory where they can be read again: nothing
may change there while somebody still wants them. Engine and oracle must agree on every byte and count.
"""

import threading

import numpy as np
import pytest

from teachkit.emulator import load_ptx

pytestmark = pytest.mark.usefixtures("straight_and_in_a_loop")

HEAD = """
    mov.u32 %r31, %ntid.x; mad.lo.u32 %r30, %r3, %r31, %r1;
    mul.wide.u32 %rd2, %r30, 16;
    add.s64 %rd3, %rd10, %rd2; add.s64 %rd4, %rd0, %rd2;
"""
LOAD = "ld.global.v4.b32 {%r20, %r21, %r22, %r23}, [%rd3];"
SECOND = "ld.global.v4.b32 {%r24, %r25, %r26, %r27}, [%rd3+16];"


def _both(both, body, extra=0):
    """Run ``body`` for two blocks of 64 threads on both machines; returns what was stored and loaded."""
    out, a = both.array(512), both.array(512 + extra)
    a[:] = np.arange(1, a.size + 1)
    found = both.run_both(both.kernel(HEAD + body, pointers=["a"]), "k", 2, 64, [out, a])
    found.check_memory()
    found.check_counters()
    return out.reshape(-1, 4), a


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 1, 2, 3), (0, 2, 1, 3), (2, 3, 0, 1)])
def test_stored_in_another_order(both, order):
    names = ", ".join(f"%r{20 + i}" for i in order)
    out, a = _both(both, f"{LOAD} st.global.v4.b32 [%rd4], {{{names}}};")
    np.testing.assert_array_equal(out, a.reshape(-1, 4)[:, order])


@pytest.mark.parametrize("names", [(20, 21, 26, 27), (24, 25, 22, 23), (20, 25, 22, 27), (24, 25, 26, 27)])
def test_two_loads_in_one_store(both, names):
    listed = ", ".join(f"%r{name}" for name in names)
    out, a = _both(both, f"{LOAD} {SECOND} st.global.v4.b32 [%rd4], {{{listed}}};", extra=4)
    rows = np.concatenate([a[:512].reshape(-1, 4), a[4:].reshape(-1, 4)], axis=1)
    np.testing.assert_array_equal(out, rows[:, [name - 20 for name in names]])


def test_words_that_change_after_the_load(both):
    body = "add.u32 %r21, %r21, 7; mov.b32 %r28, %r20; mov.b32 %r20, %r22; xor.b32 %r22, %r28, %r23;"
    out, a = _both(both, f"{LOAD} {body} st.global.v4.b32 [%rd4], {{%r20, %r21, %r22, %r23}};")
    x = a.reshape(-1, 4)
    np.testing.assert_array_equal(out, np.stack([x[:, 2], x[:, 1] + 7, x[:, 0] ^ x[:, 3], x[:, 3]], axis=1))


def test_memory_that_changes_after_the_load(both):
    """What was loaded is what stood there then."""
    body = """
    st.global.v4.b32 [%rd3], {%r23, %r23, %r23, %r23};
    ld.global.v4.b32 {%r24, %r25, %r26, %r27}, [%rd3];
    add.u32 %r20, %r20, %r24; add.u32 %r21, %r21, %r25; add.u32 %r22, %r22, %r26;
    st.global.v4.b32 [%rd4], {%r20, %r21, %r22, %r23};
    """
    out, _ = _both(both, LOAD + body)
    x = np.arange(1, 513).reshape(-1, 4)
    np.testing.assert_array_equal(out, np.stack([x[:, 0] + x[:, 3], x[:, 1] + x[:, 3], x[:, 2] + x[:, 3], x[:, 3]], 1))


def test_a_loop_that_keeps_the_last_ones(both):
    """Each turn stores what the turn before has loaded."""
    body = f"""
    mov.u32 %r29, 0; mov.u32 %r20, 0; mov.u32 %r21, 0; mov.u32 %r22, 0; mov.u32 %r23, 0;
$again:
    st.global.v4.b32 [%rd4], {{%r20, %r21, %r22, %r23}};
    {LOAD} {SECOND}
    add.u32 %r20, %r20, %r27;
    add.u32 %r29, %r29, 1; setp.lt.u32 %p1, %r29, 3; @%p1 bra $again;
    """
    out, a = _both(both, body, extra=4)
    x, y = a[:512].reshape(-1, 4), a[4:].reshape(-1, 4)
    np.testing.assert_array_equal(out, np.stack([x[:, 0] + y[:, 3], *x[:, 1:].T], axis=1))


def test_more_loads_than_there_are_places_for(both):
    """Those of the first 32 stay where they are, and the stack of a thread has room for any number."""
    n = 1200
    loads = "".join(
        f"ld.global.v4.b32 {{%r20, %r21, %r22, %r23}}, [%rd3+{512 * (i % 64)}]; add.u32 %r29, %r29, %r{20 + i % 4};"
        for i in range(n)
    )
    kept = "".join(f"add.u32 %r28, %r28, %r{20 + i};" for i in range(4))
    body = f"mov.u32 %r28, 0; mov.u32 %r29, 0; {loads} {kept} st.global.v2.b32 [%rd4], {{%r28, %r29}};"
    out, a = both.array(512), both.array(128 * 64 + 512)
    a[:] = np.arange(a.size)
    code = load_ptx(both.kernel(HEAD + body, pointers=["a"]))["k"]
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: code.launch(1, 32, [out, a]))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    at = 4 * np.arange(32)[:, None] + 128 * (np.arange(n) % 64) + np.arange(n) % 4
    last = 4 * np.arange(32)[:, None] + 128 * ((n - 1) % 64) + np.arange(4)
    np.testing.assert_array_equal(out[:128].reshape(32, 4)[:, :2], np.stack([last.sum(1), at.sum(1)], axis=1))


@pytest.mark.parametrize("kept", [(0, 0, 0, 0), (9, 10, 11, 12)])
@pytest.mark.parametrize("test", ["and.b32 %r5, %r1, 1; setp.eq.u32 %p1, %r5, 1;", "setp.lt.u32 %p1, %r1, 40;"])
def test_lanes_that_load_nothing(both, test, kept):
    # Another one first, which leaves its words where these go.
    before = f"and.b32 %r5, %r1, 1; setp.ne.u32 %p2, %r5, 0; @%p2 {SECOND}"
    before += " ".join(f"mov.u32 %r{20 + i}, {number};" for i, number in enumerate(kept))
    body = f"{before} {test} @%p1 {LOAD} st.global.v4.b32 [%rd4], {{%r20, %r21, %r22, %r23}};"
    out, a = _both(both, body, extra=4)
    threads = np.arange(128) % 64
    on = threads % 2 == 1 if "and.b32" in test else threads < 40
    np.testing.assert_array_equal(out, np.where(on[:, None], a[:512].reshape(-1, 4), kept))


@pytest.mark.parametrize("test", ["and.b32 %r5, %r1, 1; setp.eq.u32 %p1, %r5, 1;", "setp.lt.u32 %p1, %r1, 40;"])
def test_lanes_that_store_nothing(both, test):
    out, a = _both(both, f"{LOAD} {test} @%p1 st.global.v4.b32 [%rd4], {{%r23, %r22, %r21, %r20}};")
    threads = np.arange(128) % 64
    on = threads % 2 == 1 if "and.b32" in test else threads < 40
    assert np.array_equal(out[on], a.reshape(-1, 4)[on, ::-1])


@pytest.mark.parametrize(("kind", "n"), [("b16", 4), ("b16", 2), ("b32", 2), ("b64", 2), ("b8", 4)])
def test_other_shapes(both, kind, n):
    """They are not moved by the runtime."""
    size = int(kind[1:]) // 8
    names = ", ".join(
        {1: "%h{}", 2: "%h{}", 4: "%r{}", 8: "%rd{}"}[size].format({8: 15, 4: 20}.get(size, 1) + i) for i in range(n)
    )
    body = f"""
    mul.wide.u32 %rd2, %r30, {size * n}; add.s64 %rd3, %rd10, %rd2; add.s64 %rd4, %rd0, %rd2;
    and.b32 %r5, %r1, 3; setp.ne.u32 %p1, %r5, 1;
    @%p1 ld.global.v{n}.{kind} {{{names}}}, [%rd3]; @%p1 st.global.v{n}.{kind} [%rd4], {{{names}}};
    """
    out, a = both.array(1024), both.array(1024)
    a[:] = np.random.default_rng(2).integers(0, 2**32, a.size)
    found = both.run_both(both.kernel(HEAD + body, pointers=["a"]), "k", 2, 64, [out, a])
    found.check_memory()
    found.check_counters()
    bytes_of = size * n
    moved, was = (x.view(np.uint8)[: 128 * bytes_of].reshape(128, bytes_of) for x in (out, a))
    on = np.arange(128) % 4 != 1
    assert np.array_equal(moved[on], was[on])
    assert not moved[~on].any()
