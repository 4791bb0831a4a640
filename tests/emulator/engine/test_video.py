"""Scalar video instructions in programs: what is counted, what is refused, and where registers are renamed."""

import pytest

from teachkit.emulator import load_ptx
from teachkit.errors import UnsupportedInstruction

REFUSED = [
    "vadd.s32.s32.s32.add %r4.b1, %r5, %r6, %r7",  # ptxas: cannot have destination selector and secondary operation
    "vadd.s32.s32.s32 %r4.b1, %r5, %r6",  # ptxas: video selector is not allowed on destination
    "vadd.s32.s32.s32.min %r4, %r5, %r6",
    "vadd.s32.s32.s32 %r4, -%r5, %r6",
    "vadd.s32.s32.s32 %r4, %r5.b4, %r6",
    "vadd.s32.s32.s32 %r4, %r5.b10, %r6",
    "vmad.s32.s32.s32 %r4, -%r5, %r6, -%r7",  # ptxas: either (source A xor source B) or source C
    "vmad.u32.u32.u32.po %r4, -%r5, %r6, %r7",  # ptxas: conflicting use of '.po' modifier with operand negation
    "vmad.u32.u32.u32 %r4.h1, %r5, %r6, %r7",
    "vset.s32.s32.lt.sat %r4, %r5, %r6",
    "vshl.s32.s32.s32.clamp %r4, %r5, %r6",
    "vadd2.u32.u32.u32 %r4, %r5.b10, %r6, %r7",
    "vadd2.u32.u32.u32 %r4.h01, %r5, %r6, %r7",
    "vadd2.u32.u32.u32 %r4, %r5.h1, %r6, %r7",
    "vadd4.u32.u32.u32 %r4, %r5.h10, %r6, %r7",
    "vadd4.u32.u32.u32 %r4.b4, %r5, %r6, %r7",
    "vset4.u32.u32.lt %r4, -%r5, %r6, %r7",
    "add.s32 %r4, %r5.b1, %r6",
    "add.s32 %r4, -%r5, %r6",
    "mov.b32 %r4.h1, %r5",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_what_is_refused(both, statement):
    kernel = load_ptx(both.kernel(f"mov.u32 %r5, 1; mov.u32 %r6, 1; mov.u32 %r7, 1; {statement};"))["k"]
    with pytest.raises(UnsupportedInstruction, match=statement.split()[0].replace(".", r"\.")):
        kernel[1, 32](both.array(32))


def test_counters_and_a_guard(both):
    body = """
    mul.lo.u32 %r4, %r2, 2654435761; and.b32 %r5, %r1, 1; setp.eq.u32 %p1, %r5, 0; mov.u32 %r6, 7;
    @%p1 vadd.s32.u32.s32.sat %r6.h1, %r4.b2, -3, %r4; vmad.s32.s32.s32.shr7 %r7, -%r6.h0, %r4.b0, %r1;
    vshr.u32.u32.u32.wrap.add %r8, %r4, %r1, %r7; vset.s32.u32.lt %r9, %r4, %r8; vadd4.u32.u32.u32 %r8, %r8, %r7, %r8;
    prmt.b32.ecl %r10, %r8, %r4, %r1; add.u32 %r9, %r9, %r10; st.global.u32 [%rd1], %r9;"""
    run = both.run_both(both.kernel(body), "k", 2, 64, [both.array(128)])
    run.check_memory()
    run.check_counters()
    # mad.lo 2, mul.wide, add of the place; mul, and, setp, vmad 2, vshr, vset, vadd4 4, prmt, add; half of vadd.
    assert run.launch.counters.int_ops == 128 * (4 + 13) + 64


def test_in_a_function(both):
    function = """.func (.param .b32 out) f (.param .b32 a, .param .b32 b)
    { .reg .b32 %x, %y, %z; ld.param.b32 %x, [a]; ld.param.b32 %y, [b];
    vsub.s32.u32.u32 %z.b1, %x.b0, %y.h1, %y; st.param.b32 [out], %z; ret; }"""
    body = """mul.lo.u32 %r4, %r2, 2654435761; { .param .b32 x; .param .b32 y; .param .b32 z;
    st.param.b32 [x], %r1; st.param.b32 [y], %r4; call.uni (z), f, (x, y); ld.param.b32 %r5, [z]; }
    st.global.u32 [%rd1], %r5;"""
    out = both.array(64)
    run = both.run_both(both.kernel(body, before=function), "k", 1, 64, [out])
    run.check_memory()
    run.check_counters()
    words = [2654435761 * i % 2**32 for i in range(64)]
    expected = [word & 0xFFFF00FF | ((i - (word >> 16)) & 0xFF) << 8 for i, word in enumerate(words)]
    assert out.tolist() == expected
