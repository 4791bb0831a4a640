"""Arithmetic on thread numbers, which the engine does once a warp where lanes follow from the first.

Whether they do depends on the shape of the block: in rows of a multiple of 32 threads a warp is a part of one row.
Hypothesis writes chains of integer instructions; engine and oracle must agree on every byte and every count.
"""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

BLOCKS = [(32, 1, 1), (32, 3, 2), (64, 2, 1), (96, 1, 1), (16, 4, 1), (48, 2, 1), (8, 8, 2), (40, 1, 1)]
_SOURCES = "%tid.x %tid.x %tid.y %tid.z %laneid %ctaid.x %ntid.x %nctaid.x %warpid".split()
_NARROW, _WIDE = [f"%r{i}" for i in range(10, 15)], [f"%rd{i}" for i in range(5, 9)]
_SMALL = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 16, 31, 32])
_NUMBERS = st.sampled_from(
    ["0", "1", "3", "4", "31", "32", "-1", "96", "1023", "0x7fffffff", "0x80000000", "0xffffffe0"]
)


@st.composite
def _step(draw):
    narrow, wide = st.sampled_from(_NARROW), st.sampled_from(_WIDE)
    n, w = draw(narrow), draw(wide)
    kind = draw(
        st.sampled_from("source source pair pair pair shift scale mad widen widen narrow wide wide load".split())
    )
    sign = draw(st.sampled_from("us"))
    other = draw(st.one_of(narrow, _NUMBERS))
    if kind == "source":
        return f"mov.u32 {n}, {draw(st.sampled_from(_SOURCES))};"
    if kind == "pair":
        operation = draw(st.sampled_from(["add.s32", "sub.s32", "or.b32", "and.b32", "xor.b32"]))
        return f"{operation} {n}, {draw(narrow)}, {other};"
    if kind == "shift":
        operation = draw(st.sampled_from(["shl.b32", "shr.u32", "shr.s32"]))
        return f"{operation} {n}, {draw(narrow)}, {draw(_SMALL)};"
    if kind == "scale":
        return f"mul.lo.{sign}32 {n}, {draw(narrow)}, {draw(st.one_of(narrow, _SMALL))};"
    if kind == "mad":
        return f"mad.lo.{sign}32 {n}, {draw(narrow)}, {other}, {draw(narrow)};"
    if kind == "widen":
        way = draw(
            st.sampled_from([f"cvt.{sign}64.{sign}32 {w}, {n};", f"mul.wide.{sign}32 {w}, {n}, {draw(_SMALL)};"])
        )
        return way
    if kind == "narrow":
        return f"cvt.u32.u64 {n}, {w};"
    if kind == "load":  # one of the table's 256 words, often neighbours
        return f"and.b32 %r5, {n}, 255; mad.wide.u32 %rd2, %r5, 4, %rd10; ld.global.u32 {draw(narrow)}, [%rd2];"
    operation = draw(st.sampled_from(["add.s64", "sub.s64", "shl.b64", "shr.s64", "shr.u64", "and.b64", "mul.lo.s64"]))
    last = (
        draw(st.sampled_from([0, 2, 5, 32, 33, 63])) if operation.startswith("sh") else draw(st.one_of(wide, _NUMBERS))
    )
    return f"{operation} {w}, {draw(wide)}, {last};"


def _program(steps):
    """Runs ``steps`` and stores every register where the thread's number in the launch says."""
    start = "".join(f"mov.u32 {r}, {i};" for i, r in enumerate(_NARROW)) + "mov.u32 %r10, %tid.x;"
    start += "".join(f"mov.u64 {r}, {i};" for i, r in enumerate(_WIDE))
    size = 4 * len(_NARROW) + 8 * len(_WIDE) + 4
    ends = [f"st.global.u32 [%rd3+{8 * len(_WIDE) + 4 * i}], {r};" for i, r in enumerate(_NARROW)]
    ends += [f"st.global.u64 [%rd3+{8 * i}], {r};" for i, r in enumerate(_WIDE)]
    return (
        size,
        f"""
    mov.u32 %r30, %tid.y; mov.u32 %r31, %tid.z; mov.u32 %r32, %ntid.x; mov.u32 %r33, %ntid.y; mov.u32 %r34, %ntid.z;
    mad.lo.u32 %r35, %r31, %r33, %r30; mad.lo.u32 %r35, %r35, %r32, %r1;
    mul.lo.u32 %r36, %r32, %r33; mul.lo.u32 %r36, %r36, %r34; mad.lo.u32 %r35, %r3, %r36, %r35;
    mad.wide.u32 %rd3, %r35, {size}, %rd0;
    {start} {" ".join(steps)} {" ".join(ends)}""",
    )


@hypothesis.settings(max_examples=80, derandomize=True)
@hypothesis.given(steps=st.lists(_step(), min_size=1, max_size=12), block=st.sampled_from(BLOCKS))
def test_chain_of_integer_instructions(both, steps, block):
    size, body = _program(steps)
    text = both.kernel(body, pointers=["table"])
    out, table = both.array(2 * int(np.prod(block)) * size // 4), both.array(256)
    table[:] = np.random.default_rng(2).integers(0, 2**32, 256)
    found = both.run_both(text, "k", 2, block, [out, table])
    found.check_memory()
    found.check_counters()


@pytest.mark.parametrize("block", BLOCKS)
def test_index_of_every_thread(both, block):
    """The usual index in a grid, in 32 bits and in Numba's 64 with its wrap of negative ones; loads by both."""
    size, body = _program(
        [
            "mad.lo.s32 %r10, %r3, %r32, %r1; mul.wide.s32 %rd5, %r10, 4; add.s64 %rd5, %rd10, %rd5;",
            "ld.global.u32 %r11, [%rd5];",
            "cvt.s64.s32 %rd6, %r1; mul.wide.s32 %rd7, %r32, %r3; add.s64 %rd6, %rd7, %rd6; shr.s64 %rd7, %rd6, 63;",
            "and.b64 %rd7, %rd7, 1024; add.s64 %rd6, %rd6, %rd7; shl.b64 %rd6, %rd6, 2; add.s64 %rd8, %rd10, %rd6;",
            "ld.global.u32 %r12, [%rd8];",
        ]
    )
    text = both.kernel(body, pointers=["table"])
    out, table = both.array(3 * int(np.prod(block)) * size // 4), both.array(1024)
    table[:] = np.random.default_rng(3).integers(0, 2**32, 1024)
    found = both.run_both(text, "k", 3, block, [out, table])
    found.check_memory()
    found.check_counters()
