"""Blocks that wait for other blocks: locks, flags, barriers of the whole grid; and launches that can never end."""

import numpy as np
import pytest

import teachkit as tk
from teachkit.emulator import configure, observe
from teachkit.emulator.kernel import settings as current
from teachkit.errors import KernelFault

SOURCE = r"""
extern "C" __global__ void handed_down(volatile int* turn, int* order, int n) {
    if (threadIdx.x == 0) {                       // the last block goes first
        while (*turn != n - 1 - blockIdx.x) {}
        order[*turn] = blockIdx.x;
        __threadfence();
        *turn = *turn + 1;
    }
}

extern "C" __global__ void handed_down_by_all(volatile int* turn, int* order, int n) {
    __shared__ int seen;                          // every thread waits, with barriers in the loop
    do {
        __syncthreads();
        if (threadIdx.x == 0) seen = *turn;
        __syncthreads();
    } while (seen != n - 1 - blockIdx.x);
    __syncthreads();
    if (threadIdx.x == 0) {
        order[seen] = blockIdx.x;
        __threadfence();
        *turn = seen + 1;
    }
}

extern "C" __global__ void locked_sum(int* lock, float* total, const float* x) {
    __shared__ float part;
    if (threadIdx.x == 0) part = 0;
    __syncthreads();
    atomicAdd(&part, x[blockIdx.x * blockDim.x + threadIdx.x]);
    __syncthreads();
    if (threadIdx.x == 0) {
        while (atomicCAS(lock, 0, 1) != 0) {}
        *(volatile float*)total = *(volatile float*)total + part;
        __threadfence();
        atomicExch(lock, 0);
    }
}

__device__ unsigned int arrived = 0, gone = 0;

extern "C" __global__ void neighbours(const int* x, int* scratch, int* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    scratch[i] = 2 * x[i];
    __syncthreads();
    if (threadIdx.x == 0) {                       // a barrier of the whole grid
        __threadfence();
        atomicAdd(&arrived, 1);
        while (*(volatile unsigned int*)&arrived < gridDim.x) {}
    }
    __syncthreads();
    out[i] = scratch[(i + n - 1) % n] + scratch[(i + 1) % n];
    if (threadIdx.x == 0 && atomicAdd(&gone, 1) == gridDim.x - 1) { arrived = 0; gone = 0; }
}

extern "C" __global__ void with_backoff(volatile int* flag, int* out) {
    if (blockIdx.x == 0) {
        unsigned int ns = 8;
        while (*flag == 0) { __nanosleep(ns); if (ns < 256) ns *= 2; }
        out[0] = *flag;
    } else if (blockIdx.x == gridDim.x - 1) {
        *flag = 42;
    }
}

extern "C" __global__ void never(volatile int* flag, int* out) {
    while (*flag == 0) {}
    out[0] = 1;
}

extern "C" __global__ void counts_up(int* n, int limit) {
    while (atomicAdd(n, 1) < limit) {}
}
"""


@pytest.fixture(scope="module")
def kernels():
    return tk.compile_cuda_c(SOURCE)


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def threads(request):
    before = current.n_threads
    configure(n_threads=request.param)
    yield request.param
    configure(n_threads=before)


@pytest.mark.parametrize("n_blocks", [1, 2, 40])
@pytest.mark.parametrize("kernel", ["handed_down", "handed_down_by_all"])
def test_each_block_waits_for_a_later_one(kernels, threads, n_blocks, kernel):
    turn, order = np.zeros(1, np.int32), np.full(n_blocks, -1, np.int32)
    kernels[kernel][n_blocks, 64](turn, order, n_blocks)
    np.testing.assert_array_equal(order, np.arange(n_blocks)[::-1])


def test_a_lock_between_blocks(kernels, threads):
    x = np.arange(50 * 96, dtype=np.float32) % 7
    lock, total = np.zeros(1, np.int32), np.zeros(1, np.float32)
    kernels["locked_sum"][50, 96](lock, total, x)
    assert total[0] == x.sum()
    assert lock[0] == 0


