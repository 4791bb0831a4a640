"""Barriers in shared memory on engine and oracle, each program with what it has to leave behind."""

import numpy as np
import pytest

from teachkit.errors import KernelFault, UnsupportedInstruction

SHARED = ".shared .align 8 .b8 bar[16]; .shared .align 16 .b8 data[1024];"
INIT = """
    setp.ne.u32 %p1, %r1, 0; mov.u32 %r20, bar;
    @%p1 bra INITED; mbarrier.init.shared.b64 [%r20], {count}; INITED: bar.sync 0;"""


def run(both, body, n_threads=128, n_out=None, sm=80, count=128, pointers=(), arrays=()):
    text = both.kernel(INIT.format(count=count) + body, variables=SHARED, pointers=pointers)
    out = both.array(n_out or n_threads)
    result = both.run_both(text.replace("sm_80", f"sm_{sm}"), "k", 1, n_threads, [out, *arrays])
    result.check_memory()
    result.check_counters()
    return out, result


@pytest.mark.parametrize("wait", ["state", "parity"])
def test_what_was_stored_before_arriving_is_there_after_the_wait(both, wait):
    """Two phases, in which every thread reads what the thread opposite wrote; the warps spin until it is there."""
    test = {
        "state": "mbarrier.test_wait.shared.b64 %p2, [%r20], %rd9;",
        "parity": "mbarrier.test_wait.parity.shared.b64 %p2, [%r20], {phase};",
    }[wait]
    body = "mov.u32 %r21, data; shl.b32 %r22, %r1, 2; add.u32 %r22, %r22, %r21; sub.u32 %r23, 127, %r1;"
    body += "shl.b32 %r23, %r23, 2; add.u32 %r23, %r23, %r21; mov.u32 %r24, 1;"
    for phase in (0, 1):
        body += f"""
        mad.lo.u32 %r25, %r1, 7, {phase}; st.shared.u32 [%r22+{512 * phase}], %r25;
        mbarrier.arrive.shared.b64 %rd9, [%r20];
        WAIT{phase}: {test.format(phase=phase)} @!%p2 bra WAIT{phase};
        ld.shared.u32 %r26, [%r23+{512 * phase}]; mad.lo.u32 %r24, %r24, 1000, %r26;"""
    out, result = run(both, body + "st.global.u32 [%rd1], %r24;")
    opposite = 7 * (127 - np.arange(128))
    np.testing.assert_array_equal(out, ((1000 + opposite) * 1000 + opposite + 1).astype(np.uint32))
    assert result.launch.counters.atomic_requests == 2 * 4  # arrivals, a request of each warp
    assert result.launch.counters.atomic_max_conflict == 32


