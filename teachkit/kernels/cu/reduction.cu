// Sum n integers to one number a block of BLOCK threads.
constexpr int BLOCK = 128;

// Neighbours add first. Every second, then every fourth, eighth ... thread works: each warp diverges.
extern "C" __global__ void sum_interleaved_divergent(const int* x, int* sums, int n) {
    __shared__ int part[BLOCK];
    unsigned t = threadIdx.x, i = blockIdx.x * BLOCK + t;
    part[t] = i < n ? x[i] : 0;
    __syncthreads();
    for (unsigned step = 1; step < blockDim.x; step *= 2) {
        if (t % (2 * step) == 0) part[t] += part[t + step];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}

// The same additions by the first threads of the block: whole warps fall idle, but lanes are 2 * step words apart.
extern "C" __global__ void sum_interleaved_conflicts(const int* x, int* sums, int n) {
    __shared__ int part[BLOCK];
    unsigned t = threadIdx.x, i = blockIdx.x * BLOCK + t;
    part[t] = i < n ? x[i] : 0;
    __syncthreads();
    for (unsigned step = 1; step < blockDim.x; step *= 2) {
        unsigned at = 2 * step * t;
        if (at < blockDim.x) part[at] += part[at + step];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}

// The upper half is added to the lower one: lanes touch neighbouring words.
extern "C" __global__ void sum_sequential(const int* x, int* sums, int n) {
    __shared__ int part[BLOCK];
    unsigned t = threadIdx.x, i = blockIdx.x * BLOCK + t;
    part[t] = i < n ? x[i] : 0;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}

// Two loads and an addition before the first step: half the blocks, and no thread that only loads.
__device__ int load_two(const int* x, int n, unsigned i) {
    int sum = i < n ? x[i] : 0;
    return i + BLOCK < n ? sum + x[i + BLOCK] : sum;
}

extern "C" __global__ void sum_first_add(const int* x, int* sums, int n) {
    __shared__ int part[BLOCK];
    unsigned t = threadIdx.x;
    part[t] = load_two(x, n, blockIdx.x * 2 * BLOCK + t);
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}

// The last six steps need one warp. It synchronises itself: since Volta its lanes may run apart, so every step
// reads, waits, writes and waits.
__device__ void add_last_warp(int* part, unsigned t) {
    int sum = part[t];
    for (int half = 32; half > 0; half /= 2) {
        sum += part[t + half];
        __syncwarp();
        part[t] = sum;
        __syncwarp();
    }
}

extern "C" __global__ void sum_unrolled_warp(const int* x, int* sums, int n) {
    __shared__ int part[BLOCK];
    unsigned t = threadIdx.x;
    part[t] = load_two(x, n, blockIdx.x * 2 * BLOCK + t);
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 32; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t < 32) add_last_warp(part, t);
    if (t == 0) sums[blockIdx.x] = part[0];
}

// The block size is known when the kernel is compiled, so no loop is left.
template <int THREADS> __device__ void add_block(int* part, unsigned t) {
    if (THREADS >= 512) { if (t < 256) part[t] += part[t + 256]; __syncthreads(); }
    if (THREADS >= 256) { if (t < 128) part[t] += part[t + 128]; __syncthreads(); }
    if (THREADS >= 128) { if (t < 64) part[t] += part[t + 64]; __syncthreads(); }
    if (t < 32) add_last_warp(part, t);
}

extern "C" __global__ void sum_unrolled(const int* x, int* sums, int n) {
    __shared__ int part[BLOCK];
    unsigned t = threadIdx.x;
    part[t] = load_two(x, n, blockIdx.x * 2 * BLOCK + t);
    __syncthreads();
    add_block<BLOCK>(part, t);
    if (t == 0) sums[blockIdx.x] = part[0];
}

// Few blocks; each thread adds many elements in a register before shared memory is touched.
__device__ int load_many(const int* x, int n, unsigned first, unsigned stride) {
    int sum = 0;
    for (unsigned i = first; i < n; i += stride) sum += load_two(x, n, i);
    return sum;
}

extern "C" __global__ void sum_many_adds(const int* x, int* sums, int n) {
    __shared__ int part[BLOCK];
    unsigned t = threadIdx.x;
    part[t] = load_many(x, n, blockIdx.x * 2 * BLOCK + t, gridDim.x * 2 * BLOCK);
    __syncthreads();
    add_block<BLOCK>(part, t);
    if (t == 0) sums[blockIdx.x] = part[0];
}

// Lanes hand their sums over through registers; shared memory holds one number a warp.
extern "C" __global__ void sum_shuffled(const int* x, int* sums, int n) {
    __shared__ int part[BLOCK / 32];
    unsigned t = threadIdx.x;
    int sum = load_many(x, n, blockIdx.x * 2 * BLOCK + t, gridDim.x * 2 * BLOCK);
    for (int half = 16; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffff, sum, half);
    if (t % 32 == 0) part[t / 32] = sum;
    __syncthreads();
    if (t == 0) {
        for (int w = 1; w < BLOCK / 32; w++) sum += part[w];
        sums[blockIdx.x] = sum;
    }
}
