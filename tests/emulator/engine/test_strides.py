"""Registers that grow from lane to lane by the same amount: each case looks like one and is none, or only just.

The engine keeps such a register as its value in lane 0; a wrong proof gives the other lanes wrong values.
"""

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("straight_and_in_a_loop")

_STORE = "st.global.u32 [%rd1], %r9;"
_STORE_UPPER = "shr.u64 %rd9, %rd3, 20; cvt.u32.u64 %r9, %rd9;" + _STORE
_LANE = "mov.u32 %r8, %laneid;"

CASES = {
    # The bits of a float are no number that could be added to.
    "float add": "mov.f32 %f3, 0fCB000000; or.b32 %r4, %r1, 0x4B000000; mov.b32 %f1, %r4; add.f32 %f2, %f1, %f3;"
    "st.global.f32 [%rd1], %f2;",
    "float sub": "mov.f32 %f3, 0f4B000000; or.b32 %r4, %r1, 0x4B000000; mov.b32 %f1, %r4; sub.f32 %f2, %f1, %f3;"
    "st.global.f32 [%rd1], %f2;",
    # A field's own sign is copied upward.
    "signed field": "bfe.s32 %r9, %r1, 0, 5;" + _STORE,
    "signed field with room": "bfe.s32 %r9, %r1, 0, 6;" + _STORE,
    "field": "bfe.u32 %r9, %r1, 0, 5;" + _STORE,
    "field without end": "bfe.u32 %r9, %r1, 0, -1;" + _STORE,
    # Lanes from 16 on are negative before they become wider.
    "signed product": _LANE + "shl.b32 %r7, %r8, 27; mul.wide.s32 %rd3, %r7, 4;" + _STORE_UPPER,
    "unsigned product": _LANE + "shl.b32 %r7, %r8, 27; mul.wide.u32 %rd3, %r7, 4;" + _STORE_UPPER,
    "signed conversion": _LANE + "shl.b32 %r7, %r8, 27; cvt.s64.s32 %rd3, %r7;" + _STORE_UPPER,
    "unsigned conversion": _LANE + "shl.b32 %r7, %r8, 27; cvt.u64.u32 %rd3, %r7;" + _STORE_UPPER,
    # Constants that are negative as what they are taken for.
    "minus four in hexadecimal": _LANE + "mul.wide.s32 %rd3, %r8, 0xFFFFFFFC;" + _STORE_UPPER,
    "minus four": _LANE + "mul.wide.s32 %rd3, %r8, -4;" + _STORE_UPPER,
    "minus one, unsigned": _LANE + "mul.wide.u32 %rd3, %r8, -1;" + _STORE_UPPER,
    # The summand of a wide product has 64 bits, constants too.
    "wide summand": _LANE + "mad.wide.s32 %rd2, %r8, 4, -4096; shr.u64 %rd3, %rd2, 32; cvt.u64.u32 %rd4, %r8;"
    "or.b64 %rd5, %rd3, %rd4; cvt.u32.u64 %r9, %rd5;" + _STORE,
    "wide summand above 32 bits": _LANE + "mad.wide.u32 %rd2, %r8, 4, 0x1F00000000; shr.u64 %rd3, %rd2, 32;"
    "cvt.u64.u32 %rd4, %r8; or.b64 %rd5, %rd3, %rd4; cvt.u32.u64 %r9, %rd5;" + _STORE,
    # Conversions take the lower part of a wider register, and fill one up with zeros.
    "from a wider register": _LANE
    + "cvt.u64.u32 %rd2, %r8; shl.b64 %rd4, %rd2, 30; cvt.u64.u32 %rd3, %rd4;"
    + _STORE_UPPER,
    "into a wider register": _LANE
    + "cvt.u64.u32 %rd2, %r8; add.s64 %rd4, %rd2, 0xFFFFFFF0; cvt.u32.u64 %rd3, %rd4;"
    + _STORE_UPPER,
    # Zero in all lanes at first.
    "read before it is written": "mov.u32 %r7, 0; L: st.global.u32 [%rd1], %r5; mov.u32 %r5, %r1;"
    "add.u32 %r7, %r7, 1; add.s64 %rd1, %rd1, 256; setp.lt.u32 %p1, %r7, 2; @%p1 bra L;",
}


