"""Cooperative groups, barriers, pipelines and atomic references of libcu++ on the emulator, against NumPy."""

import numpy as np
import pytest

import teachkit as tk
from teachkit.errors import KernelFault
from teachkit.frontends.cuda_headers import include_folders
from teachkit.frontends.standard_headers import standard_headers

pytestmark = pytest.mark.skipif(
    "atomic" not in standard_headers(include_folders()), reason="libcu++ is not installed here (nvidia-cuda-cccl)"
)

SOURCE = r"""
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/pipeline>
namespace cg = cooperative_groups;

__global__ void groups(const int* x, int* out) {
    auto block = cg::this_thread_block();
    auto tile = cg::tiled_partition<8>(block);
    int i = block.thread_rank(), v = x[i];
    out[i] = cg::reduce(tile, v, cg::plus<int>());
    out[block.size() + i] = cg::inclusive_scan(tile, v);
    out[2 * block.size() + i] = cg::exclusive_scan(tile, v, cg::plus<int>());
    out[3 * block.size() + i] = tile.shfl_down(v, 3) + 1000 * tile.shfl_xor(v, 1);
    out[4 * block.size() + i] = tile.ballot(v % 2) + 1000 * tile.meta_group_rank();
    auto warp = cg::tiled_partition<32>(block);
    out[5 * block.size() + i] = cg::reduce(warp, v, cg::greater<int>()) + 1000 * warp.any(v == 7);
    block.sync();
}

__global__ void parts(const int* x, int* out, int* counter) {
    auto block = cg::this_thread_block();
    int i = block.thread_rank(), v = x[i];
    if (v % 3 == 0) {
        auto together = cg::coalesced_threads();
        int first = 0;
        if (together.thread_rank() == 0) first = atomicAdd(counter, together.size());
        out[together.shfl(first, 0) + together.thread_rank()] = v;
    }
    auto warp = cg::tiled_partition<32>(block);
    auto same = cg::labeled_partition(warp, v % 4);
    out[block.size() + i] = same.size() * 100 + cg::reduce(same, v, cg::less<int>());
    auto half = cg::binary_partition(warp, v > 50);
    out[2 * block.size() + i] = half.size();
}

__global__ void copies(const int* x, int* out, int n) {
    __shared__ int tile[256];
    auto block = cg::this_thread_block();
    cg::memcpy_async(block, tile, x + blockIdx.x * n, sizeof(int) * n);
    cg::wait(block);
    for (int i = block.thread_rank(); i < n; i += block.size()) out[blockIdx.x * n + i] = tile[n - 1 - i];
}

__global__ void whole_grid(int* x, int* out) {
    auto grid = cg::this_grid();
    int i = grid.thread_rank();
    x[i] += 1;
    grid.sync();
    out[i] = x[grid.size() - 1 - i];
}

__global__ void phases(const float* x, float* out, int n_phases) {
    __shared__ cuda::barrier<cuda::thread_scope_block> barrier;
    __shared__ float tile[64];
    if (threadIdx.x == 0) init(&barrier, blockDim.x);
    __syncthreads();
    float v = x[threadIdx.x];
    for (int phase = 0; phase < n_phases; phase++) {
        tile[threadIdx.x] = v;
        auto token = barrier.arrive();
        float own = v;
        barrier.wait(std::move(token));
        v = own + tile[(threadIdx.x + 1) % 64];
        barrier.arrive_and_wait();
    }
    out[threadIdx.x] = v;
}

__global__ void producer(const int* x, int* out) {
    __shared__ cuda::barrier<cuda::thread_scope_block> full, empty;
    __shared__ int slot[32];
    if (threadIdx.x == 0) init(&full, 64), init(&empty, 64);
    __syncthreads();
    for (int step = 0; step < 5; step++) {
        if (threadIdx.x < 32) {
            slot[threadIdx.x] = x[step * 32 + threadIdx.x];
            auto ignored = full.arrive();
            empty.arrive_and_wait();
        } else {
            full.arrive_and_wait();
            out[step * 32 + threadIdx.x - 32] = slot[63 - threadIdx.x];
            auto ignored = empty.arrive();
            empty.wait(std::move(ignored));
        }
    }
}

template <int STAGES> __global__ void staged(const float* x, float* out, int n) {
    __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, STAGES> state;
    __shared__ alignas(16) float tile[STAGES][128];
    auto block = cg::this_thread_block();
    auto pipe = cuda::make_pipeline(block, &state);
    float sum = 0;
    for (int ask = 0, use = 0; use < n; use++) {
        for (; ask < n && ask < use + STAGES; ask++) {
            pipe.producer_acquire();
            cuda::memcpy_async(block, tile[ask % STAGES], x + ask * 128, cuda::aligned_size_t<16>(512), pipe);
            pipe.producer_commit();
        }
        pipe.consumer_wait();
        sum += tile[use % STAGES][127 - threadIdx.x];
        pipe.consumer_release();
    }
    out[threadIdx.x] = sum;
}

__global__ void own_pipeline(const int4* x, int4* out, int n) {
    __shared__ int4 tile[2][32];
    auto pipe = cuda::make_pipeline();
    for (int step = 0; step <= n; step++) {
        if (step < n) {
            pipe.producer_acquire();
            cuda::memcpy_async(&tile[step % 2][threadIdx.x], &x[step * 32 + threadIdx.x], sizeof(int4), pipe);
            pipe.producer_commit();
        }
        if (step > 0) {
            if (step < n) cuda::pipeline_consumer_wait_prior<1>(pipe);
            else cuda::pipeline_consumer_wait_prior<0>(pipe);
            out[(step - 1) * 32 + threadIdx.x] = tile[(step - 1) % 2][threadIdx.x];
            pipe.consumer_release();
        }
    }
}

__global__ void references(int* ints, float* floats, double* doubles, unsigned long long* longs, const int* x) {
    int v = x[blockIdx.x * blockDim.x + threadIdx.x];
    cuda::atomic_ref<int, cuda::thread_scope_device> a(ints[0]), b(ints[1]), c(ints[2]);
    a.fetch_add(v, cuda::std::memory_order_relaxed);
    b.fetch_max(v);
    c.fetch_xor(v, cuda::std::memory_order_acq_rel);
    cuda::atomic_ref<float, cuda::thread_scope_system> f(floats[0]);
    f.fetch_add(v);
    cuda::atomic_ref<double, cuda::thread_scope_device> d(doubles[0]);
    d.fetch_add(v);
    cuda::atomic_ref<unsigned long long, cuda::thread_scope_device> l(longs[0]);
    unsigned long long seen = l.load();
    while (!l.compare_exchange_weak(seen, seen * 3 + 1)) {}
    cuda::atomic_ref<float, cuda::thread_scope_device> most(floats[1]);
    float old = most.load();
    while (old < v && !most.compare_exchange_strong(old, (float)v)) {}
}
"""


