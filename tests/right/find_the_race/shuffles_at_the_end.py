"""Barriers down to a warp, then shuffles, which need no memory."""

REPAIRED = """
__global__ void block_sum(const float *x, float *sums, int n) {
    __shared__ float tile[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    tile[threadIdx.x] = i < n ? x[i] : 0.0f;
    for (int half = 128; half >= 32; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) tile[threadIdx.x] += tile[threadIdx.x + half];
    }
    if (threadIdx.x < 32) {
        float sum = tile[threadIdx.x];
        for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffff, sum, step);
        if (threadIdx.x == 0) sums[blockIdx.x] = sum;
    }
}
"""


def find_the_race():
    return {"racy": "block_sum", "repaired": REPAIRED}
