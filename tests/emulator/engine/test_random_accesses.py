"""Loads, stores and asynchronous copies nobody thought of: every size, by every way to compute an address.

Some are a run of memory by all lanes, some nearly are; some are masked, some in a loop. Each warp has memory of its
own, so that no result depends on which warp is first. The engine and the oracle must agree on every byte and count.
"""

import hypothesis
import numpy as np
from hypothesis import strategies as st

N_BYTES = 2048  # that a warp has of global and of shared memory
KINDS = {"u8": 1, "s16": 2, "v2.u8": 2, "b32": 4, "v2.b16": 4, "b64": 8, "v4.b16": 8, "v4.b32": 16, "v2.b64": 16}
VALUES = {"8": "%h", "16": "%h", "32": "%d", "64": "%q"}
LISTS = np.array(
    [
        np.arange(32),
        5 + np.arange(32),
        np.where(np.arange(32) == 31, 7, np.arange(32)),
        np.where(np.arange(32) == 17, 40, np.arange(32)),
        np.random.default_rng(0).permutation(60)[:32],
    ]
)
INDICES = (
    "mov.u32 %i, %laneid;",
    "add.u32 %i, %laneid, 9;",
    "sub.u32 %i, 31, %laneid;",
    "mov.u32 %i, 11;",
    *(f"ld.global.u32 %i, [%list+{128 * i}];" for i in range(len(LISTS))),
)
# Each ends with the address of element %i, which has {size} bytes, in %a; %own is where its warp's memory starts.
GLOBAL = (
    "mad.wide.s32 %a, %i, {size}, %own;",
    "mul.wide.u32 %w, %i, {size}; add.s64 %a, %own, %w;",
    "mul.lo.u32 %i, %i, {size}; cvt.s64.s32 %w, %i; add.s64 %a, %w, %own;",
    "mul.wide.s32 %w, %i, -{size}; sub.s64 %a, %own, %w;",
    "cvt.u64.u32 %w, %i; mul.lo.u64 %w, %w, {size}; or.b64 %w, %w, 0; add.s64 %a, %own, %w;",
    "mad.wide.u32 %w, %i, {size}, %own; setp.eq.u64 %p9, %w, 7; selp.b64 %a, %rd12, %w, %p9;",  # of unknown origin
)
SHARED = ("mad.lo.u32 %n, %i, {size}, %tile;", "mul.lo.u32 %n, %i, {size}; add.u32 %n, %n, %tile;")
WIDE = ("", "cvt.u64.u32 %b, %n;", "cvt.u64.u32 %b, %n; or.b64 %b, %b, 0;")
GUARDS = ("", "", "", "@%p1 ", "@!%p1 ", "@%p2 ", "@!%p2 ", "@%p3 ", "@!%p3 ")
HEAD = f"""
    mov.u32 %r4, %warpid; mad.lo.u32 %r4, %r3, 2, %r4; mul.wide.u32 %own, %r4, {N_BYTES}; add.s64 %own, %own, %rd10;
    mov.u32 %r5, %warpid; mov.u32 %tile, tile; mad.lo.u32 %tile, %r5, {N_BYTES}, %tile;
    mov.u32 %r6, %laneid; mul.wide.u32 %list, %r6, 4; add.s64 %list, %list, %rd11;
    setp.lt.u32 %p1, %r6, 13; setp.eq.u32 %p2, %r3, 0; setp.lt.u32 %p3, %r6, 32;
    mul.wide.u32 %q1, %r2, 99; mov.b64 {{{{%d0, %d1}}}}, %q1; mov.u32 %d2, %r2; mov.u32 %d3, 5;
    mov.b32 {{{{%h0, %h1}}}}, %r2; mov.b32 {{{{%h2, %h3}}}}, %d0; mov.u64 %q2, 7; mov.u64 %q0, 1; mov.u64 %q3, 0;
    setp.gt.u32 %p8, %r6, 7; @%p8 bra FILLED; shl.b32 %r7, %r6, 4; add.u32 %r7, %r7, %tile; mov.u32 %r8, 0;
FILL:
    st.shared.v4.b32 [%r7], {{{{%r8, %r3, %r7, %r8}}}}; add.u32 %r7, %r7, 128; add.u32 %r8, %r8, 128;
    setp.lt.u32 %p8, %r8, {N_BYTES}; @%p8 bra FILL;
FILLED:
    mov.u32 %turns, {{turns}};
"""
AGAIN = "add.u32 %turns, %turns, -1; setp.gt.s32 %p8, %turns, 0; @%p8 bra AGAIN;"
TAIL = "mov.u32 %r9, 0;" + "".join(
    f"mov.b64 {{%r7, %r8}}, %q{i}; mov.b32 %r6, {{%h{i}, %h{i}}};"
    + "".join(f"mad.lo.u32 %r9, %r9, 31, {value};" for value in (f"%d{i}", "%r6", "%r7", "%r8"))
    for i in range(4)
)
VARIABLES = f""".shared .align 16 .b8 tile[{2 * N_BYTES}];
    .reg .b16 %h<4>; .reg .b32 %d<4>, %i, %n, %tile, %turns; .reg .b64 %q<4>, %a, %b, %w, %own, %list;"""


