"""Votes, matches and reductions of several groups of one warp at once, each with its own member mask."""

import numpy as np
import pytest

GROUPS = {
    "eights": np.repeat([0xFF, 0xFF00, 0xFF0000, 0xFF000000], 8).astype(np.uint32),
    "odd and even": np.tile([0x55555555, 0xAAAAAAAA], 16).astype(np.uint32),
    "one large": np.full(32, 0xFFFFFFFF, np.uint32),
}
CASES = {
    "vote.sync.ballot.b32 %r10, %p1, %r5;": lambda x, odd: sum(1 << i for i, o in odd if o),
    "vote.ballot.sync.b32 %r10, %p1, %r5;": lambda x, odd: sum(1 << i for i, o in odd if o),
    "vote.sync.all.pred %p2, %p1, %r5; selp.u32 %r10, 1, 0, %p2;": lambda x, odd: all(o for _, o in odd),
    "vote.sync.any.pred %p2, %p1, %r5; selp.u32 %r10, 1, 0, %p2;": lambda x, odd: any(o for _, o in odd),
    "vote.sync.uni.pred %p2, %p1, %r5; selp.u32 %r10, 1, 0, %p2;": lambda x, odd: len({o for _, o in odd}) == 1,
    "redux.sync.add.u32 %r10, %r4, %r5;": lambda x, odd: sum(x),
    "redux.add.sync.u32 %r10, %r4, %r5;": lambda x, odd: sum(x),
    "redux.sync.max.u32 %r10, %r4, %r5;": lambda x, odd: max(x),
    "match.all.sync.b32 %r10, %r6, %r5;": lambda x, odd: sum(1 << i for i, _ in odd) if len({v > 500 for v in x}) == 1
    else 0,
    "elect.sync %r10|%p2, %r5;": lambda x, odd: odd[0][0],
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize(("groups", "uniform"), [*((name, False) for name in GROUPS), ("one large", True)])
def test_every_group_by_itself(both, text, groups, uniform):
    masks = GROUPS[groups]
    x = np.random.default_rng(5).integers(0, 1000, 32).astype(np.uint32)
    arrays = [both.placed(x), both.placed(masks)]
    body = f"""
    mul.wide.u32 %rd4, %r1, 4; add.s64 %rd5, %rd10, %rd4; add.s64 %rd6, %rd11, %rd4; ld.global.u32 %r4, [%rd5];
    {"mov.u32 %r5, -1;" if uniform else "ld.global.u32 %r5, [%rd6];"}
    and.b32 %r6, %r4, 1; setp.ne.u32 %p1, %r6, 0; setp.gt.u32 %p3, %r4, 500; selp.u32 %r6, 1, 0, %p3;
    {text} st.global.u32 [%rd1], %r10;"""
    out = both.array(32)
    program = both.kernel(body, pointers=("x", "masks")).replace("sm_80", "sm_90")
    run = both.run_both(program, "k", 1, 32, [out, *arrays])
    run.check_memory()
    run.check_counters()
    for lane in range(32):
        inside = [i for i in range(32) if masks[lane] >> i & 1]
        expected = CASES[text]([int(x[i]) for i in inside], [(i, int(x[i]) & 1) for i in inside])
        assert out[lane] == int(expected), lane
