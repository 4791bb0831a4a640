"""Counters do not depend on where an array happens to lie; results and what is written stay the array's own."""

import concurrent.futures

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.errors import KernelFault

SOURCE = """
__global__ void copy(const float* x, float* y) { int i = blockIdx.x * blockDim.x + threadIdx.x; y[i] = x[i]; }
__global__ void through(float** p, float* x, float* y) { p[1][threadIdx.x] = p[0][threadIdx.x]; }
__global__ void shift(float* x, const float* y) { x[threadIdx.x + 1] = y[threadIdx.x]; }
"""


@pytest.fixture(scope="module")
def module():
    return tk.compile_cuda_c(SOURCE)


def at(offset, n):
    """``n`` floats that begin ``offset`` bytes after a multiple of 64, in an allocation of their own size."""
    memory = np.zeros(4 * n + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    return np.frombuffer(memory.data, np.float32, n, start)


@pytest.mark.parametrize("offset", [0, 4, 16, 48])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_sectors_are_those_of_aligned_memory(module, offset, wrap):
    x, y = at(offset, 1024), at(64 - offset, 1024)
    x[:] = np.arange(1024)
    with tk.profile() as prof:
        module["copy"][4, 256](wrap(x), wrap(y))
    np.testing.assert_array_equal(y, x)
    total = prof.total
    assert (total.global_load_sectors, total.global_store_sectors) == (128, 128)
    assert total.compulsory_read_bytes == 4096


def test_a_view_keeps_its_place_in_its_array(module):
    x, y = np.arange(1032, dtype=np.float32), np.zeros(1024, np.float32)
    with tk.profile() as prof:
        module["copy"][4, 256](x[1:1025], y)
    np.testing.assert_array_equal(y, x[1:1025])
    assert prof.total.global_load_sectors == 5 * 32


def test_two_views_of_one_array(module):
    x = at(16, 33)
    x[:] = np.arange(33)
    with tk.profile():
        module["shift"][1, 32](x, x)
    np.testing.assert_array_equal(x, [0, *range(32)])


def test_read_only_arrays_and_faults(module):
    x, y = at(16, 64), at(16, 32)
    x[:] = np.arange(64)
    x.setflags(write=False)
    with (
        tk.profile(),
        pytest.raises(KernelFault, match=r"element 32\) of argument .* of shape \(32,\)"),
    ):
        module["copy"][1, 64](x, y)
    np.testing.assert_array_equal(y, x[:32])


def test_pointers_in_memory_are_good_while_counting(module):
    x, y = at(16, 32), at(48, 32)
    x[:] = np.arange(32)
    with tk.profile():
        module["through"][1, 32](np.array([x.ctypes.data, y.ctypes.data]), x, y)
    np.testing.assert_array_equal(y, x)


def test_threads_that_share_an_array(module):
    """Each writes its half of one array, counted and not; a copy of the whole must not undo the other's half."""
    source = """__global__ void half(float* x, int first, int turns) {
        for (int turn = 0; turn < turns; ++turn) x[first + threadIdx.x + 32 * (turn % 16)] += 1;
    }"""
    half = tk.compile_cuda_c(source)["half"]
    x = at(16, 1024)
    x[:] = 0

    def work(first):
        for _ in range(20):
            half[1, 32](x, first, 1600)

    def counted(first):
        with tk.profile():
            work(first)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(counted, 0), pool.submit(work, 512)]:
            future.result()
    np.testing.assert_array_equal(x, 2000)
