"""Loads and stores of neighbouring elements, one a PTX instruction, as Triton writes them under masks.

The engine does a group of them as one access. Engine and oracle must agree on every byte and count, and faults must
name the instruction that is at fault.
"""

import numpy as np
import pytest
import torch

from teachkit.emulator.engine import neighbours
from teachkit.emulator.engine.dataflow import scalars
from teachkit.emulator.engine.distances import distances_of
from teachkit.emulator.engine.flow import build
from teachkit.emulator.engine.steps import steps_of
from teachkit.emulator.ptx import parse
from teachkit.errors import KernelFault

pytestmark = pytest.mark.usefixtures("straight_and_in_a_loop")

SHAPES = [("b32", 4), ("b16", 8), ("b16", 4), ("b16", 2), ("b32", 2), ("b64", 2), ("f32", 4), ("s16", 4)]


def _text(both, kind, n, *, guard="tail", shift=0, order=None, offsets=None, other=0):
    """A copy of ``n`` elements a thread; ``guard``: none, "tail" (elements below %r9) or "odd" threads only.

    ``other`` + i is what element i is where it is not loaded; all of them are stored then.
    """
    size = int(kind[1:]) // 8
    register = {16: "%h", 32: "%r", 64: "%rd"}[8 * size] if kind[0] != "f" else "%f"
    start = {"%h": 1, "%r": 20, "%rd": 15, "%f": 1}[register]
    move = f"mov.{'b' if kind[0] == 's' else kind[0]}{8 * size}"
    body = [
        "mov.u32 %r31, %ntid.x; mad.lo.u32 %r30, %r3, %r31, %r1;",
        f"mul.lo.u32 %r4, %r30, {n}; mul.wide.u32 %rd2, %r4, {size};",
        "add.s64 %rd3, %rd10, %rd2; add.s64 %rd4, %rd0, %rd2;",
    ]
    for i in range(n):
        test = {"tail": f"add.u32 %r5, %r4, {i}; setp.lt.u32 %p{i}, %r5, %r9;", "odd": "and.b32 %r5, %r1, 1;"}.get(
            guard, ""
        )
        body.append(test + (f"setp.eq.u32 %p{i}, %r5, 1;" if guard == "odd" else ""))
    for i in order or range(n):
        at = (offsets or [size * k for k in range(n)])[i]
        p = "" if guard == "none" else f"@%p{i} "
        number = other + i if other else 0
        kept = "0f" + np.float32(number).tobytes()[::-1].hex() if kind[0] == "f" else number
        body.append(
            f"{move} {register}{start + i}, {kept}; {p}ld.global.{kind} {register}{start + i}, [%rd3+{at + shift}];"
        )
    for i in order or range(n):
        at = (offsets or [size * k for k in range(n)])[i]
        p = "" if guard == "none" or other else f"@%p{i} "
        body.append(f"{p}st.global.{kind} [%rd4+{at}], {register}{start + i};")
    return both.kernel("\n".join(["mov.u32 %r9, %r40;", *body]).replace("%r40", "%r8"), pointers=["a"])


def _with_length(text, n):
    return text.replace("mov.u32 %r9, %r8;", f"mov.u32 %r9, {n};").replace(".reg .b16 %h<9>", ".reg .b16 %h<20>")


def groups(text):
    """How many accesses each group has that is done as one."""
    function = parse(_with_length(text, 400)).functions["k"]
    blocks = build(function)
    steps = steps_of(blocks)
    _, affine = scalars(function, blocks, steps, False, True)
    strides = {name: a.stride for name, a in affine.items()}
    finder = neighbours.Finder(strides, *distances_of(blocks, steps))
    items = [item for block in blocks for item in finder.grouped(block.instructions)]
    return [len(item.accesses) for item in items if isinstance(item, neighbours.Neighbours)]


