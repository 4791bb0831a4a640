"""Accesses of which only the first lanes are on, as at the end of a row: the engine does them as one run of memory.

Engine and oracle must agree on every byte and count for each number of lanes; a fault must still name its lane.
"""

import dataclasses

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from hypothesis import given, settings
from hypothesis import strategies as st

from teachkit.emulator import check, observe
from teachkit.errors import KernelFault

pytestmark = pytest.mark.usefixtures("straight_and_in_a_loop")

KINDS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "v2.u32": 8, "v4.u16": 8, "v4.u32": 16, "v2.u64": 16}
VALUES = {"8": "%h", "16": "%h", "32": "%r", "64": "%rd"}


def _registers(kind):
    vector, _, element = kind.rpartition(".")
    names = {"%h": "%h{}", "%r": "%r2{}", "%rd": "%rd1{}"}[VALUES[element[1:]]]
    names = [names.format(i + 1) for i in range(int(vector[1:]) if vector else 1)]
    return "{" + ", ".join(names) + "}" if vector else names[0]


# Block b lets b lanes through, whose data begin 32 bytes and 32 lanes after those of the block before.
GLOBAL = """
setp.{test}.u32 %p1, %r1, %r3; mul.lo.u32 %r4, %r3, {row}; cvt.u64.u32 %rd2, %r4; mul.wide.u32 %rd3, %r1, {size};
add.s64 %rd4, %rd2, %rd3; add.s64 %rd5, %rd10, %rd4; add.s64 %rd6, %rd0, %rd4;
@%p1 ld.global.{kind} {registers}, [%rd5];
@%p1 st.global.{kind} [%rd6], {registers};
"""
SHARED = """
setp.{test}.u32 %p1, %r1, %r3; mul.lo.u32 %r4, %r3, {row}; cvt.u64.u32 %rd2, %r4; mul.wide.u32 %rd3, %r1, {size};
add.s64 %rd4, %rd2, %rd3; add.s64 %rd5, %rd10, %rd4; add.s64 %rd6, %rd0, %rd4;
mov.u32 %r5, tile; mad.lo.u32 %r6, %r1, {size}, %r5;
ld.global.{kind} {registers}, [%rd5];
@%p1 st.shared.{kind} [%r6], {registers};
bar.sync 0;
@%p1 ld.shared.{kind} {registers}, [%r6];
@%p1 st.global.{kind} [%rd6], {registers};
"""


@pytest.mark.parametrize("test", ["lt", "ne", "eq"])
@pytest.mark.parametrize("space", ["global", "shared"])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_lanes(both, kind, space, test):
    size = KINDS[kind]
    row = 32 * size + 32
    body = {"global": GLOBAL, "shared": SHARED}[space].format(
        test=test, row=row, size=size, kind=kind, registers=_registers(kind)
    )
    text = both.kernel(body, pointers=["a"], variables=".shared .align 16 .b8 tile[512];")
    out, a = (both.array(33 * row, np.uint8) for _ in range(2))
    a[:] = np.random.default_rng(size).integers(0, 256, a.size)
    found = both.run_both(text, "k", 33, 32, [out, a])
    found.check_memory()
    found.check_counters()
    if test != "ne":
        byte, row_number = np.arange(row), np.arange(33)[:, None]
        touched = byte < size * row_number if test == "lt" else byte // size == row_number % 32
        touched &= (row_number < 32) | (test == "lt")
        assert np.array_equal(out.reshape(33, -1), np.where(touched, a.reshape(33, -1), 0))


# The only lane that is on has an address that follows from no other lane's: lane * (2 * lane + 1) % 32, say.
_MIXED = "shl.b32 %r6, %r1, 1; add.u32 %r6, %r6, 1; mul.lo.u32 %r6, %r6, %r1; and.b32 %r6, %r6, 31; "
LONE = {
    "index": _MIXED + "mul.wide.u32 %rd3, %r6, 4; add.s64 %rd5, %rd0, %rd3;",
    "signed index": _MIXED + "add.s32 %r6, %r6, -40; mul.wide.s32 %rd3, %r6, 4; add.s64 %rd5, %rd0, 160; "
    "add.s64 %rd5, %rd5, %rd3;",
    "address": _MIXED + "cvt.u64.u32 %rd3, %r6; shl.b64 %rd3, %rd3, 2; add.s64 %rd5, %rd0, %rd3;",
    "stride": "mul.wide.u32 %rd3, %r1, 12; add.s64 %rd5, %rd0, %rd3;",
    "downward": "mul.wide.s32 %rd3, %r1, -4; add.s64 %rd5, %rd0, 256; add.s64 %rd5, %rd5, %rd3;",
}