@pytest.fixture(scope="module")
def module():
    return tk.compile_cuda_c(SOURCE, instantiate=["staged<2>", "staged<3>"])


def whole(n, low=0, high=100, seed=0):
    return np.random.default_rng(seed).integers(low, high, n).astype(np.int32)


def test_tiles(module):
    x, out = whole(64), np.zeros((6, 64), np.int32)
    module["groups"][1, 64](x, out)
    tiles = x.reshape(8, 8)
    np.testing.assert_array_equal(out[0].reshape(8, 8), np.repeat(tiles.sum(1, keepdims=True), 8, 1))
    np.testing.assert_array_equal(out[1].reshape(8, 8), np.cumsum(tiles, 1))
    np.testing.assert_array_equal(out[2].reshape(8, 8), np.cumsum(tiles, 1) - tiles)
    lane = np.arange(8)
    down = tiles[:, np.where(lane + 3 < 8, lane + 3, lane)]
    np.testing.assert_array_equal(out[3].reshape(8, 8), down + 1000 * tiles[:, lane ^ 1])
    ballots = ((tiles % 2) << lane).sum(1) + 1000 * np.arange(8)
    np.testing.assert_array_equal(out[4].reshape(8, 8), np.repeat(ballots[:, None], 8, 1))
    warps = x.reshape(2, 32)
    np.testing.assert_array_equal(out[5].reshape(2, 32)[:, 0], warps.max(1) + 1000 * (warps == 7).any(1))


def test_groups_of_those_who_are_there(module):
    x, out, counter = whole(96, seed=3), np.full((3, 96), -1, np.int32), np.zeros(1, np.int32)
    module["parts"][1, 96](x, out, counter)
    chosen = [v for v in x if v % 3 == 0]
    assert counter[0] == len(chosen)
    assert sorted(out[0][: len(chosen)]) == sorted(chosen)
    warps = x.reshape(3, 32)
    for w, row in enumerate(warps):
        for lane, v in enumerate(row):
            same = row[row % 4 == v % 4]
            assert out[1].reshape(3, 32)[w, lane] == 100 * len(same) + same.min()
            assert out[2].reshape(3, 32)[w, lane] == ((row > 50) == (v > 50)).sum()


@pytest.mark.parametrize("n", [256, 100, 3])
def test_group_copies(module, n):
    x = whole(2 * n)
    out = np.zeros(2 * n, np.int32)
    module["copies"][2, 64](x, out, n)
    np.testing.assert_array_equal(out.reshape(2, n), x.reshape(2, n)[:, ::-1])


def test_phases_of_a_barrier(module):
    x = np.random.default_rng(1).integers(0, 8, 64).astype(np.float32)
    out = np.zeros(64, np.float32)
    module["phases"][1, 64](x, out, 6)
    for _ in range(6):
        x = x + np.roll(x, -1)
    np.testing.assert_array_equal(out, x)


def test_a_warp_that_produces_for_another(module):
    x, out = whole(160), np.zeros(160, np.int32)
    module["producer"][1, 64](x, out)
    np.testing.assert_array_equal(out.reshape(5, 32), x.reshape(5, 32)[:, ::-1])