@pytest.mark.parametrize("block", [64, (32, 2)])
@pytest.mark.parametrize("case", CASES)
def test_same_as_lane_by_lane(both, case, block):
    found = both.run_both(both.kernel(CASES[case]), "k", 1, block, [both.array(128)])
    found.check_memory()
    found.check_counters()


def test_numbers_by_the_magic_of_floats(both):
    """What CUDA programs write for a fast conversion: the number among the bits of 2^23, less 2^23."""
    out = both.array(64, np.float32)
    both.run_both(both.kernel(CASES["float sub"]), "k", 1, 64, [out])
    assert np.array_equal(out, np.arange(64))


_ODD = "and.b32 %r5, %r1, 1; setp.eq.u32 %p1, %r5, 1;"
_BYTE = "cvt.u64.u32 %rd3, %r1; add.s64 %rd3, %rd10, %rd3;"
LOADS = {
    # Lanes that are off keep all of a register of which memory has only a part.
    "byte under a guard": _ODD + _BYTE + "mov.u32 %r9, 0x12345678; @%p1 ld.global.u8 %r9, [%rd3];" + _STORE,
    "byte behind a branch": _ODD + _BYTE + "mov.u32 %r9, 0x12345678; @%p1 bra L; ld.global.s8 %r9, [%rd3]; L:" + _STORE,
    "byte of any space": _ODD + _BYTE + "mov.u32 %r9, 0x12345678; selp.b64 %rd4, %rd3, %rd0, %p1;"
    "@%p1 ld.u8 %r9, [%rd4];" + _STORE,
    "words into 64 bits": _ODD + "mul.wide.u32 %rd3, %r1, 8; add.s64 %rd3, %rd10, %rd3;"
    "mov.u64 %rd4, 0x123456789ABCDEF0; mov.u64 %rd5, 0x3333333322222222;"
    "@%p1 ld.global.s32 %rd4, [%rd3]; @%p1 ld.global.s32 %rd5, [%rd3+4];"
    "xor.b64 %rd6, %rd4, %rd5; shr.u64 %rd7, %rd6, 16; cvt.u32.u64 %r9, %rd7;" + _STORE,
    # Elements that nobody wants.
    "bit bucket": _ODD + "mul.wide.u32 %rd3, %r1, 8; add.s64 %rd3, %rd10, %rd3; mov.u32 %r9, 3;"
    "@%p1 ld.global.v2.u32 {_, %r9}, [%rd3];" + _STORE,
    "bit bucket, any space": _ODD + "mul.wide.u32 %rd3, %r1, 8; add.s64 %rd3, %rd10, %rd3; mov.u32 %r9, 3;"
    "selp.b64 %rd4, %rd3, %rd0, %p1; @%p1 ld.v2.u32 {%r9, _}, [%rd4];" + _STORE,
    # Neighbours that are none.
    "set after the load": "mul.wide.u32 %rd3, %r1, 8; add.s64 %rd3, %rd10, %rd3; ld.global.b32 %r9, [%rd3];"
    "mov.b32 %r9, 7; ld.global.b32 %r8, [%rd3+4]; add.u32 %r9, %r9, %r8;" + _STORE,
    "address of the turn before": "mul.wide.u32 %rd3, %r1, 8; add.s64 %rd4, %rd10, %rd3; mov.u32 %r7, 0;"
    "mov.u32 %r9, 0; L: mul.wide.u32 %rd5, %r7, 512; add.s64 %rd6, %rd4, %rd5; setp.ne.u32 %p2, %r7, 0;"
    "mov.u32 %r10, 0; mov.u32 %r11, 0; @%p2 ld.global.b32 %r10, [%rd6]; @%p2 ld.global.b32 %r11, [%rd8+4];"
    "mad.lo.u32 %r9, %r11, 3, %r9; add.u32 %r9, %r9, %r10; add.s64 %rd8, %rd6, 0;"
    "add.u32 %r7, %r7, 1; setp.lt.u32 %p1, %r7, 3; @%p1 bra L;" + _STORE,
}


@pytest.mark.parametrize("block", [64, (16, 4)])
@pytest.mark.parametrize("case", LOADS)
def test_loads(both, case, block):
    out, a = both.array(128), both.array(1024)
    a[:] = np.random.default_rng(1).integers(0, 1 << 32, a.size)
    found = both.run_both(both.kernel(LOADS[case], pointers=["a"]), "k", 1, block, [out, a])
    found.check_memory()
    found.check_counters()