@pytest.mark.parametrize("form", LONE)
@pytest.mark.parametrize("space", ["global", "shared"])
def test_a_lone_lane_anywhere(both, form, space):
    body = "setp.eq.u32 %p1, %r1, %r3; add.u32 %r9, %r2, 1000;" + LONE[form]
    if space == "shared":
        body = body.replace("%rd0", "%rd8").replace("setp", "mov.u64 %rd8, tile; setp", 1)
        body += "cvt.u32.u64 %r10, %rd5; @%p1 st.shared.u32 [%r10], %r9; @%p1 ld.shared.u32 %r11, [%r10];"
        body += "@%p1 st.global.u32 [%rd1], %r11;"
    else:
        body += (
            "@%p1 red.global.add.u32 [%rd5], 1; @%p1 st.global.u32 [%rd5+512], %r9; @%p1 ld.global.u32 %r11, [%rd5];"
        )
        body += "@%p1 st.global.u32 [%rd1+1024], %r11;"
    text = both.kernel(body, variables=".shared .align 16 .b8 tile[512];")
    out = both.array(33 * 32 + 256, np.uint32)
    found = both.run_both(text, "k", 32, 32, [out])
    found.check_memory()
    found.check_counters()
    assert np.count_nonzero(out) >= 32


@pytest.mark.parametrize("form", LONE)
def test_a_lone_lane_past_the_end_is_named(both, form):
    body = f"setp.eq.u32 %p1, %r1, 7; {LONE[form]} @%p1 st.global.u32 [%rd5+4096], %r1;"
    with pytest.raises(KernelFault, match=r"Out-of-bounds store of 4 bytes") as caught:
        both.observed(both.kernel(body), "k", 2, 32, [torch.zeros(64, dtype=torch.int32)])
    assert (caught.value.argument, caught.value.thread) == ("out", (7, 0, 0))


@pytest.mark.parametrize(
    ("kind", "n", "shift", "step"),
    [
        ("u16", 2, 0, 1),
        ("u16", 8, 12, 1),
        ("u32", 4, 0, 1),
        ("u32", 4, 4, 5),
        ("u32", 2, 12, 1),
        ("u32", 2, 0, 6),
        ("u64", 2, 8, 1),
    ],
)
def test_any_number_of_neighbours(both, kind, n, shift, step):
    """Block b lets b elements through, of ``n`` a lane; rows of an odd number of elements begin anywhere.

    With a ``step`` of more than 1 a lane's later elements count as later, so that not all on the way there are on.
    """
    size = KINDS[kind]
    row = (33 * n + 1) * size
    move, name = f"mov.b{8 * size}", {2: "%h", 4: "%r2", 8: "%rd1"}[size]
    lines = [
        f"mul.lo.u32 %r4, %r3, {row}; cvt.u64.u32 %rd2, %r4; mul.wide.u32 %rd3, %r1, {n * size};",
        "add.s64 %rd4, %rd2, %rd3; add.s64 %rd5, %rd10, %rd4; add.s64 %rd6, %rd0, %rd4;",
        f"mul.lo.u32 %r5, %r1, {n};",
    ]
    for i in range(n):
        lines.append(f"add.u32 %r6, %r5, {i * step}; setp.lt.u32 %p{i}, %r6, %r3;")
    for i in range(n):
        value = f"{name}{1 + i}"
        lines.append(f"{move} {value}, {100 + i}; @%p{i} ld.global.{kind} {value}, [%rd5+{i * size}];")
    for i in range(n):
        lines.append(f"@%p{i} st.global.{kind} [%rd6+{i * size}], {name}{1 + i};")
    text = both.kernel("\n".join(lines), pointers=["a"])
    n_rows = 32 * n + 1
    dtype = {2: np.uint16, 4: np.uint32, 8: np.uint64}[size]
    n_elements = n_rows * (33 * n + 1)
    out, a = (both.array(n_elements, dtype, shift=shift) for _ in range(2))
    a[:] = np.random.default_rng(size).integers(0, 60000, n_elements)
    found = both.run_both(text, "k", n_rows, 32, [out, a])
    found.check_memory()
    found.check_counters()
    lane, i = np.divmod(np.arange(33 * n + 1), n)
    on = (lane < 32) & (lane * n + i * step < np.arange(n_rows)[:, None])
    assert np.array_equal(out.reshape(n_rows, -1), np.where(on, a.reshape(n_rows, -1), 0))


