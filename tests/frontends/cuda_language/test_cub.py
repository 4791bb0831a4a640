"""CUB's block and warp primitives through NVRTC on the emulator, against NumPy."""

import numpy as np
import pytest

import teachkit as tk
from teachkit.frontends.cuda_headers import include_folders
from teachkit.frontends.standard_headers import standard_headers

pytestmark = pytest.mark.skipif(
    "cub/cub.cuh" not in standard_headers(include_folders()), reason="CUB is not installed here (nvidia-cuda-cccl)"
)

SOURCE = r"""
#include <cub/cub.cuh>

template <typename T, int N> __global__ void reduce(const T* x, T* out) {
    using Reduce = cub::BlockReduce<T, N>;
    __shared__ typename Reduce::TempStorage room;
    T sum = Reduce(room).Sum(x[blockIdx.x * N + threadIdx.x]);
    __syncthreads();
    T most = Reduce(room).Reduce(x[blockIdx.x * N + threadIdx.x], [](T a, T b) { return a > b ? a : b; });
    if (threadIdx.x == 0) out[2 * blockIdx.x] = sum, out[2 * blockIdx.x + 1] = most;
}

template <cub::BlockReduceAlgorithm HOW> __global__ void reduce_by(const int* x, int* out) {
    using Reduce = cub::BlockReduce<int, 96, HOW>;
    __shared__ typename Reduce::TempStorage room;
    int sum = Reduce(room).Sum(x[threadIdx.x], 90);
    if (threadIdx.x == 0) out[0] = sum;
}

template <cub::BlockScanAlgorithm HOW> __global__ void scan(const int* x, int* inclusive, int* exclusive, int* total) {
    using Scan = cub::BlockScan<int, 128, HOW>;
    __shared__ typename Scan::TempStorage room;
    int items[4], sums[4], all;
    for (int i = 0; i < 4; i++) items[i] = x[threadIdx.x * 4 + i];
    Scan(room).InclusiveSum(items, sums);
    for (int i = 0; i < 4; i++) inclusive[threadIdx.x * 4 + i] = sums[i];
    __syncthreads();
    Scan(room).ExclusiveSum(items, sums, all);
    for (int i = 0; i < 4; i++) exclusive[threadIdx.x * 4 + i] = sums[i];
    if (threadIdx.x == 0) *total = all;
}

template <typename KEY> __global__ void sort(KEY* keys, int* values, int descending) {
    using Sort = cub::BlockRadixSort<KEY, 64, 4, int>;
    using Load = cub::BlockLoad<KEY, 64, 4, cub::BLOCK_LOAD_TRANSPOSE>;
    using Store = cub::BlockStore<KEY, 64, 4, cub::BLOCK_STORE_WARP_TRANSPOSE>;
    __shared__ union {
        typename Sort::TempStorage sort;
        typename Load::TempStorage load;
        typename Store::TempStorage store;
    } room;
    KEY mine[4];
    int from[4];
    Load(room.load).Load(keys, mine);
    for (int i = 0; i < 4; i++) from[i] = threadIdx.x * 4 + i;
    __syncthreads();
    if (descending) Sort(room.sort).SortDescending(mine, from);
    else Sort(room.sort).Sort(mine, from);
    __syncthreads();
    Store(room.store).Store(keys, mine);
    for (int i = 0; i < 4; i++) values[threadIdx.x * 4 + i] = from[i];
}

struct Less { __device__ bool operator()(float a, float b) const { return a < b; } };

__global__ void merge_sort(float* x) {
    using Sort = cub::BlockMergeSort<float, 64, 3>;
    __shared__ typename Sort::TempStorage room;
    float mine[3];
    for (int i = 0; i < 3; i++) mine[i] = x[threadIdx.x * 3 + i];
    Sort(room).Sort(mine, Less());
    for (int i = 0; i < 3; i++) x[threadIdx.x * 3 + i] = mine[i];
}

template <cub::BlockHistogramAlgorithm HOW> __global__ void histogram(const unsigned char* x, unsigned* counts) {
    using Histogram = cub::BlockHistogram<unsigned char, 128, 4, 16, HOW>;
    __shared__ typename Histogram::TempStorage room;
    __shared__ unsigned bins[16];
    unsigned char mine[4];
    for (int i = 0; i < 4; i++) mine[i] = x[threadIdx.x * 4 + i];
    Histogram(room).Histogram(mine, bins);
    __syncthreads();
    if (threadIdx.x < 16) counts[threadIdx.x] = bins[threadIdx.x];
}

__global__ void warp(const float* x, float* sums, float* scans, int n_valid) {
    using Reduce = cub::WarpReduce<float>;
    using Scan = cub::WarpScan<float>;
    __shared__ typename Reduce::TempStorage reduce_room[2];
    __shared__ typename Scan::TempStorage scan_room[2];
    int w = threadIdx.x / 32;
    float v = x[threadIdx.x], s, total;
    float sum = Reduce(reduce_room[w]).Sum(v);
    float part = Reduce(reduce_room[w]).Sum(v, n_valid);
    Scan(scan_room[w]).ExclusiveSum(v, s, total);
    scans[threadIdx.x] = s;
    if (threadIdx.x % 32 == 0) sums[3 * w] = sum, sums[3 * w + 1] = part, sums[3 * w + 2] = total;
}

__global__ void neighbours(const int* x, int* heads, int* differences, int* moved) {
    using Discontinuity = cub::BlockDiscontinuity<int, 64>;
    using Difference = cub::BlockAdjacentDifference<int, 64>;
    using Exchange = cub::BlockExchange<int, 64, 2>;
    __shared__ typename Discontinuity::TempStorage a;
    __shared__ typename Difference::TempStorage b;
    __shared__ typename Exchange::TempStorage c;
    int items[2] = {x[2 * threadIdx.x], x[2 * threadIdx.x + 1]}, flags[2], steps[2];
    Discontinuity(a).FlagHeads(flags, items, [](int p, int q) { return p != q; });
    Difference(b).SubtractLeft(items, steps, [](int p, int q) { return p - q; });
    for (int i = 0; i < 2; i++) heads[2 * threadIdx.x + i] = flags[i], differences[2 * threadIdx.x + i] = steps[i];
    Exchange(c).BlockedToStriped(items);
    for (int i = 0; i < 2; i++) moved[2 * threadIdx.x + i] = items[i];
}
"""