@pytest.mark.parametrize("n_blocks", [1, 7, 100])
def test_a_barrier_of_the_whole_grid(kernels, threads, n_blocks):
    n = 64 * n_blocks
    x = np.arange(n, dtype=np.int32)
    for _ in range(2):
        scratch, out = np.zeros(n, np.int32), np.zeros(n, np.int32)
        kernels["neighbours"][n_blocks, 64](x, scratch, out, n)
        np.testing.assert_array_equal(out, 2 * (np.roll(x, 1) + np.roll(x, -1)))


def test_a_wait_that_changes_registers_is_seen_through_too(kernels, threads):
    flag, out = np.zeros(1, np.int32), np.zeros(1, np.int32)
    kernels["with_backoff"][5, 32](flag, out)
    assert out[0] == 42


def test_waiting_blocks_are_counted_like_others(kernels):
    """All but the turns of the waiting loop, which depend on who runs when, on a GPU as well."""
    configure(n_threads=1)
    seen = []
    turn, order = np.zeros(1, np.int32), np.zeros(8, np.int32)
    with observe(seen.append):
        kernels["handed_down"][8, 64](turn, order, 8)
    configure(n_threads=None)
    counters = seen[0].counters
    assert counters.global_store_requests == 16
    assert counters.global_store_bytes == 64
    assert counters.global_load_requests < 100_000  # a block that waits is soon set aside


def test_more_blocks_at_a_barrier_than_the_gpu_holds(kernels):
    """A V100 holds 80 x 32 blocks of 64 threads; one more than that and the barrier never opens, as on hardware."""
    n = 64 * (80 * 32 + 1)
    x = np.zeros(n, np.int32)
    configure(gpu="V100-SXM2-16GB", n_threads=1)
    try:
        with pytest.raises(KernelFault, match=r"1 more cannot start: V100-SXM2-16GB holds 2560") as caught:
            tk.compile_cuda_c(SOURCE)["neighbours"][n // 64, 64](x, x.copy(), x.copy(), n)
    finally:
        configure(gpu=None, n_threads=None)
    assert caught.value.kind == "endless loop"


@pytest.mark.parametrize("n_blocks", [1, 9])
def test_a_flag_that_nobody_sets(kernels, threads, n_blocks):
    with pytest.raises(KernelFault, match="never ends") as caught:
        kernels["never"][n_blocks, 64](np.zeros(1, np.int32), np.zeros(1, np.int32))
    assert caught.value.kind == "endless loop"
    assert "while (*flag == 0) {}" in SOURCE.splitlines()[int(caught.value.source.rpartition(":")[2]) - 1]


def test_a_loop_that_stores_is_not_called_endless(kernels, threads):
    """Its registers never change, but memory does: 60 million turns are no reason to stop it."""
    n = np.zeros(1, np.int32)
    kernels["counts_up"][2, 1](n, 60_000_000)
    assert n[0] == 60_000_002


def test_blocks_that_tell_their_threads_through_shared_memory(threads):
    """One thread looks at a number that each block that begins changes: that is no reason to let the others wait."""
    module = tk.compile_cuda_c("""
    __global__ void meet(int* n_here, int* out) {
        __shared__ int seen;
        if (threadIdx.x == 0) atomicAdd(n_here, 1);
        do {
            __syncthreads();
            if (threadIdx.x == 0) seen = *(volatile int*)n_here;
            __syncthreads();
        } while (seen != gridDim.x);
        if (threadIdx.x == 0) out[blockIdx.x] = seen;
    }""")
    n_here, out = np.zeros(1, np.int32), np.zeros(64, np.int32)
    configure(time_limit_s=60)
    try:
        module["meet"][64, 512](n_here, out)
    finally:
        configure(time_limit_s=None)
    assert (out == 64).all()
