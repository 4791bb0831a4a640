"""128-bit registers: moves, loads, stores, parameters and atomics, on the engine and on the oracle."""

import dataclasses

import numpy as np
import pytest

import teachkit as tk
from teachkit.emulator import load_ptx
from teachkit.emulator.ptx import parse, print_module
from teachkit.errors import KernelFault, UnsupportedInstruction

REGISTERS = (
    ".reg .b128 %q<9>; .shared .align 16 .b8 tile[512]; .local .align 16 .b8 own[32];"
    "shl.b32 %r9, %r1, 4; cvt.u64.u32 %rd9, %r9; add.s64 %rd2, %rd0, %rd9; add.s64 %rd12, %rd10, %rd9;"
)

FUNCTION = (
    ".func (.param .align 16 .b8 r[16]) same (.param .align 16 .b8 a[16]) { .reg .b128 %q1; .reg .b64 %rd<3>;"
    "ld.param.b128 %q1, [a]; mov.b128 {%rd1, %rd2}, %q1; mov.b128 %q1, {%rd1, %rd2}; st.param.b128 [r], %q1; ret; }\n"
)


def words(both, n=32):
    """Four 32-bit words for each of ``n`` threads, all different."""
    array = both.array(4 * n)
    array[:] = np.arange(4 * n) * 0x01020304 + 0xF0000001
    return array


def run(both, body):
    """Result [n, 4], and the launch; %q1 is loaded from the thread's 16 bytes and stored there in the end."""
    text = both.kernel(
        f"{REGISTERS} ld.global.b128 %q1, [%rd12];\n{body}\nst.global.b128 [%rd2], %q1;",
        pointers=("given",),
        before=f".const .align 16 .b8 table[32] = {{{', '.join(map(str, range(1, 33)))}}};\n{FUNCTION}",
    )
    assert parse(print_module(parse(text))) == parse(text)
    launch = both.run_both(text, "k", 1, 32, [out := both.array(128), given := words(both)])
    launch.check_memory()
    launch.check_counters()
    return out.reshape(32, 4), given.reshape(-1, 4), launch


def one_statement(both, statement):
    """A loaded module with kernel ``k`` of this statement."""
    return load_ptx(both.kernel(f"{REGISTERS} {statement};", pointers=("given",)))


SAME = {
    "nothing": "",
    "a move": "mov.b128 %q2, %q1; mov.b128 %q1, {0, 0}; mov.b128 %q1, %q2;",
    "two parts": "mov.b128 {%rd3, %rd4}, %q1; mov.b128 %q1, {%rd3, %rd4};",
    "four parts": "mov.b128 {%r4, %r5, %r6, %r7}, %q1; mov.b128 %q1, {%r4, %r5, %r6, %r7};",
    "two and four": "mov.b128 {%r4, %r5, %r6, %r7}, %q1; mov.b64 %rd3, {%r4, %r5}; mov.b64 %rd4, {%r6, %r7};"
    "mov.b128 %q1, {%rd3, %rd4};",
    "shared": "cvt.u32.u64 %r8, %rd9; mov.u32 %r7, tile; add.u32 %r7, %r7, %r8; st.shared.b128 [%r7], %q1;"
    "mov.b128 %q1, {1, 2}; ld.shared.b128 %q1, [%r7];",
    "local": "st.local.b128 [own+16], %q1; mov.b128 %q1, {1, 2}; ld.local.b128 %q1, [own+16];",
    "generic": "ld.b128 %q2, [%rd12]; st.b128 [%rd2], %q2; ld.relaxed.gpu.b128 %q1, [%rd2];",
    "ordered": "ld.acquire.gpu.global.b128 %q2, [%rd12]; st.release.sys.global.b128 [%rd2], %q2;"
    "ld.volatile.global.b128 %q1, [%rd2];",
    "hints": "ld.global.nc.L1::no_allocate.L2::128B.b128 %q1, [%rd12];",
    "a call's argument": "{ .param .align 16 .b8 a[16]; .param .align 16 .b8 r[16]; st.param.b128 [a], %q1;"
    "mov.b128 %q1, {1, 2}; call (r), same, (a); ld.param.b128 %q1, [r]; }",
    "under a predicate": "setp.lt.u32 %p1, %r1, 99; mov.b128 %q2, {0, 0}; @%p1 mov.b128 %q2, %q1; @!%p1 bra END;"
    "mov.b128 %q1, %q2; END:",
}


