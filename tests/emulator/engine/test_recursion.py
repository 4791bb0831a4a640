"""Functions that call themselves, against plain Python and against the oracle: results and every count."""

import functools

import numpy as np
import pytest

from teachkit.emulator import check, configure, load_ptx, observe
from teachkit.emulator.engine import residents
from teachkit.errors import KernelFault

SHAPES = [(1, 32), (2, 64), (3, 45)]  # blocks, threads


@functools.cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def ackermann(m, n):
    if m == 0:
        return n + 1
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def chain(n, above):
    own = [n, 2 * n, 3 * n, 0]
    if above is not None:
        above[n & 3] += n + 1
    if n > 0:
        own[3] = chain(n - 1, own)
    total = 0
    for value in own:
        total = int32(3 * total + value)
    return total


def int32(n):
    return (n + 2**31) % 2**32 - 2**31


def quotient(a, b):
    return abs(a) // b * (1 if a >= 0 else -1)


def pairs(a, b, c, n):
    if n == 0:
        return a, b, c
    qa, qb, qc = pairs(a * 1.5, b + n, c ^ n, n - 1)
    return qa + a, qb * 3 + b, qc - n


def wide(n, f, d, c, start):
    total = 0
    for i in range(n):
        total += wide(n - 1 - i, f + 0.5, d * 1.25, (c + i) % 256, start + total)
        if f > 3:
            total += int(f * 8) + c
    return total + int(d * 16) + start - c


def polynomial(numbers):
    return functools.reduce(lambda total, n: int32(5 * total + n), numbers, 0)


def step(n, is_odd):
    if n <= 1:
        return 0
    n = 3 * n + 1 if is_odd else n // 2
    return 1 + step(n, n & 1)


def tree(n):
    def a(x):
        return n + x

    def c(x):
        return 7 if x > 4 else -a(x + 1)

    def d(x):
        return 3 + x + 2 * c(x + 1)

    def e(x):
        return 7 if x > 4 else -d(x + 1)

    def f(x):
        return e(x) + 2 * d(x + 1)

    return (a, c, d, f)[n & 3](n >> 2)


def structures(n, i):
    a, b, c = pairs(0.25 * i, n, i, n)
    return int32(int(a * 64) + b + (c + 2**15) % 2**16 - 2**15)


def sorted_sum(n):
    return polynomial(sorted((n * (k + 3) * 7919 + k * k) % 101 for k in range(16)))


EXPECTED = {
    "fibonacci": (12, lambda n, i: fib(n) * 2 + i),
    "parity": (40, lambda n, i: i * (2 if n % 2 == 0 else 1) + 3 * (n % 2)),
    "deep": (9, lambda n, i: ackermann(n & 1, n) + ackermann(2, n & 3)),
    "frames": (20, lambda n, i: chain(n, None) ^ chain(n // 2, None)),
    "structures": (9, structures),
    "widths": (16, lambda n, i: int32(wide(n % 6, n, i + 0.125, (250 + i) % 256, 1 << (n & 31)))),
    "sorted": (1000, lambda n, i: sorted_sum(n)),
    "tree": (30, lambda n, i: tree(n)),
    "pointers": (27, lambda n, i: step(n, n & 1)),
}


def numbers(both, n, below):
    x = both.array(n, np.int32)
    x[:] = np.random.default_rng(n).integers(0, below, n)
    return x


@pytest.mark.parametrize(("grid", "block"), SHAPES)
@pytest.mark.parametrize("name", EXPECTED)
def test_results_and_counts(samples, both, name, grid, block):
    below, expected = EXPECTED[name]
    n = grid * block
    x, out = numbers(both, n, below), both.array(n, np.int32)
    run = both.run_both(samples.cuda_ptx("recursion"), name, grid, block, [x, out])
    assert out.tolist() == [expected(int(a), i) for i, a in enumerate(x)]
    run.check_memory()
    run.check_counters()


@pytest.mark.parametrize("turns", [1, 3])
@pytest.mark.parametrize("block", [64, 50])
def test_barriers_and_warps_that_stop_in_mid_recursion(samples, both, monkeypatch, block, turns):
    monkeypatch.setattr(residents, "first_turns", turns)
    x, out = numbers(both, block, 12), both.array(block, np.int32)
    run = both.run_both(samples.cuda_ptx("recursion"), "together", 1, block, [x, out])
    tile = [fib(a) if a % 3 else -a for a in map(int, x)]
    assert out.tolist() == [tile[block - 1 - i] + (fib(a // 2) if i % 5 == 0 else 0) for i, a in enumerate(map(int, x))]
    run.check_memory()
    run.check_counters()


def test_counters_are_the_same_for_one_thread_and_two(samples, both):
    counted, before = [], configure()
    x = numbers(both, 64 * 96, 14)
    for n_threads in (1, 2):
        configure(n_threads=n_threads)
        launches = []
        with observe(launches.append):
            load_ptx(samples.cuda_ptx("recursion"))["fibonacci"].launch(96, 64, [x, both.array(x.size, np.int32)])
        counted.append(launches[0].counters)
    configure(n_threads=before.n_threads)
    assert counted[0] == counted[1]
    assert counted[0].warp_instructions > 0


def test_a_full_stack_says_where(samples, both):
    x, out = numbers(both, 64, 5), both.array(64, np.int32)
    with pytest.raises(KernelFault) as caught:
        load_ptx(samples.cuda_ptx("recursion"))["runaway"].launch(2, 32, [x, out])
    fault = caught.value
    assert (fault.kind, fault.block, fault.thread) == ("stack overflow", (1, 0, 0), (8, 0, 0))
    assert "65536 bytes" in str(fault)
    assert "recursion.cu" in fault.source
    assert "cudaDeviceSetLimit" in str(fault)
    assert (out == 0).all()
    found = both.run(both.parse(samples.cuda_ptx("recursion")), "runaway", 2, 32, [x, out])
    assert found.faults[0].kind == "stack overflow"


def test_checks_find_nothing_to_say(samples, both):
    """Registers on the stack, parameters and results are written before they are read."""
    for name in EXPECTED:
        below, expected = EXPECTED[name]
        x, out = numbers(both, 64, below), both.array(64, np.int32)
        with check() as report:
            load_ptx(samples.cuda_ptx("recursion"))[name].launch(1, 64, [x, out])
        assert not report.findings, (name, report.findings)
        assert out.tolist() == [expected(int(a), i) for i, a in enumerate(x)]
