"""Lets one thread add up the whole tile: right, and slow."""

ITEM = "budget"
REASON = "one thread does the work of many"


REPAIRED = """
__global__ void block_sum(const float *x, float *sums, int n) {
    __shared__ float tile[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    tile[threadIdx.x] = i < n ? x[i] : 0.0f;
    __syncthreads();
    if (threadIdx.x == 0) {
        float sum = 0.0f;
        for (int k = 0; k < 256; k++) sum += tile[k];
        sums[blockIdx.x] = sum;
    }
}
"""


def find_the_race():
    return {"racy": "block_sum", "repaired": REPAIRED}
