"""Thread block clusters through cooperative groups, compiled by NVRTC for sm_90, against NumPy."""

import numpy as np
import pytest

import teachkit as tk
from teachkit.emulator import configure, observe
from teachkit.errors import KernelFault, LaunchError
from teachkit.frontends import target

SOURCE = r"""
#include <cooperative_groups.h>
namespace cg = cooperative_groups;

// Each block of a cluster holds a part of the bins.
__global__ void __cluster_dims__(4, 1, 1) histogram(const int* x, int* bins, int n, int n_bins) {
    extern __shared__ int own[];
    auto cluster = cg::this_cluster();
    int per_block = n_bins / cluster.num_blocks();
    for (int i = threadIdx.x; i < per_block; i += blockDim.x) own[i] = 0;
    cluster.sync();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        int bin = x[i];
        atomicAdd(cluster.map_shared_rank(own, bin / per_block) + bin % per_block, 1);
    }
    cluster.sync();
    for (int i = threadIdx.x; i < per_block; i += blockDim.x)
        atomicAdd(&bins[cluster.block_rank() * per_block + i], own[i]);
}

// One sum a cluster: each block reduces its part, block 0 reads what the others have.
__global__ void __cluster_dims__(8) sums(const float* x, float* out) {
    __shared__ float partial[128];
    auto cluster = cg::this_cluster();
    partial[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
    for (int half = 64; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    cluster.sync();
    if (cluster.block_rank() == 0 && threadIdx.x < 32) {
        float sum = threadIdx.x < 8 ? *cluster.map_shared_rank(partial, threadIdx.x) : 0;
        for (int half = 4; half; half /= 2) sum += __shfl_down_sync(~0u, sum, half);
        if (threadIdx.x == 0) out[blockIdx.x / 8] = sum;
    }
    cluster.sync();
}

// A 64 x 64 tile on 2 x 2 blocks: each stores its transposed quarter straight into the block that writes it.
__global__ void __cluster_dims__(2, 2, 1) transpose(const float* x, float* out, int n) {
    __shared__ float tile[32][33];
    auto cluster = cg::this_cluster();
    cluster.sync();
    dim3 at = cluster.block_index();
    auto* other = (float(*)[33])cluster.map_shared_rank(&tile[0][0], at.y + 2 * at.x);
    other[threadIdx.x][threadIdx.y] = x[(blockIdx.y * 32 + threadIdx.y) * n + blockIdx.x * 32 + threadIdx.x];
    cluster.sync();
    int row = ((blockIdx.x / 2) * 2 + at.y) * 32 + threadIdx.y;
    int column = ((blockIdx.y / 2) * 2 + at.x) * 32 + threadIdx.x;
    out[row * n + column] = tile[threadIdx.y][threadIdx.x];
}

// Values go round the ring of blocks, two buffers in turn; the size of the cluster is the launch's.
__global__ void ring(int* out) {
    __shared__ int buffers[2][64];
    auto cluster = cg::this_cluster();
    int rank = cluster.block_rank(), n = cluster.num_blocks();
    buffers[0][threadIdx.x] = 100 * rank + threadIdx.x;
    int total = 0;
    for (int turn = 0; turn < n; ++turn) {
        auto token = cluster.barrier_arrive();
        cluster.barrier_wait(static_cast<decltype(token)&&>(token));
        int seen = buffers[turn % 2][threadIdx.x];
        total = 3 * total + seen;
        cluster.map_shared_rank(buffers[(turn + 1) % 2], (rank + 1) % n)[threadIdx.x] = seen;
    }
    cluster.sync();
    out[blockIdx.x * 64 + threadIdx.x] = total;
}

// Ends without waiting for those that still read.
__global__ void __cluster_dims__(2) hasty(int* out) {
    __shared__ int value;
    auto cluster = cg::this_cluster();
    value = 7;
    cluster.sync();
    if (cluster.block_rank() == 1) return;
    for (int i = 0; i < 3; ++i) cluster.sync();
    out[0] = *cluster.map_shared_rank(&value, 1);
}

__global__ void __cluster_dims__(2) apart(int* out) {
    auto cluster = cg::this_cluster();
    if (cluster.block_rank() == 1) __syncthreads();
    if (cluster.block_rank() == 0 || threadIdx.x < 32) cluster.sync();
    if (cluster.block_rank() == 1) __syncthreads();
}
"""


@pytest.fixture(scope="module")
def kernels():
    target.set_architecture(90)
    yield tk.compile_cuda_c(SOURCE)
    target.set_architecture(None)


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    before = configure(n_threads=request.param)
    yield request.param
    configure(n_threads=before.n_threads)


def test_a_distributed_histogram(kernels, threads):
    rng = np.random.default_rng(0)
    x, bins = rng.integers(0, 256, 5000).astype(np.int32), np.zeros(256, np.int32)
    seen = []
    with observe(seen.append):
        kernels["histogram"].launch(16, 64, [x, bins, x.size, bins.size], shared_bytes=256)
    np.testing.assert_array_equal(bins, np.bincount(x, minlength=256))
    assert seen[0].counters.atomic_requests == 16 * 2 + -(-5000 // 32)
    assert seen[0].counters.barriers == 16 * 2 * 2


def test_a_sum_of_each_cluster(kernels, threads):
    x, out = np.random.default_rng(0).random(32 * 128, np.float32), np.zeros(4, np.float32)
    kernels["sums"][32, 128](x, out)
    np.testing.assert_allclose(out, x.reshape(4, -1).sum(1), rtol=1e-6)  # sums in another order


def test_a_transposition_by_stores_to_the_other_block(kernels, threads):
    x = np.random.default_rng(0).random((128, 128), np.float32)
    out = np.zeros_like(x)
    kernels["transpose"][(4, 4), (32, 32)](x, out, 128)
    np.testing.assert_array_equal(out, x.T)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_values_that_go_round(kernels, threads, size):
    out = np.zeros((3, size, 64), np.int32)
    kernels["ring"].launch(3 * size, 64, [out], cluster=size)
    totals = np.zeros((size, 64), np.int64)
    for turn in range(size):
        totals = 3 * totals + 100 * ((np.arange(size)[:, None] - turn) % size) + np.arange(64)
    np.testing.assert_array_equal(out, np.broadcast_to(totals, out.shape))


def test_a_block_that_is_over_cannot_be_read(kernels):
    with pytest.raises(
        KernelFault, match=r"shared memory of block 1 of its cluster, which has not begun, or has ended"
    ):
        kernels["hasty"][2, 32](np.zeros(1, np.int32))


def test_a_barrier_in_an_if(kernels):
    with pytest.raises(KernelFault, match="which others never reach"):
        kernels["apart"][2, 64](np.zeros(1, np.int32))


def test_a_grid_that_does_not_fit(kernels):
    with pytest.raises(LaunchError, match="multiple of the clusters"):
        kernels["sums"][12, 128](np.zeros(12 * 128, np.float32), np.zeros(2, np.float32))