@st.composite
def _address(draw, space, size):
    """What computes it, and the operand."""
    offset = draw(st.sampled_from([0, 0, size, N_BYTES // 2]))
    index = draw(st.sampled_from(INDICES))
    if space == "global":
        return f"{index} {draw(st.sampled_from(GLOBAL)).format(size=size)}", f"[%a+{offset}]"
    narrow, wide = draw(st.sampled_from(SHARED)).format(size=size), draw(st.sampled_from(WIDE))
    return f"{index} {narrow} {wide}", f"[{'%b' if wide else '%n'}+{offset}]"


@st.composite
def _access(draw):
    guard, verb = draw(st.sampled_from(GUARDS)), draw(st.sampled_from(["ld", "ld", "st", "cp.async"]))
    if verb == "cp.async":
        size, rest = draw(st.sampled_from([4, 8, 16])), draw(st.sampled_from(["", "", ", %p1", ", %p2", ", 0"]))
        (start, source), (place, target) = draw(_address("global", size)), draw(_address("shared", size))
        return f"{start} {place} {guard}cp.async.ca.shared.global {target}, {source}, {size}{rest};"
    kind = draw(st.sampled_from(list(KINDS)))
    space = draw(st.sampled_from(["global", "global", "shared"]))
    place, where = draw(_address(space, KINDS[kind]))
    n = int(kind[1]) if kind.startswith("v") else 1
    names = [f"{VALUES[kind.split('.')[-1][1:]]}{i}" for i in draw(st.permutations(range(4)))[:n]]
    values = f"{{{', '.join(names)}}}" if n > 1 else names[0]
    operands = f"{values}, {where}" if verb == "ld" else f"{where}, {values}"
    return f"{place} {guard}{verb}.{space}.{kind} {operands};"


@hypothesis.settings(max_examples=15, derandomize=True)
@hypothesis.given(
    accesses=st.lists(_access(), min_size=1, max_size=8),
    turns=st.sampled_from([0, 0, 1, 2]),  # of a loop around them, none with 0
    n_threads=st.sampled_from([32, 64, 40]),
    shift=st.sampled_from([0, 16]),  # from where a sector begins
)
def test_random_accesses(both, accesses, turns, n_threads, shift):
    body = "\n".join(accesses)
    if turns:
        body = f"AGAIN:\n{body}\n{AGAIN}"
    body = f"{HEAD.format(turns=turns)}{body}\n{TAIL} st.global.u32 [%rd1], %r9;"
    text = both.kernel(body, variables=VARIABLES, pointers=["memory", "lists", "other"])
    memory, lists = both.array(4 * N_BYTES, np.uint8, shift=shift), both.array(LISTS.size)
    memory[:] = np.random.default_rng(1).integers(0, 256, memory.size)
    lists[:] = LISTS.reshape(-1)
    found = both.run_both(text, "k", 2, n_threads, [both.array(2 * n_threads), memory, lists, both.array(64)])
    found.check_memory()
    found.check_counters()
