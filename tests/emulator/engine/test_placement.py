"""Counters do not depend on where an array happens to lie: a GPU's allocations begin with a sector, NumPy's do not."""

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit.errors import KernelFault

SOURCE = """
__global__ void copy(const float* x, float* y) { int i = blockIdx.x * blockDim.x + threadIdx.x; y[i] = x[i]; }
__global__ void every_third(const float* x, float* y) { y[threadIdx.x] = x[3 * threadIdx.x]; }
__global__ void add(float* x, int* y) { atomicAdd(x + threadIdx.x, 1.0f); if (threadIdx.x > 5) y[threadIdx.x] = 1; }
__global__ void fours(const float4* x, float4* y) { y[threadIdx.x] = x[threadIdx.x]; }
__global__ void first(const float* x, float* y) {
  if (threadIdx.x < blockIdx.x) y[threadIdx.x] = x[threadIdx.x];
}
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


@pytest.mark.parametrize("offset", [0, 8, 16, 28])
def test_other_ways_to_touch_memory(module, offset):
    x, y, z = at(offset, 256), at(offset, 256), at(32 - offset, 256).view(np.int32)
    with tk.profile() as prof:
        module["every_third"][1, 32](x, y)
    assert (prof.total.global_load_sectors, prof.total.global_store_sectors) == (12, 4)
    with tk.profile() as prof:
        module["add"][1, 32](x, z)
    assert prof.total.global_store_sectors == 4
    assert prof.total.l2_lookups == 4 + 4  # of the atomics, and of the stores


@pytest.mark.parametrize("offset", [0, 16, 32, 48])
def test_accesses_of_16_bytes(module, offset):
    x, y = at(offset, 128), at(64 - offset, 128)
    with tk.profile() as prof:
        module["fours"][1, 32](x, y)
    assert (prof.total.global_load_sectors, prof.total.global_store_sectors) == (16, 16)


@pytest.mark.parametrize("offset", [0, 4, 16, 28])
def test_first_lanes(module, offset):
    """Block b copies b elements, whose sectors are those of aligned memory."""
    x, y = at(offset, 32), at(offset, 32)
    with tk.profile() as prof:
        module["first"][33, 32](x, y)
    expected = sum(-(-n // 8) for n in range(33))
    assert (prof.total.global_load_sectors, prof.total.global_store_sectors) == (expected, expected)


@triton.jit
def copy_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    tl.store(y_ptr + offsets, tl.load(x_ptr + offsets, mask=offsets < n), mask=offsets < n)


@pytest.mark.parametrize("offset", [0, 4, 16, 28])
@pytest.mark.parametrize("n", [30, 111])
def test_tails_of_neighbours(n, offset):
    """A thread copies four elements, one an instruction because the last thread has not all of them.

    Where the arrays are not aligned, Triton deals the elements to threads one by one.
    """
    x, y = at(offset, 128), at(offset, 128)
    x[:] = np.arange(128)
    with tk.profile() as prof:
        copy_kernel[1,](torch.from_numpy(x), torch.from_numpy(y), n, BLOCK=128, num_warps=1)
    np.testing.assert_array_equal(y, np.where(np.arange(128) < n, x, 0))
    in_fours = sum(len({(4 * lane + i) // 8 for lane in range(32) if 4 * lane + i < n}) for i in range(4))
    expected = -(-n // 8) if offset % 16 else in_fours
    assert (prof.total.global_load_sectors, prof.total.global_store_sectors) == (expected, expected)
