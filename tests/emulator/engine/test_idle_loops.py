"""Loops are found in a few passes over a kernel, however many it has: unrolled programs have thousands."""

import pytest

from teachkit.emulator.engine.flow import build
from teachkit.emulator.engine.idle_loops import IDLE, asking_loops, closed_loops, idle_loops, waits
from teachkit.emulator.ptx.parse import parse

N_LOOPS = 40


class Counted(list):
    """A list that knows how often somebody went through it."""

    n_passes = 0

    def __iter__(self):
        self.n_passes += 1
        return super().__iter__()


@pytest.fixture
def blocks():
    """Loops one after the other; every second one stores, every third one looks at what others do."""
    loops = []
    for i in range(N_LOOPS):
        store = "st.global.u32 [%rd1], %r1;" if i % 2 else ""
        load = "ld.volatile.global.u32 %r2, [%rd1];" if i % 3 == 0 else ""
        loops.append(f"L{i}: {store} {load} add.u32 %r1, %r1, 1; setp.lt.u32 %p1, %r1, {9 * i}; @%p1 bra L{i};")
    text = (
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 k_param_0) {\n"
        ".reg .pred %p<2>; .reg .b32 %r<3>; .reg .b64 %rd<2>;\n"
        "ld.param.u64 %rd1, [k_param_0];\nmov.u32 %r1, 0;\n" + "\n".join(loops) + "\nret;\n}\n"
    )
    return Counted(build(parse(text).functions["k"]))


def test_every_loop_is_found_in_a_few_passes(blocks):
    points = [block for block in blocks if block.is_loop_header]
    assert len(points) == N_LOOPS
    numbers = range(1, N_LOOPS + 1)
    blocks.n_passes = 0
    idle = idle_loops(points, blocks)
    assert list(idle) == list(numbers)[::2]
    assert list(closed_loops(points, blocks)) == list(numbers)[::2]
    assert asking_loops(points, blocks, idle) == []
    expected = [(points[n - 1].index + 1) | (IDLE if n % 2 else 0) if n % 3 == 1 else 0 for n in numbers]
    assert waits(points, blocks) == [0, *expected, 0]
    assert blocks.n_passes < N_LOOPS / 2
