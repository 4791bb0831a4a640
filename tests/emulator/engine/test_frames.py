"""Kernels of very many blocks whose lanes part: what lives across them stays in the frame, and is right there."""

import llvmlite.binding as llvm
import numpy as np
import pytest

from teachkit.emulator import load_ptx
from teachkit.emulator.engine import jit
from teachkit.emulator.engine.translate import translate
from teachkit.emulator.engine.warp_code import Mode
from teachkit.emulator.ptx import parse

TURNS = 3000  # enough for a warp to be suspended in the middle of its loops


def kernel(n):
    """n values, n scalars and n predicates, all made before n branches use them, and once more behind these.

    Lanes add ``3 * x[k]`` where ``x[k] > limit``, after a loop of ``turns`` rounds. Behind all branches every lane adds
    ``s[k]``, unless it is ``limit``, and takes the exclusive or with its lower half, one ``k`` after the other.
    """
    loads, tests, branches, uses = [], [], [], []
    for k in range(n):
        loads.append(f"ld.global.u32 %x{k}, [%rd3+{4 * k}]; ld.global.u32 %s{k}, [%rd1+{4 * k}];")
        loads.append(f"ld.global.u16 %h{k}, [%rd1+{4 * k}];")
        tests.append(f"setp.gt.u32 %p{k}, %x{k}, %r1; setp.eq.u32 %q{k}, %s{k}, %r1;")
        branches.append(
            f"@!%p{k} bra SKIP{k};\nmov.u32 %r4, 0;\nLOOP{k}: add.u32 %r4, %r4, 1; setp.lt.u32 %p, %r4, %r5;\n"
            f"@%p bra LOOP{k};\nmul.lo.u32 %x{k}, %x{k}, 3; add.u32 %r3, %r3, %x{k};\nSKIP{k}:"
        )
        uses.append(f"@!%q{k} add.u32 %r3, %r3, %s{k}; cvt.u32.u16 %r4, %h{k}; xor.b32 %r3, %r3, %r4;")
    text = "\n".join((*loads, *tests, *branches, *uses))
    return f"""
.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 limit, .param .u32 turns)
{{
.reg .pred %p, %p<{n}>, %q<{n}>;
.reg .b16 %h<{n}>;
.reg .b32 %r<9>, %x<{n}>, %s<{n}>;
.reg .b64 %rd<9>;
ld.param.u64 %rd1, [a];
ld.param.u64 %rd2, [b];
ld.param.u64 %rd5, [c];
ld.param.u32 %r1, [limit];
ld.param.u32 %r5, [turns];
mov.u32 %r2, %tid.x;
mov.u32 %r3, 0;
mul.wide.u32 %rd4, %r2, {4 * n};
add.s64 %rd3, %rd2, %rd4;
{text}
mul.wide.u32 %rd4, %r2, 4;
add.s64 %rd4, %rd5, %rd4;
st.global.u32 [%rd4], %r3;
ret;
}}
"""


def choices(n):
    """Values that LLVM has to choose where blocks meet, after its passes."""
    module = parse(kernel(n))
    written = llvm.parse_assembly(translate(module, module.functions["k"], Mode(rows=True)).text)
    builder = llvm.create_pass_builder(jit.target_machine(), llvm.create_pipeline_tuning_options(speed_level=1))
    jit._few_passes().run(written, builder)
    return sum(line.count("[ ") for line in str(written).splitlines() if " = phi " in line)


def test_what_llvm_must_choose_grows_with_the_blocks_and_not_with_their_square():
    assert choices(80) < 2.2 * choices(40)


@pytest.mark.parametrize(("n", "turns"), [(4, 2), (24, 2), (60, 2), (60, TURNS)], ids=str)
def test_what_stays_in_the_frame_is_right(n, turns):
    rng = np.random.default_rng(n)
    x = rng.integers(0, 100, (64, n), dtype=np.uint32)
    s = rng.integers(0, 80_000, n, dtype=np.uint32)
    s[::3] = 50
    out = np.zeros(64, np.uint32)
    load_ptx(kernel(n))["k"].launch(1, 64, [s, x, out, 50, turns])
    assert out.tolist() == [expected(row, s) for row in x.tolist()]


def expected(row, scalars):
    total = sum(3 * value for value in row if value > 50)
    for s in scalars.tolist():
        total = ((total + (s if s != 50 else 0)) ^ (s & 0xFFFF)) & 0xFFFFFFFF
    return total


def test_both_engines_agree(both):
    x, s, out = both.array(64 * 30, np.uint32), both.array(30, np.uint32), both.array(64, np.uint32)
    x[:], s[:] = np.random.default_rng(1).integers(0, 100, x.size), np.arange(30) * 1000
    found = both.run_both(kernel(30), "k", (1, 1, 1), (64, 1, 1), [s, x, out, 50, 2])
    found.check_memory()
    found.check_counters()