@pytest.mark.parametrize("block", [(64, 1, 1), (32, 2, 1), (48, 1, 1)])
@pytest.mark.parametrize("guard", ["none", "tail", "odd"])
@pytest.mark.parametrize(("kind", "n"), SHAPES)
def test_copy(both, kind, n, guard, block):
    n_threads = int(np.prod(block)) * 2
    total = n_threads * n
    text = _with_length(_text(both, kind, n, guard=guard), total - 37)
    dtype = {16: np.uint16, 32: np.uint32, 64: np.uint64}[int(kind[1:])]
    out, a = both.array(total, dtype), both.array(total, dtype)
    a[:] = np.random.default_rng(1).integers(0, 60000, total)
    found = both.run_both(text, "k", 2, block, [out, a])
    found.check_memory()
    found.check_counters()
    if guard == "none" and block[1] == 1:
        assert np.array_equal(out, a)


@pytest.mark.parametrize("guard", ["tail", "odd"])
@pytest.mark.parametrize(("kind", "n"), SHAPES)
def test_what_is_not_loaded(both, kind, n, guard):
    """Lanes that are off keep what was there, which differs from element to element."""
    text = _with_length(_text(both, kind, n, guard=guard, other=40), 128 * n - 37)
    dtype = {16: np.uint16, 32: np.uint32, 64: np.uint64}[int(kind[1:])]
    out, a = both.array(128 * n, dtype), both.array(128 * n, dtype)
    a[:] = 1000 + np.arange(128 * n)
    found = both.run_both(text, "k", 2, 64, [out, a])
    found.check_memory()
    found.check_counters()
    kept = (np.arange(128) % 2 == 0).repeat(n) if guard == "odd" else np.arange(128 * n) >= 128 * n - 37
    numbers = np.tile(40 + np.arange(n), 128)
    others = numbers.astype(np.float32).view(np.uint32) if kind == "f32" else numbers
    np.testing.assert_array_equal(out, np.where(kept, others, a))


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [0, 2, 1, 3], [1, 2, 3, 0]])
def test_other_orders(both, order):
    text = _with_length(_text(both, "b32", 4, order=order), 400)
    out, a = both.array(512), both.array(512)
    a[:] = np.arange(512)
    found = both.run_both(text, "k", 2, 64, [out, a])
    found.check_memory()
    found.check_counters()


@pytest.mark.parametrize("shift", [4, 8, 12])
def test_groups_that_begin_in_between(both, shift):
    """Four bytes further the elements of a lane may lie in two sectors, so each access touches its own."""
    text = _with_length(_text(both, "b32", 4, shift=shift, guard="none"), 0)
    out, a = both.array(512), both.array(512 + 4)
    a[:] = np.arange(516)
    found = both.run_both(text, "k", 2, 64, [out, a])
    found.check_memory()
    found.check_counters()


def test_same_address_twice(both):
    text = _with_length(_text(both, "b32", 4, offsets=[0, 4, 4, 8], guard="none"), 0)
    out, a = both.array(512), both.array(512)
    a[:] = np.arange(512)
    found = both.run_both(text, "k", 2, 64, [out, a])
    found.check_memory()
    found.check_counters()


def test_the_faulty_one_is_named(both):
    text = _with_length(_text(both, "b32", 4, guard="none"), 0)
    out, a = torch.zeros(512, dtype=torch.int32), torch.zeros(511, dtype=torch.int32)
    with pytest.raises(KernelFault, match="Out-of-bounds load of 4 bytes at byte offset 2044 ") as caught:
        both.observed(text, "k", 2, 64, [out, a])
    assert (caught.value.argument, caught.value.block, caught.value.thread) == ("a", (1, 0, 0), (63, 0, 0))
    line = next(i for i, line in enumerate(text.splitlines(), 1) if "[%rd3+12]" in line)
    assert f"PTX line {line}" in str(caught.value)


def test_what_is_grouped(both):
    """The cases above would prove nothing if none of them were done as one."""
    for kind, n in SHAPES:
        assert groups(_text(both, kind, n)) == [n, n]
        assert groups(_text(both, kind, n, guard="none")) == [n, n]
    assert groups(_text(both, "b32", 4, shift=4)) == [4, 4]  # it may be aligned: known when it runs
    assert groups(_text(both, "b32", 4, order=[3, 2, 1, 0])) == []
    assert groups(_text(both, "b32", 4, offsets=[0, 4, 4, 8])) == []


