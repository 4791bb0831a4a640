"""Random control-flow graphs, loops with several entries included: engine, oracle, and each thread in plain Python."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from teachkit.emulator.engine import residents

N_REGISTERS = 3
WORD = 2**32
FUEL = 40  # blocks that a thread runs at most

_operations = {
    "add.u32": lambda a, b: a + b,
    "sub.u32": lambda a, b: a - b,
    "mul.lo.u32": lambda a, b: a * b,
    "xor.b32": lambda a, b: a ^ b,
    "shr.u32": lambda a, b: a >> b if b < 32 else 0,
    "min.u32": min,
}
_tests = {"lt": lambda a, b: a < b, "ge": lambda a, b: a >= b, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b}
_registers = st.integers(0, N_REGISTERS - 1)
_steps = st.tuples(
    st.sampled_from(sorted(_operations)), _registers, _registers, st.integers(0, 9) | _registers.map(str)
)
# How a block ends: a branch on (register & mask) against a number, a table by a register's low bits, or the end.
_branches = st.tuples(
    st.just("if"), _registers, st.sampled_from([1, 3, 31]), st.sampled_from(sorted(_tests)), st.integers(0, 20)
)


@st.composite
def graphs(draw):
    n = draw(st.integers(2, 9))
    targets = st.integers(0, n - 1)
    blocks = []
    for _ in range(n):
        end = draw(st.one_of(_branches, _branches, st.tuples(st.just("table"), _registers), st.just(("ret",))))
        ways = draw(st.lists(targets, min_size=4, max_size=4))
        blocks.append((draw(st.lists(_steps, max_size=3)), end, ways))
    return blocks


def ptx(blocks):
    yield "mov.u32 %r20, 0; mov.u32 %r10, %r1; mul.lo.u32 %r11, %r1, 7; mov.u32 %r12, %r2;"
    for number, (steps, end, ways) in enumerate(blocks):
        yield f"B{number}: add.u32 %r20, %r20, 1; setp.gt.u32 %p9, %r20, {FUEL}; @%p9 bra END;"
        for operation, target, a, b in steps:
            yield f"{operation} %r{10 + target}, %r{10 + a}, {f'%r1{b}' if isinstance(b, str) else b};"
        if end[0] == "ret":
            yield "bra END;"
        elif end[0] == "table":
            names = ", ".join(f"B{way}" for way in ways)
            yield f"and.b32 %r21, %r{10 + end[1]}, 3; T{number}: .branchtargets {names}; brx.idx %r21, T{number};"
        else:
            _, register, mask, test, limit = end
            yield f"and.b32 %r21, %r{10 + register}, {mask}; setp.{test}.u32 %p1, %r21, {limit & mask};"
            yield f"@%p1 bra B{ways[0]}; bra.uni B{ways[1]};"
    yield "END: st.global.u32 [%rd3], %r20;"
    yield from (f"st.global.u32 [%rd3+{4 + 4 * i}], %r{10 + i};" for i in range(N_REGISTERS))


def one_thread(blocks, inside, overall):
    registers, at = [inside, inside * 7 % WORD, overall], 0
    for fuel in range(1, FUEL + 2):
        steps, end, ways = blocks[at]
        if fuel > FUEL:
            break
        for operation, target, a, b in steps:
            other = registers[int(b)] if isinstance(b, str) else b
            registers[target] = _operations[operation](registers[a], other) % WORD
        if end[0] == "ret":
            break
        if end[0] == "table":
            at = ways[registers[end[1]] & 3]
        else:
            _, register, mask, test, limit = end
            at = ways[0] if _tests[test](registers[register] & mask, limit & mask) else ways[1]
    return [fuel, *registers]


@hypothesis.settings(max_examples=40, derandomize=True)
@hypothesis.given(blocks=graphs(), n_threads=st.sampled_from([32, 64, 45]), turns=st.sampled_from([1, 2, 256]))
def test_random_graph(both, blocks, n_threads, turns):
    size = 4 * (1 + N_REGISTERS)
    body = f"mad.wide.u32 %rd3, %r2, {size}, %rd0;\n" + "\n".join(ptx(blocks))
    out = both.array(2 * n_threads * (1 + N_REGISTERS))
    usual, residents.first_turns = residents.first_turns, turns
    try:
        found = both.run_both(both.kernel(body), "k", 2, n_threads, [out])
    finally:
        residents.first_turns = usual
    found.check_memory()
    expected = [one_thread(blocks, i % n_threads, i) for i in range(2 * n_threads)]
    assert out.reshape(-1, 1 + N_REGISTERS).tolist() == expected
    found.check_counters()


def test_a_loop_with_two_entries(both):
    body = """
    and.b32 %r4, %r1, 1; setp.eq.u32 %p1, %r4, 1; mov.u32 %r5, 0; mov.u32 %r6, 0; @%p1 bra SECOND;
    FIRST: add.u32 %r5, %r5, 1; add.u32 %r6, %r6, 10;
    SECOND: add.u32 %r5, %r5, 2; add.u32 %r6, %r6, 1; setp.lt.u32 %p2, %r5, %r1; @%p2 bra FIRST;
    st.global.u32 [%rd1], %r6;"""
    out = both.array(64)
    run = both.run_both(both.kernel(body), "k", 1, 64, [out])

    def expected(i):
        a, b, at_second = 0, 0, i % 2 == 1
        while True:
            if not at_second:
                a, b = a + 1, b + 10
            a, b, at_second = a + 2, b + 1, False
            if a >= i:
                return b

    assert out.tolist() == [expected(i) for i in range(64)]
    run.check_memory()
    run.check_counters()


@pytest.mark.parametrize("depth", [60, 150])
def test_very_deep_nesting(both, depth):
    """One more lane leaves at every level, and all come back together at the end."""
    down = " ".join(f"setp.ge.u32 %p1, %r1, {k}; @!%p1 bra L{k}; add.u32 %r4, %r4, {k};" for k in range(1, depth))
    up = " ".join(f"L{k}: add.u32 %r4, %r4, 1;" for k in reversed(range(1, depth)))
    out = both.array(64)
    run = both.run_both(both.kernel(f"mov.u32 %r4, 0; {down} {up} st.global.u32 [%rd1], %r4;"), "k", 1, 64, [out])
    levels = [min(i, depth - 1) for i in range(64)]
    assert out.tolist() == [n * (n + 1) // 2 + min(n + 1, depth - 1) for n in levels]
    run.check_memory()
    run.check_counters()


def test_a_guarded_trap_that_does_not_happen_counts_once(both):
    body = "setp.gt.u32 %p1, %r1, 1000; @%p1 trap; st.global.u32 [%rd1], %r1;"
    out = both.array(32)
    run = both.run_both(both.kernel(body), "k", 1, 32, [out])
    assert out.tolist() == np.arange(32).tolist()
    run.check_counters()


REDUCTIONS = r"""
extern "C" __global__ void counts(const int* x, int* out) {
    int i = threadIdx.x, n = x[i];
    int many = __syncthreads_count(n > 5), all = __syncthreads_and(n >= 0), any = __syncthreads_or(n == 77);
    out[i] = many * 4 + (all ? 2 : 0) + (any ? 1 : 0);
}
extern "C" __global__ void some_leave(const int* x, int* out) {
    __shared__ int tile[96];
    int i = threadIdx.x;
    tile[i] = x[i];
    if (x[i] < 0) return;                         // lanes that leave are not waited for
    __syncthreads();
    out[i] = tile[95 - i];
    if (i >= 64) return;                          // and neither are whole warps
    __syncthreads();
    tile[i] = out[i] + 1;
    __syncthreads();
    out[i] += tile[63 - i];
}
extern "C" __global__ void partial(const int* x, int* out) {
    __shared__ int tile[64];
    int i = threadIdx.x, lane = i % 32;
    if (lane < 12) {
        tile[i] = x[i];
        __syncwarp(0xfff);
        out[i] = tile[i - lane + (lane + 5) % 12];
    } else {
        int n = __shfl_down_sync(0xfffff000, x[i], 1);
        __syncwarp(0xfffff000);
        out[i] = n - 1;
    }
}
extern "C" __global__ void divergent_barrier(const int* x, int* out) {
    __shared__ int tile[64];
    int i = threadIdx.x;
    tile[i] = x[i];
    if (i & 32) { __syncthreads(); out[i] = tile[i ^ 32] + 1; }
    else { __syncthreads(); out[i] = tile[i ^ 32] + 2; }
}
"""


@pytest.fixture(scope="module")
def reductions():
    import teachkit as tk

    return tk.compile_cuda_c(REDUCTIONS)


@pytest.mark.parametrize("name", ["counts", "some_leave", "partial", "divergent_barrier"])
def test_barriers(reductions, both, name):
    n = {"counts": 80, "some_leave": 96}.get(name, 64)
    x, out = both.array(n, np.int32), both.array(n, np.int32)
    x[:] = np.random.default_rng(3).integers(0, 12, n)
    if name == "some_leave":
        x[7], x[40] = -1, -5
    run = both.run_both(reductions.ptx, name, 1, n, [x, out])
    i = np.arange(n)
    if name == "counts":
        expected = np.full(n, 4 * (x > 5).sum() + 2)
    elif name == "partial":
        lane = i % 32
        expected = np.where(lane < 12, x[i - lane + (lane + 5) % 12], x[np.where(lane < 31, i + 1, i) % 64] - 1)
    elif name == "divergent_barrier":
        expected = x[i ^ 32] + np.where(i & 32, 1, 2)
    else:
        first = np.where(x < 0, 0, x[95 - i])
        inside = (i < 64) & (x >= 0)
        tile = np.where(inside, first + 1, x)
        expected = np.where(inside, first + tile[np.where(i < 64, 63 - i, 0)], first)
    assert out.tolist() == expected.tolist()
    run.check_memory()
    if name != "some_leave":
        run.check_counters()
        return
    # Two warps in which a lane leaves: the oracle runs its last instruction at once, the engine with the others'.
    assert run.result.counters.warp_instructions == run.launch.counters.warp_instructions + 2
    assert run.result.counters.thread_instructions == run.launch.counters.thread_instructions
    assert run.result.counters.barriers == run.launch.counters.barriers
