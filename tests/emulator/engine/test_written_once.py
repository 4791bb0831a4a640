"""Instructions whose code is long: a kernel has it once and calls it, with the results of the oracle."""

import numpy as np
import pytest

from teachkit.emulator.engine.translate import translate
from teachkit.emulator.engine.warp_code import Mode
from teachkit.emulator.ptx import parse

LOADS = """
mul.wide.u32 %rd2, %r2, 4; add.s64 %rd3, %rd10, %rd2; ld.global.u32 %r10, [%rd3]; ld.global.u32 %r11, [%rd3+512];
mov.b32 %f1, %r10; mov.b32 {%h1, %h2}, %r10; mov.b32 {%h3, %h4}, %r11;"""
STORE = """mov.b32 %r12, %f1; mov.b32 %r13, {%h1, %h2};
xor.b32 %r12, %r12, %r13; xor.b32 %r12, %r12, %r10; st.global.u32 [%rd1], %r12;"""
# the instruction, and what it is with the same value in all lanes
LONG = {
    "fma.rn.bf16": ("fma.rn.bf16 %h1, %h1, %h3, %h2;", "fma.rn.bf16 %h5, %h6, %h6, %h6;"),
    "fma.rn.relu.bf16x2": ("fma.rn.relu.bf16x2 %r10, %r10, %r11, %r10;", "fma.rn.relu.bf16x2 %r20, %r3, %r3, %r3;"),
    "max.NaN.bf16x2": ("max.NaN.bf16x2 %r10, %r10, %r11;", "max.NaN.bf16x2 %r20, %r3, %r3;"),
    "prmt.b32": ("prmt.b32 %r10, %r10, %r11, %r10;", "prmt.b32 %r20, %r3, %r3, %r3;"),
    "rem.s32": ("rem.s32 %r10, %r10, %r11;", "rem.s32 %r20, %r3, %r3;"),
    "dp4a.s32.u32": ("dp4a.s32.u32 %r10, %r10, %r11, %r10;", "dp4a.s32.u32 %r20, %r3, %r3, %r3;"),
    "clz.b32": ("clz.b32 %r10, %r10;", "clz.b32 %r20, %r3;"),
    "ex2.approx.ftz.f32": ("ex2.approx.ftz.f32 %f1, %f1;", "mov.b32 %f2, %r3; ex2.approx.ftz.f32 %f2, %f2;"),
}


def definitions(text, opcode):
    return sum(line.startswith("define internal") and opcode in line for line in text.splitlines())


@pytest.mark.parametrize("opcode", LONG)
def test_once_a_kernel_and_as_the_oracle_has_it(both, opcode):
    line, _ = LONG[opcode]
    text = both.kernel(LOADS + line * 5 + STORE, pointers=["x"])
    module = parse(text)
    written = translate(module, module.functions["k"], Mode(counting=True, rows=True)).text
    assert definitions(written, f".{opcode}.") == 1
    x = both.array(256)
    random = np.random.default_rng(3)
    x[:] = random.choice([0, 1, 0x3F803F80, 0xBF80C000, 0x7F807F80, 0x00017FC1, 0x80008000, 0x12345678], 256)
    if opcode == "ex2.approx.ftz.f32":  # its last bit is the oracle's own: powers that are exact
        x.view(np.float32)[:] = random.choice([-3.0, -1.0, 0.0, 1.0, 2.0], 256)
        text = both.kernel(LOADS + line + STORE, pointers=["x"])
    run = both.run_both(text, "k", 2, 50, [both.array(128), x])
    run.check_memory()
    run.check_counters()


@pytest.mark.parametrize("opcode", LONG)
def test_one_value_for_all_lanes_needs_no_function(both, opcode):
    _, line = LONG[opcode]
    module = parse(both.kernel("mov.b32 {%h6, %h7}, %r3;" + line * 2, pointers=["x"]))
    written = translate(module, module.functions["k"], Mode(counting=True, rows=True)).text
    assert definitions(written, f".{opcode}.") == 0


def test_a_selector_that_is_known_leaves_nothing_to_call(both):
    module = parse(both.kernel(LOADS + "prmt.b32 %r10, %r10, %r11, 0x7632;" + STORE, pointers=["x"]))
    written = translate(module, module.functions["k"], Mode(counting=True, rows=True)).text
    assert definitions(written, "prmt") == 0


def test_amounts_that_are_known_leave_nothing_to_call(both):
    shifts = ("shl.b32", "shr.u32", "shr.s32", "shf.l.wrap.b32", "shf.r.clamp.b32", "bfe.s32", "bfe.u32", "bfi.b32")
    lines = []
    for amount in (0, 1, 13, 31, 32, 33, 64, 255, -1):
        amounts = {"bfe": f"{amount}, 7", "bfi": f"{amount}, 7"}
        sources = {"shf": "%r10, %r11", "bfi": "%r10, %r11"}
        for opcode in shifts:
            of, by = sources.get(opcode[:3], "%r10"), amounts.get(opcode[:3], amount)
            lines.append(f"{opcode} %r20, {of}, {by}; mad.lo.u32 %r21, %r21, 31, %r20;")
        for opcode in ("shl.b64", "shr.u64", "shr.s64"):
            lines.append(f"{opcode} %rd5, %rd4, {amount}; cvt.u32.u64 %r20, %rd5; mad.lo.u32 %r21, %r21, 31, %r20;")
    body = LOADS + "mov.b64 %rd4, {%r10, %r11}; mov.u32 %r21, 0;" + "".join(lines) + "st.global.u32 [%rd1], %r21;"
    text = both.kernel(body, pointers=["x"])
    module = parse(text)
    written = translate(module, module.functions["k"], Mode(counting=True, rows=True)).text
    assert "define internal" not in written
    x = both.array(256)
    x[:] = np.random.default_rng(3).integers(0, 1 << 32, 256)
    both.run_both(text, "k", 2, 50, [both.array(128), x]).check_memory()