def test_lanes_past_the_end_are_named(both):
    """20 lanes are on, and the last three of them have nothing to load."""
    body = GLOBAL.replace("%r1, %r3;", "%r1, 20;", 1).format(
        test="lt", row=0, size=4, kind="u32", registers=_registers("u32")
    )
    text = both.kernel(body, pointers=["a"])
    out, a = torch.zeros(32, dtype=torch.int32), torch.zeros(17, dtype=torch.int32)
    with pytest.raises(
        KernelFault, match=r"Out-of-bounds load of 4 bytes at byte offset 68 .*\n.*2 more lanes"
    ) as caught:
        both.observed(text, "k", 1, 32, [out, a])
    assert (caught.value.argument, caught.value.thread) == ("a", (17, 0, 0))


def test_rows_that_are_misaligned_are_named(both):
    body = GLOBAL.replace("[%rd5]", "[%rd5+2]").format(test="lt", row=0, size=4, kind="u32", registers="%r21")
    out, a = torch.zeros(32, dtype=torch.int32), torch.zeros(33, dtype=torch.int32)
    with pytest.raises(KernelFault, match=r"[Mm]isaligned load of 4 bytes"):
        both.observed(both.kernel(body, pointers=["a"]), "k", 2, 32, [out, a])


@pytest.mark.parametrize("lanes", [1, 7, 20])
def test_shared_memory_past_its_end(both, lanes):
    """What begins inside shared memory and ends behind it is no run that may be touched."""
    body = SHARED.replace("%r1, %r3;", f"%r1, {lanes};", 1).replace("mov.u32 %r5, tile;", "mov.u32 %r5, 508;")
    body = body.format(test="lt", row=0, size=4, kind="u32", registers="%r21")
    text = both.kernel(body, pointers=["a"], variables=".shared .align 16 .b8 tile[512];")
    out, a = torch.zeros(32, dtype=torch.int32), torch.zeros(32, dtype=torch.int32)
    if lanes == 1:
        both.observed(text, "k", 1, 32, [out, a])
        return
    with pytest.raises(KernelFault, match=r"Out-of-bounds store of 4 bytes .*shared"):
        both.observed(text, "k", 1, 32, [out, a])


@triton.jit
def copy_kernel(x_ptr, out_ptr, height, width, stride_x, stride_out, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    mask = (row < height) & (column < width)
    x = tl.load(x_ptr + row * stride_x + column, mask=mask, other=7)
    tl.store(out_ptr + row * stride_out + column, x + 1, mask=mask)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.one_of(st.integers(1, 40), st.integers(40, 700))),
    dtype=st.sampled_from([torch.int8, torch.int16, torch.int32, torch.int64, torch.float32]),
    start=st.sampled_from([0, 1, 3, 8]),
    tile=st.sampled_from([(1, 128), (4, 32), (2, 256)]),
)
def test_views_of_any_shape(shape, dtype, start, tile):
    """Parts of rows that begin anywhere: results as PyTorch's, counters as lane by lane, where checks make it so."""
    height, width = shape
    memory = torch.arange(height * (width + 5) + start).to(dtype)
    x = memory[start:].view(height, width + 5)[:, :width]
    out = torch.full((height, width + 3), 9, dtype=dtype)
    grid = (triton.cdiv(height, tile[0]), triton.cdiv(width, tile[1]))

    def counters():
        launches = []
        with observe(launches.append):
            copy_kernel[grid](x, out, height, width, x.stride(0), out.stride(0), *tile)
        return dataclasses.asdict(launches[0].counters)

    as_runs = counters()
    assert torch.equal(out[:, :width], x + 1)
    assert bool((out[:, width:] == 9).all())
    with check(memory=True):
        assert counters() == as_runs


@pytest.mark.parametrize("which", [0, 1, 3])
def test_neighbours_past_the_end_are_named(both, which):
    """Of four neighbours one is on, in 20 lanes: less memory than they have, but spread over more."""
    lines = ["mul.wide.u32 %rd2, %r1, 16; add.s64 %rd5, %rd10, %rd2; mov.u32 %r9, 20; mov.u32 %r8, 0;"]
    lines += [f"setp.lt.u32 %p{i}, %r1, {'%r9' if i == which else '%r8'};" for i in range(4)]
    lines += [f"mov.b32 %r2{i}, 0; @%p{i} ld.global.u32 %r2{i}, [%rd5+{4 * i}];" for i in range(4)]
    text = both.kernel("\n".join(lines), pointers=["a"])
    out, a = torch.zeros(32, dtype=torch.int32), torch.zeros(60, dtype=torch.int32)
    expected = f"Out-of-bounds load of 4 bytes at byte offset {240 + 4 * which} .*\n.*4 more lanes"
    with pytest.raises(KernelFault, match=expected) as caught:
        both.observed(text, "k", 1, 32, [out, a])
    assert (caught.value.argument, caught.value.thread) == ("a", (15, 0, 0))
    line = next(i for i, line in enumerate(text.splitlines(), 1) if f"@%p{which} ld.global" in line)
    assert f"PTX line {line}" in str(caught.value)