@pytest.mark.parametrize("body", SAME.values(), ids=SAME)
def test_what_comes_back_is_what_was_sent(both, body):
    out, given, _ = run(both, body)
    assert (out == given).all()


def test_a_load_counts_like_one_of_two_halves(both):
    bodies = ["", "ld.global.v2.b64 {%rd3, %rd4}, [%rd12]; st.global.v2.b64 [%rd2], {%rd3, %rd4};"]
    _, _, wide = run(both, "ld.global.b128 %q1, [%rd12]; st.global.b128 [%rd2], %q1;")
    _, _, pairs = run(both, bodies[1])
    one, two = (dataclasses.asdict(each.launch.counters) for each in (wide, pairs))
    assert one == two
    assert one["global_load_bytes"] == 2 * 32 * 16


def test_constants_immediates_and_lanes_that_are_off(both):
    body = """ld.const.b128 %q2, [table+16]; setp.lt.u32 %p1, %r1, 9; @%p1 mov.b128 %q1, %q2;
    setp.eq.u32 %p2, %r1, 20; @%p2 mov.b128 %q1, {7, -1}; setp.gt.u32 %p3, %r1, 29; @%p3 bra END;
    mov.b128 {%rd3, _}, %q1; mov.b128 %q1, {%rd3, %rd3}; END:"""
    out, given, _ = run(both, body)
    table = np.arange(17, 33, dtype=np.uint8).view(np.uint32)
    expected = given.copy()
    expected[:9] = table
    expected[20] = [7, 0, 0xFFFFFFFF, 0xFFFFFFFF]
    expected[:30, 2:] = expected[:30, :2]
    assert (out == expected).all()


@pytest.mark.parametrize("space", ["global", "", "shared", "shared::cta"])
def test_atomics(both, space):
    """Lanes of one group of 8 meet in one place: an exchange hands the values down the row, a swap works once."""
    suffix = f".{space}" if space else ""
    place = "mov.u32 %r7, tile; add.u32 %r7, %r7, %r8;" if "shared" in space else "add.s64 %rd5, %rd10, %rd6;"
    at = "[%r7]" if "shared" in space else "[%rd5]"
    body = f"""and.b32 %r8, %r9, 0x180; shl.b32 %r6, %r8, 0; cvt.u64.u32 %rd6, %r6; {place}
    mov.b128 %q4, {{%rd6, 5}}; @%p1 bra NEVER; st{suffix}.b128 {at}, %q4; bar.sync 0;
    mov.b128 {{%rd3, %rd4}}, %q1; mov.b128 %q5, {{%rd4, %rd3}};
    atom{suffix}.cas.b128 %q6, {at}, %q4, %q1;
    atom.acq_rel.gpu{suffix}.exch.b128 %q7, {at}, %q5;
    atom{suffix}.exch.b128 _, {at}, %q6;
    mov.b128 {{%rd3, %rd4}}, %q6; mov.b128 {{%rd5, %rd6}}, %q7; xor.b64 %rd3, %rd3, %rd5; xor.b64 %rd4, %rd4, %rd6;
    mov.b128 %q1, {{%rd3, %rd4}}; NEVER:"""
    # %p1 is never set.
    out, _, launch = run(both, body)
    first = words(both).reshape(32, 4).view(np.uint64)
    for group in range(4):
        memory = np.array([128 * group, 5], np.uint64)
        lanes = range(8 * group, 8 * group + 8)
        swapped, exchanged = [], []
        for lane in lanes:
            swapped.append(memory)
            if (memory == [128 * group, 5]).all():
                memory = first[lane]
        for lane in lanes:
            exchanged.append(memory)
            memory = first[lane][::-1]
        for lane, a, b in zip(lanes, swapped, exchanged, strict=True):
            assert (out[lane].view(np.uint64) == (a ^ b)).all(), lane
    assert launch.launch.counters.atomic_requests == 3


