"""Named barriers, reductions over a block, split arrivals, and barriers under a predicate."""

import numpy as np
import pytest

from teachkit.emulator import load_ptx
from teachkit.errors import KernelFault


@pytest.mark.parametrize("kind", ["popc.u32", "and.pred", "or.pred"])
@pytest.mark.parametrize("limit", [0, 10, 64, 100])
@pytest.mark.parametrize("block", [64, 128])
def test_reductions(both, kind, limit, block):
    target = "%r4" if "popc" in kind else "%p3"
    again = "bar.red.popc.u32 %r5, 0, %p2; setp.lt.u32 %p2, %r1, 33; bar.red.popc.u32 %r6, 0, %p2;"
    body = f"""
    setp.lt.u32 %p2, %r1, {limit}; barrier.cta.red.{kind.replace(".", ".aligned.", 1)} {target}, 0, %p2; {again}
    {"" if "popc" in kind else "selp.u32 %r4, 1, 0, %p3;"}
    mad.lo.u32 %r4, %r4, 1000, %r5; mad.lo.u32 %r4, %r4, 1000, %r6; st.global.u32 [%rd1], %r4;"""
    run = both.run_both(both.kernel(body), "k", 2, block, [both.array(2 * block)])
    run.check_memory()
    run.check_counters()
    assert run.launch.counters.barriers == 2 * block // 32 * 3


def test_a_reduction_of_some_warps_while_the_others_branch_away(both):
    body = """
    setp.ge.u32 %p1, %r1, 64; @%p1 bra LAST; setp.lt.u32 %p2, %r1, 10; bar.red.popc.u32 %r4, 1, 64, %p2;
    st.global.u32 [%rd1], %r4; ret; LAST:"""
    run = both.run_both(both.kernel(body), "k", 1, 96, [both.array(96)])
    run.check_memory()
    run.check_counters()


def test_a_producer_arrives_and_a_consumer_waits(both):
    body = """
    shr.u32 %r4, %r1, 5; setp.eq.u32 %p1, %r4, 0; @%p1 bra CONSUME;
    shl.b32 %r5, %r1, 2; st.shared.u32 [%r5], %r1; barrier.cta.arrive 3, 64; ret;
    CONSUME: mov.u32 %r6, 3; bar.sync %r6, 64; shl.b32 %r5, %r1, 2; ld.shared.u32 %r7, [%r5+128];
    st.global.u32 [%rd1], %r7;"""
    text = both.kernel(body, variables=".shared .align 4 .b8 s[256];")
    run = both.run_both(text, "k", 3, 64, [both.array(192)])
    run.check_memory()
    run.check_counters()
    assert run.memory[0][0].view(np.uint32)[0] == 32


@pytest.mark.parametrize("waits", ["volatile", "mbarrier"])
def test_warps_that_meet_while_another_goes_round_a_loop(both, waits):
    """What a warp waits for comes from warps that first have to meet at a barrier of their own."""
    loop = {
        "volatile": "ld.volatile.shared.u32 %r7, [flag]; setp.eq.u32 %p3, %r7, 1;",
        "mbarrier": "mbarrier.try_wait.parity.shared.b64 %p3, [bar], 0;",
    }[waits]
    body = f"""
    shr.u32 %r4, %r1, 5; setp.eq.u32 %p1, %r1, 0; @%p1 mbarrier.init.shared.b64 [bar], 1;
    @%p1 st.shared.u32 [flag], 0; bar.sync 0; setp.eq.u32 %p2, %r4, 2; @%p2 bra LOOP;
    shl.b32 %r5, %r1, 2; mov.u32 %r6, s; add.u32 %r5, %r5, %r6; st.shared.u32 [%r5], %r1; bar.sync 1, 64;
    ld.shared.u32 %r8, [s+252]; bar.sync 1, 64; st.global.u32 [%rd1], %r8;
    @%p1 st.volatile.shared.u32 [flag], 1; @%p1 mbarrier.arrive.shared.b64 _, [bar]; ret;
    LOOP: {loop} @!%p3 bra LOOP; st.global.u32 [%rd1], 7;"""
    variables = ".shared .align 4 .b8 s[256]; .shared .align 8 .b64 bar; .shared .align 4 .b32 flag;"
    run = both.run_both(both.kernel(body, variables=variables), "k", 2, 96, [both.array(192)])
    run.check_memory()
    assert run.memory[0][0].view(np.uint32)[:96].tolist() == [63] * 64 + [7] * 32


def test_a_barrier_under_a_predicate(both):
    body = """
    shr.u32 %r4, %r1, 5; setp.lt.u32 %p1, %r4, 2; setp.eq.u32 %p2, %r4, 1;
    shl.b32 %r5, %r1, 2; @%p2 st.shared.u32 [%r5], %r1; @%p1 bar.sync 1, 64; @!%p1 bar.sync 2, 32;
    ld.shared.u32 %r7, [32*4]; setp.lt.u32 %p3, %r4, 2; @%p3 st.global.u32 [%rd1], %r7;"""
    text = both.kernel(body.replace("[32*4]", "[s+128]"), variables=".shared .align 4 .b8 s[512];")
    run = both.run_both(text, "k", 2, 96, [both.array(192)])
    run.check_memory()
    run.check_counters()


def test_a_missing_arrival_is_a_deadlock(both):
    text = both.kernel("setp.lt.u32 %p1, %r1, 32; @%p1 bra A; bar.sync 1; bra END; A: barrier.cta.sync 2; END:")
    with pytest.raises(KernelFault, match="barrier that the others never reach"):
        load_ptx(text)["k"][1, 64](both.array(64))