REDUCE = ("BLOCK_REDUCE_RAKING", "BLOCK_REDUCE_RAKING_COMMUTATIVE_ONLY", "BLOCK_REDUCE_WARP_REDUCTIONS")
SCAN = ("BLOCK_SCAN_RAKING", "BLOCK_SCAN_RAKING_MEMOIZE", "BLOCK_SCAN_WARP_SCANS")
HISTOGRAM = ("BLOCK_HISTO_SORT", "BLOCK_HISTO_ATOMIC")
NAMES = [
    *("reduce<float, 256>", "reduce<double, 64>", "reduce<int, 100>"),
    *(f"reduce_by<cub::{how}>" for how in REDUCE),
    *(f"scan<cub::{how}>" for how in SCAN),
    *("sort<unsigned>", "sort<float>"),
    *(f"histogram<cub::{how}>" for how in HISTOGRAM),
]


@pytest.fixture(scope="module")
def module():
    return tk.compile_cuda_c(SOURCE, instantiate=NAMES)


@pytest.mark.parametrize(("dtype", "name", "n"), [("f4", "float", 256), ("f8", "double", 64), ("i4", "int", 100)])
def test_block_reduce(module, dtype, name, n):
    x = np.random.default_rng(n).integers(-1000, 1000, (3, n)).astype(dtype)
    out = np.zeros((3, 2), dtype)
    module[f"reduce<{name}, {n}>"][3, n](x, out)
    np.testing.assert_array_equal(out, np.stack([x.sum(1), x.max(1)], 1))


@pytest.mark.parametrize("how", REDUCE)
def test_block_reduce_of_the_first_values(module, how):
    x, out = np.arange(96, dtype=np.int32) ** 2, np.zeros(1, np.int32)
    module[f"reduce_by<cub::{how}>"][1, 96](x, out)
    assert out[0] == x[:90].sum()


@pytest.mark.parametrize("how", SCAN)
def test_block_scan(module, how):
    x = np.random.default_rng(1).integers(-100, 100, 512).astype(np.int32)
    inclusive, exclusive, total = np.zeros(512, np.int32), np.zeros(512, np.int32), np.zeros(1, np.int32)
    module[f"scan<cub::{how}>"][1, 128](x, inclusive, exclusive, total)
    np.testing.assert_array_equal(inclusive, np.cumsum(x))
    np.testing.assert_array_equal(exclusive, np.cumsum(x) - x)
    assert total[0] == x.sum()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dtype"), [("unsigned", "u4"), ("float", "f4")])
@pytest.mark.parametrize("descending", [0, 1])
def test_block_radix_sort(module, name, dtype, descending):
    random = np.random.default_rng(2)
    x = random.integers(0, 50, 256).astype(dtype) if dtype[0] == "u" else (random.normal(size=256) * 99).astype(dtype)
    keys, values = x.copy(), np.zeros(256, np.int32)
    module[f"sort<{name}>"][1, 64](keys, values, descending)
    np.testing.assert_array_equal(keys, np.sort(x)[:: -1 if descending else 1])
    np.testing.assert_array_equal(x[values], keys)
    if not descending:  # and stable
        np.testing.assert_array_equal(values, np.argsort(x, kind="stable"))


def test_block_merge_sort(module):
    x = np.random.default_rng(3).normal(size=192).astype(np.float32)
    expected = np.sort(x)
    module["merge_sort"][1, 64](x)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("how", HISTOGRAM)
def test_block_histogram(module, how):
    x = np.random.default_rng(4).integers(0, 16, 512).astype(np.uint8)
    counts = np.zeros(16, np.uint32)
    module[f"histogram<cub::{how}>"][1, 128](x, counts)
    np.testing.assert_array_equal(counts, np.bincount(x, minlength=16))


def test_warp_reduce_and_scan(module):
    x = np.random.default_rng(5).integers(-99, 99, 64).astype(np.float32)
    sums, scans = np.zeros((2, 3), np.float32), np.zeros(64, np.float32)
    module["warp"][1, 64](x, sums, scans, 11)
    rows = x.reshape(2, 32)
    np.testing.assert_array_equal(sums, np.stack([rows.sum(1), rows[:, :11].sum(1), rows.sum(1)], 1))
    np.testing.assert_array_equal(scans.reshape(2, 32), np.cumsum(rows, 1) - rows)


def test_neighbours_of_a_block(module):
    x = np.random.default_rng(6).integers(0, 3, 128).astype(np.int32)
    heads, differences, moved = (np.zeros(128, np.int32) for _ in range(3))
    module["neighbours"][1, 64](x, heads, differences, moved)
    np.testing.assert_array_equal(heads, np.concatenate([[1], x[1:] != x[:-1]]))
    np.testing.assert_array_equal(differences, np.concatenate([x[:1], np.diff(x)]))
    np.testing.assert_array_equal(moved.reshape(64, 2).T.ravel(), x)