def test_many_blocks_take_turns(both):
    """Each block counts on in both halves, on however many threads the blocks run."""
    body = f"""{REGISTERS} mov.b128 %q1, {{0, 0}}; mov.u64 %rd13, 0; mov.u64 %rd14, 0;
    AGAIN: add.u64 %rd3, %rd13, 1; sub.u64 %rd4, %rd14, 1; mov.b128 %q2, {{%rd3, %rd4}}; mov.b128 %q1, {{%rd13, %rd14}};
    atom.global.cas.b128 %q3, [%rd0], %q1, %q2; mov.b128 {{%rd5, %rd6}}, %q3;
    setp.eq.u64 %p1, %rd5, %rd13; mov.u64 %rd13, %rd5; mov.u64 %rd14, %rd6; @!%p1 bra AGAIN;"""
    out = both.array(4)
    load_ptx(both.kernel(body, pointers=("given",)))["k"][200, 64](out, both.array(4))
    assert out.view(np.uint64).tolist() == [200 * 64, 2**64 - 200 * 64]


def test_a_place_that_is_no_multiple_of_16_is_at_fault(both):
    for statement in ("ld.global.b128 %q1, [%rd10+8]", "atom.global.exch.b128 %q1, [%rd10+8], %q1"):
        with pytest.raises(KernelFault, match="16"):
            one_statement(both, statement)["k"][1, 1](both.array(4), words(both))


@pytest.mark.parametrize(
    "statement",
    [
        "ld.global.v2.b128 {%q1, %q2}, [%rd12]",
        "mov.b128 %q1, 0",
        "and.b128 %q1, %q1, %q2",
        "selp.b128 %q1, %q1, %q2, %p1",
        "atom.global.add.b128 %q1, [%rd12], %q2",
        "red.global.exch.b128 [%rd12], %q2",
    ],
)
def test_other_forms_are_refused(both, statement):
    with pytest.raises(UnsupportedInstruction, match=statement.split()[0].replace(".", r"\.")):
        one_statement(both, statement)["k"][1, 32](both.array(128), words(both))


SOURCE = r"""
struct __align__(16) Pair { long long sum, n; };
__global__ void add(Pair* total, const int* x, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        Pair seen = {0, 0}, old;
        do {
            old = seen;
            Pair next = {old.sum + x[i], old.n + 1};
            seen = atomicCAS(total, old, next);
        } while (seen.sum != old.sum || seen.n != old.n);
    }
    __shared__ Pair last;
    if (threadIdx.x == 0) last = {0, 0};
    __syncthreads();
    Pair before = atomicExch(&last, Pair{threadIdx.x, 7});
    if (before.n == 7) atomicAdd((unsigned long long*)&total[1].n, 1ull);
}
__global__ void swap(unsigned __int128* x) {
    unsigned __int128 v;
    asm volatile("ld.global.b128 %0, [%1];" : "=q"(v) : "l"(x + threadIdx.x));
    v = v * 3 + 1;
    asm volatile("st.global.b128 [%0], %1;" :: "l"(x + threadIdx.x), "q"(v));
}
"""


def test_what_nvrtc_writes(monkeypatch):
    pytest.importorskip("cuda.bindings.nvrtc")
    monkeypatch.setenv("TEACHKIT_ARCH", "90")
    module = tk.compile_cuda_c(SOURCE, options=["--device-int128"])
    assert "atom.global.cas.b128" in module.ptx
    total, x = np.zeros(4, np.int64), np.arange(1000, dtype=np.int32) - 300
    room = np.zeros(6, np.int64)
    total = room[room.ctypes.data % 16 // 8 :][:4]
    module["add"][3, 64](total, x, 1000)
    assert total.tolist() == [int(x.sum()), 1000, 0, 3 * 63]
    room = np.arange(66, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    y = room[room.ctypes.data % 16 // 8 :][:64]
    before = [int(low) | int(high) << 64 for low, high in y.reshape(32, 2)]
    module["swap"][1, 32](y)
    after = [int(low) | int(high) << 64 for low, high in y.reshape(32, 2)]
    assert after == [(value * 3 + 1) % 2**128 for value in before]
