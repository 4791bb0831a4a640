"""Numba-CUDA and CUDA C++ kernels on the oracle: generic addresses, local memory, fp64 maths, divergence."""

import math

import numpy as np
import pytest

from teachkit.emulator.oracle import run
from teachkit.emulator.ptx import parse


def aligned(array):
    """A copy that starts at a multiple of 256 bytes, as device memory does."""
    room = np.zeros(array.nbytes + 256, np.uint8)
    start = -room.__array_interface__["data"][0] % 256
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def flat(array):
    """A Numba array argument: meminfo, parent, number of items, item size, data, shape, strides."""
    return [0, 0, array.size, array.itemsize, array, *array.shape, *array.strides]


@pytest.fixture
def numba(samples):
    def launch(name, grid, block, *arguments):
        module = parse(samples.numba_ptx(name))
        (kernel,) = (f.name for f in module.functions.values() if f.is_entry)
        values = [v for a in arguments for v in (flat(a) if isinstance(a, np.ndarray) else [a])]
        result = run(module, kernel, grid, block, values)
        assert not result.faults
        return result

    return launch


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_saxpy_counts_generic_accesses_as_global(numba):
    n = 200
    x, y = (aligned(normal(n, seed=seed).astype(np.float32)) for seed in (1, 2))
    out = aligned(np.zeros(n, np.float32))
    counters = numba("saxpy", 2, 128, np.float32(2.5), x, y, out).counters
    assert (out == (2.5 * x.astype(np.float64) + y).astype(np.float32)).all()  # one fused multiply-add
    assert (counters.global_load_bytes, counters.global_store_bytes) == (8 * n, 4 * n)
    assert counters.global_load_sectors == 2 * 4 * n // 32
    assert (counters.branches, counters.divergent_branches) == (8, 1)  # warp 6 holds threads 192 to 223


def test_shared_and_local_memory_and_printing(numba):
    x = aligned(normal(128).astype(np.float32))
    out = aligned(np.zeros(128, np.float32))
    result = numba("shared_and_local", 1, 128, x, out)
    expected = np.exp(x[::-1].astype(np.float64))
    expected[0] += x.sum()
    np.testing.assert_allclose(out[1:], expected[1:], rtol=1e-5)
    assert result.counters.barriers == 4
    assert result.counters.atomic_requests == 4
    assert result.counters.atomic_max_conflict == 32
    assert result.counters.local_bytes > 0
    negative = np.flatnonzero(x < 0)
    printed = [line.split() for line in result.printed]
    assert sorted(int(line[0]) for line in printed) == negative.tolist()


def test_warp_sum(numba):
    x = aligned(normal(128).astype(np.float32))
    out = aligned(np.zeros(4, np.float32))
    numba("warp_sum", 4, 32, x, out)
    np.testing.assert_allclose(out, x.reshape(4, 32).sum(1), rtol=1e-5)


def test_matmul_float64(numba):
    a, b, out = aligned(normal(20, 7)), aligned(normal(7, 13, seed=1)), aligned(np.zeros((20, 13)))
    counters = numba("matmul", (2, 1), (16, 16), a, b, out).counters
    np.testing.assert_allclose(out, a @ b, rtol=1e-13)
    assert counters.flop_fp64 == 2 * 20 * 13 * 7


def test_divergent_collatz(numba):
    x = aligned(np.arange(1, 97))
    out = aligned(np.zeros(96, np.int32))
    counters = numba("collatz", 1, 96, x, out).counters

    def steps(n):
        return 0 if n == 1 else 1 + steps(n // 2 if n % 2 == 0 else 3 * n + 1)

    assert out.tolist() == [steps(int(n)) for n in x]
    assert 0 < counters.divergent_branches < counters.branches


def test_float64_maths(numba):
    x = aligned(np.abs(normal(64)) * 3 + 0.1)
    x[0] = 1e6  # needs the slow reduction of the sine's argument
    out = aligned(np.zeros(64))
    numba("maths", 1, 64, x, out)
    expected = [math.sin(v) + math.pow(v, 3.5) + math.erf(v) + math.lgamma(v) for v in x]
    np.testing.assert_allclose(out, expected, rtol=1e-13)


def test_cuda_cpp_with_indirect_calls_switch_and_inline_assembly(samples):
    module = parse(samples.cuda_ptx("language"))
    out = aligned(np.linspace(-1, 1, 256, dtype=np.float32))
    before = out.copy()
    parameters = np.array([(1.0, 3, 0.5)], dtype=[("x", "f4"), ("n", "i4"), ("d", "f8")]).tobytes()
    n = 10
    result = run(module, "everything", 1, 256, [parameters, out, n], shared_bytes=1024)
    i = np.arange(n)
    sines = np.array([sum(math.sin(before[k] * j) for j in range(n)) for k in i])
    fractions = np.array([0.5, -1.25, 3])[i % 3]
    expected = sines + (255 - i) * 0.5 + np.array([1, 2, 3, 4])[i & 3] + 3 + fractions
    # The statements behind the switch write elements 10 and above.
    np.testing.assert_allclose(out[:n], expected, rtol=1e-5)
    assert len(result.printed) == n
    assert not result.faults


def test_cuda_cpp_template_with_float64_sine(samples):
    module = parse(samples.cuda_ptx("language"))
    (name,) = (name for name in module.functions if "templated" in name)
    out = aligned(np.array([0, 1e5], np.float32))
    run(module, name, 1, 1, [out])
    assert out[0] == np.float32(np.float32(math.sin(1e5)) + np.float32(0.1))