@pytest.mark.parametrize("stages", [2, 3])
def test_pipeline_of_a_block(module, stages):
    x = np.random.default_rng(2).integers(-9, 9, 7 * 128).astype(np.float32)
    out = np.zeros(128, np.float32)
    module[f"staged<{stages}>"][1, 128](x, out, 7)
    np.testing.assert_array_equal(out, x.reshape(7, 128).sum(0)[::-1])


def test_pipeline_of_a_thread(module):
    x = whole(5 * 32 * 4)
    out = np.zeros_like(x)
    module["own_pipeline"][1, 32](x, out, 5)
    np.testing.assert_array_equal(out, x)


def test_atomic_references(module):
    x = whole(192)
    ints, floats = np.zeros(3, np.int32), np.zeros(2, np.float32)
    doubles, longs = np.zeros(1), np.zeros(1, np.uint64)
    module["references"][3, 64](ints, floats, doubles, longs, x)
    assert ints.tolist() == [x.sum(), x.max(), np.bitwise_xor.reduce(x)]
    assert floats.tolist() == [x.sum(), x.max()]
    assert doubles[0] == x.sum()
    expected = 0
    for _ in range(192):
        expected = (3 * expected + 1) % 2**64
    assert longs[0] == expected


@pytest.mark.slow
def test_no_race_is_seen_where_a_barrier_orders_the_threads(module):
    x, out = np.ones(64, np.float32), np.zeros(64, np.float32)
    with tk.emulator.check() as report:
        module["phases"][1, 64](x, out, 3)
        module["staged<2>"][1, 128](np.ones(7 * 128, np.float32), np.zeros(128, np.float32), 7)
    assert not report.findings, str(report)


def test_a_barrier_that_waits_for_too_many_never_ends():
    source = SOURCE[SOURCE.index("__global__ void phases") : SOURCE.index("__global__ void producer")]
    source = "#include <cuda/barrier>\n" + source.replace("init(&barrier, blockDim.x)", "init(&barrier, 65)")
    with pytest.raises(KernelFault, match="never ends"):
        tk.compile_cuda_c(source)["phases"][1, 64](np.ones(64, np.float32), np.zeros(64, np.float32), 3)


def test_the_whole_grid_meets(module):
    x, out = np.arange(1024, dtype=np.int32), np.zeros(1024, np.int32)
    for turn in (1, 2):  # the second launch finds the barrier as the first one left it
        module["whole_grid"][8, 128](x, out)
        np.testing.assert_array_equal(out, np.arange(1024)[::-1] + turn)


HEADERS = """
#include <cuda/atomic>
__device__ void add(int& place) {
    cuda::atomic_ref<int, cuda::thread_scope_device>(place).fetch_add(1);  // HERE
}
__global__ void past_the_end(int* x) { add(x[threadIdx.x]); }
"""


def test_what_a_librarys_header_inlines_is_shown_where_the_program_calls_it():
    kernel = tk.compile_cuda_c(HEADERS, file_name="own.cu")["past_the_end"]
    line = 1 + HEADERS[: HEADERS.index("// HERE")].count("\n")
    with pytest.raises(KernelFault, match=rf"own\.cu:{line}"):
        kernel[1, 32](np.zeros(31, np.int32))
    with tk.emulator.check(raises=False) as report:
        kernel[1, 32](np.zeros(31, np.int32))
    assert [finding.line for finding in report.findings] == [line]
    assert "fetch_add" in report.findings[0].thread.source_text


TILES_OF_SEVERAL_WARPS = r"""
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
namespace cg = cooperative_groups;
extern __shared__ int dynamic[];

__global__ void tiles(const int* x, int* out) {
    __shared__ int own[128];
    auto block = cg::this_thread_block();
    auto tile = cg::tiled_partition<64>(block);
    int i = block.thread_rank(), v = x[i];
    dynamic[i] = v;
    own[i] = cg::reduce(tile, v, cg::plus<int>());
    tile.sync();
    int sum = cg::inclusive_scan(tile, dynamic[i ^ 63]) + 10000 * tile.any(v == 7);
    out[128 * blockIdx.x + i] = own[i ^ 63] - sum + tile.shfl(v, 3);
}
"""


def test_tiles_of_several_warps():
    kernel = tk.compile_cuda_c(TILES_OF_SEVERAL_WARPS)["tiles"]
    x, out = whole(128), np.zeros(384, np.int32)
    with tk.emulator.check() as report:
        kernel[3, 128, 512](x, out)
    tiles = x.reshape(2, 64)
    found = 10000 * (tiles == 7).any(1, keepdims=True)
    expected = tiles.sum(1, keepdims=True) - tiles[:, ::-1].cumsum(1) - found + tiles[:, 3:4]
    np.testing.assert_array_equal(out.reshape(3, 2, 64), [expected] * 3)
    assert report.is_clean
    launches = []
    with tk.emulator.observe(launches.append):
        kernel[3, 128, 512](x, out)
    assert launches[0].resources.shared_bytes == 1024  # without what the groups themselves use