def test_counts_that_are_left(both):
    """Of 100 arrivals, thread i makes i / 16 and looks at how many were missing before."""
    body = """
    mov.u32 %r21, bar; shr.u32 %r22, %r1, 4; add.u32 %r22, %r22, 1;
    mbarrier.arrive.noComplete.shared.b64 %rd9, [%r21], %r22; mbarrier.pending_count.b64 %r23, %rd9;
    st.global.u32 [%rd1], %r23;"""
    out, _ = run(both, body, 32, count=100)
    np.testing.assert_array_equal(out, 100 - np.concatenate([[0], np.cumsum(np.arange(32)[:-1] // 16 + 1)]))


def test_threads_that_drop_out_are_not_waited_for_any_more(both):
    """Warp 3 drops out of the first phase; the others go through two more without it."""
    body = """
    setp.lt.u32 %p3, %r1, 96; @%p3 bra STAY; mbarrier.arrive_drop.shared.b64 _, [%r20]; bra.uni DONE;
    STAY: mov.u32 %r21, 0;
    AGAIN: mbarrier.arrive.shared.b64 %rd9, [%r20];
    WAIT: mbarrier.test_wait.shared.b64 %p2, [%r20], %rd9; @!%p2 bra WAIT;
    add.u32 %r21, %r21, 1; setp.lt.u32 %p4, %r21, 3; @%p4 bra AGAIN;
    mbarrier.pending_count.b64 %r22, %rd9; mad.lo.u32 %r21, %r21, 1000, %r22;
    DONE: st.global.u32 [%rd1], %r21;"""
    out, _ = run(both, body)
    # Which warp is first is the scheduler's choice.
    np.testing.assert_array_equal(np.sort(out[:96]), 3000 + 1 + np.arange(96))


@pytest.mark.parametrize("suffix", ["", ".noinc"])
def test_copies_arrive(both, suffix):
    """With ``.noinc`` the copy's arrival is among those expected; without it comes on top of the thread's own."""
    source = both.array(128)
    source[:] = np.arange(128) * 3
    own = "mbarrier.arrive.shared.b64 _, [%r20];" if not suffix else ""
    body = f"""
    mul.wide.u32 %rd4, %r1, 4; add.s64 %rd4, %rd10, %rd4; mov.u32 %r21, data; shl.b32 %r22, %r1, 2;
    add.u32 %r22, %r22, %r21; cp.async.ca.shared.global [%r22], [%rd4], 4;
    cp.async.mbarrier.arrive{suffix}.shared.b64 [%r20]; {own}
    WAIT: mbarrier.test_wait.parity.shared.b64 %p2, [%r20], 0; @!%p2 bra WAIT;
    xor.b32 %r23, %r1, 127; shl.b32 %r23, %r23, 2; add.u32 %r23, %r23, %r21; ld.shared.u32 %r24, [%r23];
    st.global.u32 [%rd1], %r24;"""
    out, _ = run(both, body, pointers=("x",), arrays=[source])
    np.testing.assert_array_equal(out, source[::-1])


def test_bytes_that_are_owed_hold_a_phase_back(both):
    """sm_90: one arrival that announces 64 bytes; two threads of another warp say that 32 each have come."""
    body = """
    setp.eq.u32 %p3, %r1, 0; setp.gt.u32 %p4, %r1, 61;
    @%p3 mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%r20], 64; bar.sync 0;
    mbarrier.test_wait.parity.acquire.cta.shared::cta.b64 %p5, [%r20], 0; selp.u32 %r21, 1, 0, %p5; bar.sync 0;
    @%p4 mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r20], 32;
    WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r20], 0, 1000; @!%p2 bra WAIT;
    mbarrier.try_wait.parity.shared::cta.b64 %p6, [%r20], 1; selp.u32 %r22, 4, 2, %p6;
    add.u32 %r21, %r21, %r22; st.global.u32 [%rd1], %r21;"""
    out, _ = run(both, body, 64, sm=90, count=1)
    assert (out == 2).all()


def test_through_a_generic_address_and_an_end(both):
    body = """
    mov.u64 %rd5, bar; cvta.shared.u64 %rd5, %rd5; mbarrier.arrive.b64 %rd9, [%rd5];
    WAIT: mbarrier.test_wait.b64 %p2, [%rd5], %rd9; @!%p2 bra WAIT; bar.sync 0;
    @%p1 bra OVER; mbarrier.inval.b64 [%rd5]; OVER: bar.sync 0;
    ld.shared.u32 %r21, [bar]; st.global.u32 [%rd1], %r21;"""
    out, _ = run(both, body, 64, count=64)
    assert (out == 0xFFFFFFFF).all()


def test_a_wait_that_cannot_end_is_found(both):
    from teachkit.emulator import load_ptx

    body = "WAIT: mbarrier.test_wait.parity.shared.b64 %p2, [%r20], 0; @!%p2 bra WAIT;"
    text = both.kernel(INIT.format(count=65) + "mbarrier.arrive.shared.b64 _, [%r20];" + body, variables=SHARED)
    with pytest.raises(KernelFault, match="never ends"):
        load_ptx(text)["k"][1, 64](both.array(64))


@pytest.mark.parametrize(
    "text",
    [
        "mbarrier.test_wait.shared::cluster.b64 %p2, [%r20], %rd9;",
        "cp.async.bulk.shared::cta.shared::cta.mbarrier::complete_tx::bytes [%r20], [%r20], 16, [%r20];",
    ],
)
def test_what_is_not_there_is_refused(both, text):
    with pytest.raises(UnsupportedInstruction):
        run(both, text, 32)