LOOP = """
mov.u32 %r31, %ntid.x; mad.lo.u32 %r30, %r3, %r31, %r1; shl.b32 %r5, %r30, 2;
or.b32 %r6, %r5, 1; or.b32 %r7, %r5, 2; or.b32 %r8, %r5, 3;
mov.u32 %r9, 0; mov.u32 %r10, 0; cvt.s64.s32 %rd9, %r5;
loop:
add.s32 %r11, %r5, %r10; add.s32 %r12, %r11, 1; add.s32 %r13, %r11, 2; add.s32 %r14, %r11, 3;
setp.lt.s32 %p0, %r11, %r15; setp.lt.s32 %p1, %r12, %r15; setp.lt.s32 %p2, %r13, %r15; setp.lt.s32 %p3, %r14, %r15;
mad.wide.s32 %rd2, %r11, 4, %rd10;
cvt.s64.s32 %rd3, %r10; add.s64 %rd4, %rd3, %rd9; shl.b64 %rd5, %rd4, 2; add.s64 %rd6, %rd10, %rd5;
add.s64 %rd7, %rd6, SECOND; add.s64 %rd8, %rd6, 8; add.s64 %rd11, %rd6, 12;
mov.u32 %r20, %r9; @%p0 ld.global.b32 { %r20 }, [%rd2 + 0];
mov.u32 %r21, %r9; @%p1 ld.global.b32 { %r21 }, [%rd7 + 0];
mov.u32 %r22, %r9; @%p2 ld.global.b32 { %r22 }, [%rd8 + 0];
mov.u32 %r23, %r9; @%p3 ld.global.b32 { %r23 }, [%rd11 + 0];
mad.wide.s32 %rd12, %r5, 4, %rd0; mad.wide.s32 %rd13, %r6, 4, %rd0;
mad.wide.s32 %rd14, %r7, 4, %rd0; mad.wide.s32 %rd15, %r8, 4, %rd0;
@%p0 st.global.b32 [%rd12], {%r20};
@%p1 st.global.b32 [%rd13], {%r21};
@%p2 st.global.b32 [%rd14], {%r22};
@%p3 st.global.b32 [%rd15], {%r23};
add.s32 %r10, %r10, 512;
setp.lt.s32 %p4, %r10, 512;
@%p4 bra loop;
"""


@pytest.mark.parametrize("length", [512, 475])
@pytest.mark.parametrize(("second", "n_groups"), [(4, 2), (8, 1)])
def test_loops_as_triton_writes_them(both, second, n_groups, length):
    """The first address comes from 32 bits and the others from 64, or from ``or``: that they are neighbours is seen
    when they run."""
    text = both.kernel(LOOP.replace("SECOND", str(second)).replace("%r15", str(length)), pointers=["a"])
    assert groups(text) == [4] * n_groups
    out, a = both.array(512), both.array(520)
    a[:] = np.arange(520) + 7
    found = both.run_both(text, "k", 2, 64, [out, a])
    found.check_memory()
    found.check_counters()
    if second == 4:
        assert np.array_equal(out, np.where(np.arange(512) < length, a[:512], 0))


def test_neighbours_that_are_none(both):
    """What would be the second element is the first one again in blocks with odd numbers."""
    text = both.kernel(
        """
mov.u32 %r31, %ntid.x; mad.lo.u32 %r30, %r3, %r31, %r1; mul.wide.u32 %rd9, %r30, 8;
or.b32 %r4, %r3, 1; shl.b32 %r5, %r1, 3; cvt.u64.u32 %rd5, %r5; add.s64 %rd6, %rd10, %rd5;
mad.wide.u32 %rd2, %r3, 4, %rd6; mad.wide.u32 %rd3, %r4, 4, %rd6; add.s64 %rd4, %rd0, %rd9;
ld.global.b32 %r20, [%rd2]; ld.global.b32 %r21, [%rd3]; st.global.b32 [%rd4], %r20; st.global.b32 [%rd4+4], %r21;
""",
        pointers=["a"],
    )
    assert groups(text) == [2, 2]
    out, a = both.array(4 * 128), both.array(132)
    a[:] = np.arange(132)
    found = both.run_both(text, "k", 4, 64, [out, a])
    found.check_memory()
    found.check_counters()
    first = np.arange(4)[:, None] + 2 * np.arange(64)
    second = np.array([1, 1, 3, 3])[:, None] + 2 * np.arange(64)
    assert np.array_equal(out, np.stack([first, second], -1).reshape(-1))
