"""Four CUDA C++ kernels that look suspicious, of which one has a data race. Which one, the emulator's check finds out.

Not modelled: anything; the text is compiled and run as it stands, with blocks of 256 threads.
"""

from __future__ import annotations

BLOCK = 256

TURN_AROUND = r"""
__global__ void turn_around(const float *x, float *y, int n) {
    __shared__ float tile[256];
    int first = blockIdx.x * 256;
    int last = min(first + 256, n) - 1;
    int i = first + threadIdx.x;
    if (i < n) tile[threadIdx.x] = x[i];
    __syncthreads();
    if (i < n) y[i] = tile[last - i];
}
"""

SMOOTH = r"""
__global__ void smooth(const float *x, float *y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    float left = i > 0 ? x[i - 1] : 0.0f;
    float right = i < n - 1 ? x[i + 1] : 0.0f;
    y[i] = 0.25f * left + 0.5f * x[i] + 0.25f * right;
}
"""

COUNT_SIGNS = r"""
__global__ void count_signs(const float *x, int *bins, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    int bin = x[i] < 0.0f ? 0 : 1;
    atomicAdd(&bins[bin], 1);
}
"""

BLOCK_SUM = r"""
__global__ void block_sum(const float *x, float *sums, int n) {
    __shared__ float tile[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    tile[threadIdx.x] = i < n ? x[i] : 0.0f;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if (threadIdx.x < half)
            tile[threadIdx.x] += tile[threadIdx.x + half];
    }
    if (threadIdx.x == 0)
        sums[blockIdx.x] = tile[0];
}
"""

SUSPECTS = {
    "turn_around": TURN_AROUND,
    "smooth": SMOOTH,
    "count_signs": COUNT_SIGNS,
    "block_sum": BLOCK_SUM,
}
"""Name of the kernel -> its source."""
