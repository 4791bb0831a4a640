"""Multi-word arithmetic through the carry flag, and what lanes of a warp find they have in common."""

import numpy as np
import pytest

import teachkit as tk

WORDS = "%r10, %r11, %r12, %r13"


@pytest.mark.parametrize("operation", ["add", "sub"])
def test_128_bits(both, operation):
    body = f"""
    mul.wide.u32 %rd2, %r1, 16; add.s64 %rd3, %rd10, %rd2; add.s64 %rd4, %rd11, %rd2; add.s64 %rd5, %rd0, %rd2;
    ld.global.v4.u32 {{{WORDS}}}, [%rd3]; ld.global.v4.u32 {{%r20, %r21, %r22, %r23}}, [%rd4];
    {operation}.cc.u32 %r10, %r10, %r20; {operation}c.cc.u32 %r11, %r11, %r21; {operation}c.cc.u32 %r12, %r12, %r22;
    {operation}c.u32 %r13, %r13, %r23; st.global.v4.u32 [%rd5], {{{WORDS}}};"""
    random = np.random.default_rng(5)
    a, b = both.array(256), both.array(256)
    for values in (a, b):
        values[:] = random.choice([0, 1, 2**32 - 1, 2**31, 12345], 256)
    run = both.run_both(both.kernel(body, pointers=("a", "b")), "k", 1, 64, [both.array(256), a, b])
    run.check_memory()
    run.check_counters()
    got = run.memory[0][0].view(np.uint32).reshape(-1, 4)
    sign = 1 if operation == "add" else -1
    for row, left, right in zip(got, a.reshape(-1, 4), b.reshape(-1, 4), strict=True):
        numbers = [sum(int(word) << 32 * i for i, word in enumerate(words)) for words in (row, left, right)]
        assert numbers[0] == (numbers[1] + sign * numbers[2]) % (1 << 128)


# What the flag of operations on %r4 and %r5 makes of zeros, in %r7. ptxas 12.8 makes one addition of each, of the
# complement where it subtracts, and folds constants to the same: after 1 - 2 addc gives 0, after 2 - 1 it gives 1.
FLAGS = {
    "add.cc.u32 %r6, %r4, %r5; addc.u32 %r7, 0, 0": lambda a, b: a + b >= 2**32,
    "add.cc.u32 %r6, %r4, %r5; subc.u32 %r7, 0, 0": lambda a, b: (a + b >= 2**32) - 1,
    "sub.cc.u32 %r6, %r4, %r5; addc.u32 %r7, 0, 0": lambda a, b: a >= b,
    "sub.cc.u32 %r6, %r4, %r5; subc.u32 %r7, 0, 0": lambda a, b: (a >= b) - 1,
    "sub.cc.u32 %r6, %r4, %r5; madc.lo.u32 %r7, 0, 0, 0": lambda a, b: a >= b,
    "sub.cc.u32 %r6, %r4, %r5; subc.cc.u32 %r7, %r5, %r4; addc.u32 %r7, 0, 0": lambda a, b: (
        b + 2**32 - 1 - a + (a >= b) >= 2**32
    ),
    "add.cc.u32 %r6, %r4, %r5; subc.cc.u32 %r7, %r4, %r5; subc.u32 %r7, 0, 0": lambda a, b: (
        (a + 2**32 - 1 - b + (a + b >= 2**32) >= 2**32) - 1
    ),
}


@pytest.mark.parametrize(("operations", "expected"), FLAGS.items(), ids=FLAGS)
def test_the_flag_after_a_subtraction_is_a_carry(both, operations, expected):
    body = f"""ld.global.u32 %r4, [%rd1]; mul.wide.u32 %rd3, %r1, 4; add.s64 %rd3, %rd10, %rd3;
    ld.global.u32 %r5, [%rd3]; {operations}; st.global.u32 [%rd1], %r7;"""
    values = [0, 1, 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 12345]
    a, b = both.array(64), both.array(64)
    a[:], b[:] = np.repeat(values, 8), np.tile(values, 8)
    given = a.copy()
    run = both.run_both(both.kernel(body, pointers=("b",)), "k", 1, 64, [a, b])
    run.check_memory()
    got = run.memory[0][0].view(np.uint32)
    assert got.tolist() == [int(expected(int(x), int(y))) % 2**32 for x, y in zip(given, b, strict=True)]


def test_128_bit_division_of_nvrtc():
    """Knuth's long division, of words with carries."""
    pytest.importorskip("cuda.bindings.nvrtc")
    source = """typedef unsigned __int128 U;
    __global__ void k(const unsigned long long* x, unsigned long long* y) {
        x += 4 * threadIdx.x, y += 8 * threadIdx.x;
        U a = (U)x[1] << 64 | x[0], b = (U)x[3] << 64 | x[2], r[4] = {a / b, a % b, 0, 0};
        r[2] = (__int128)a / (__int128)b, r[3] = (__int128)a % (__int128)b;
        for (int i = 0; i < 4; i++) y[2 * i] = r[i], y[2 * i + 1] = r[i] >> 64;
    }"""
    random = np.random.default_rng(3)
    sizes = random.integers(1, 129, (96, 2))
    pairs = [
        [int.from_bytes(random.bytes(16), "little") >> int(128 - n) | 1 << int(n - 1) for n in row] for row in sizes
    ]
    pairs += [[2**64 + 5, 7], [2**128 - 1, 1], [2**127, 2**128 - 1], [2**127 + 12345, 2**65 + 3], [5, 2**100]]
    x = np.array([[number >> 64 * i & 2**64 - 1 for number in pair for i in (0, 1)] for pair in pairs], np.uint64)
    y = np.zeros((len(pairs), 4, 2), np.uint64)
    tk.compile_cuda_c(source, options=["--device-int128"])["k"][1, len(pairs)](x, y)

    def signed(value):
        return value - 2**128 if value >> 127 else value

    for (a, b), row in zip(pairs, y.tolist(), strict=True):
        quotient = abs(signed(a)) // abs(signed(b)) * (1 if signed(a) * signed(b) >= 0 else -1)
        expected = [a // b, a % b, quotient % 2**128, (signed(a) - quotient * signed(b)) % 2**128]
        assert [low | high << 64 for low, high in row] == expected, (a, b)


def test_products(both):
    body = """
    mul.lo.u32 %r4, %r1, 2654435761; mul.lo.u32 %r5, %r1, 2246822519; mov.u32 %r6, -5;
    mad.lo.cc.u32 %r7, %r4, %r5, %r6; madc.hi.u32 %r8, %r4, %r5, %r6; addc.u32 %r9, 0, 0;
    mad.lo.cc.s32 %r10, %r4, %r5, %r6; madc.hi.cc.s32 %r11, %r4, %r5, %r6; subc.u32 %r12, %r7, %r8;
    add.s64 %rd2, %rd1, 0; st.global.u32 [%rd2], %r7; st.global.u32 [%rd2+256], %r8; st.global.u32 [%rd2+512], %r9;
    st.global.u32 [%rd2+768], %r11; st.global.u32 [%rd2+1024], %r12;"""
    run = both.run_both(both.kernel(body), "k", 1, 64, [both.array(320)])
    run.check_memory()
    run.check_counters()


@pytest.mark.parametrize("values", ["and.b32 %r4, %r1, 3", "mov.u32 %r4, 7", "shr.u32 %r4, %r1, 4"])
def test_matches(both, values):
    body = f"""
    {values}; mul.wide.u32 %rd3, %r4, 77; setp.lt.u32 %p1, %r1, 50; mov.u32 %r5, 9; mov.u32 %r7, 9;
    @!%p1 bra END; activemask.b32 %r9;
    match.any.sync.b32 %r5, %r4, %r9; match.any.sync.b64 %r6, %rd3, %r9; match.all.sync.b32 %r7|%p2, %r4, %r9;
    selp.u32 %r8, 1, 2, %p2; mad.lo.u32 %r7, %r7, 3, %r8; xor.b32 %r7, %r7, %r6;
    elect.sync %r10|%p3, %r9; selp.u32 %r11, 64, 128, %p3; add.u32 %r7, %r7, %r11; add.u32 %r7, %r7, %r10;
    END: st.global.u32 [%rd1], %r5; st.global.u32 [%rd1+256], %r7;"""
    run = both.run_both(both.kernel(body), "k", 1, 64, [both.array(128)])
    run.check_memory()
    run.check_counters()
