// The same tasks done right, and patterns that only look like mistakes: nothing may be reported.
extern "C" {

__global__ void reversed(const float* x, float* out) {
    __shared__ float tile[128];
    int t = threadIdx.x;
    tile[t] = x[blockIdx.x * 128 + t];
    __syncthreads();
    out[blockIdx.x * 128 + t] = tile[127 - t];
}

__global__ void reduction(const float* x, float* out) {
    __shared__ float sums[128];
    int t = threadIdx.x;
    sums[t] = x[t];
    for (int step = 64; step > 16; step /= 2) {
        __syncthreads();
        if (t < step) sums[t] += sums[t + step];
    }
    __syncthreads();
    if (t < 32) {
        for (int step = 16; step > 0; step /= 2) {
            float other = t < step ? sums[t + step] : 0;
            __syncwarp();
            if (t < step) sums[t] += other;
            __syncwarp();
        }
    }
    __syncthreads();
    out[t] = sums[0];
}

__global__ void shuffles(const float* x, float* out) {
    __shared__ float sums[4];
    int t = threadIdx.x, lane = t % 32;
    float v = x[blockIdx.x * 128 + t];
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(0xffffffff, v, step);
    if (lane == 0) sums[t / 32] = v;
    __syncthreads();
    if (t < 4) {
        v = sums[t];
        v += __shfl_down_sync(0xf, v, 2);
        v += __shfl_down_sync(0xf, v, 1);
        if (t == 0) out[blockIdx.x] = v;
    }
}

__global__ void tiles(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 4; ++k) {
        tile[t] = x[k * 64 + t];
        __syncthreads();
        for (int i = 0; i < 64; ++i) sum += tile[i] * i;
        __syncthreads();
    }
    out[t] = sum;
}

__global__ void double_buffer(const float* x, float* out) {
    __shared__ float buffers[2][64];
    int t = threadIdx.x;
    float sum = 0;
    buffers[0][t] = x[t];
    for (int k = 0; k < 4; ++k) {
        __syncthreads();
        if (k < 3) buffers[(k + 1) % 2][t] = x[(k + 1) * 64 + t];
        sum += buffers[k % 2][63 - t];
    }
    out[t] = sum;
}

__global__ void histogram(const int* x, int* bins, int n) {
    __shared__ int own[8];
    if (threadIdx.x < 8) own[threadIdx.x] = 0;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(own + x[i], 1);
    __syncthreads();
    if (threadIdx.x < 8) atomicAdd(bins + threadIdx.x, own[threadIdx.x]);
}

__global__ void same_value(int* found, int* out) {  // every thread that stores, stores the same
    found[0] = 1;
    out[threadIdx.x / 2] = 7;
}

__global__ void halo(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = (i > 0 ? x[i - 1] : 0) + x[i] + (i + 1 < n ? x[i + 1] : 0);
}

__global__ void bytes(const unsigned char* x, unsigned char* out, short* halves) {  // neighbours in one word
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = x[i] + 1;
    halves[i] = i;
}

__device__ void copy_async(float* to, const float* from) {
    unsigned at = __cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
}

__global__ void pipeline(const float* x, float* out) {
    __shared__ float stages[3][64];
    int t = threadIdx.x;
    float sum = 0;
    copy_async(&stages[0][t], x + t);
    copy_async(&stages[1][t], x + 64 + t);
    for (int k = 0; k < 6; ++k) {
        asm volatile("cp.async.wait_group 1;" ::: "memory");
        __syncthreads();
        sum += stages[k % 3][63 - t];
        copy_async(&stages[(k + 2) % 3][t], x + (k + 2) % 6 * 64 + t);
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    out[t] = sum;
}

__global__ void last_block(const float* x, float* sums, unsigned* n_done, float* out) {
    __shared__ bool is_last;
    sums[blockIdx.x * blockDim.x + threadIdx.x] = x[threadIdx.x] * blockIdx.x;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last = atomicAdd(n_done, 1) == gridDim.x - 1;
    __syncthreads();
    if (is_last) {
        float total = 0;
        for (int b = 0; b < gridDim.x; ++b) total += sums[b * blockDim.x + threadIdx.x];
        out[threadIdx.x] = total;
    }
}

__global__ void last_block_leader_fences(const float* x, float* sums, unsigned* n_done, float* out) {
    __shared__ bool is_last;
    sums[blockIdx.x * blockDim.x + threadIdx.x] = x[threadIdx.x] * blockIdx.x;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        is_last = atomicAdd(n_done, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (is_last) {
        float total = 0;
        for (int b = 0; b < gridDim.x; ++b) total += sums[b * blockDim.x + threadIdx.x];
        out[threadIdx.x] = total;
    }
}

__global__ void spin_lock(int* lock, float* total, const float* x) {
    if (threadIdx.x == 0) {
        float mine = x[blockIdx.x];
        while (atomicCAS(lock, 0, 1) != 0) {}
        __threadfence();
        *total = *total + mine;
        __threadfence();
        atomicExch(lock, 0);
    }
}

__global__ void flag(float* data, volatile int* ready, float* out) {
    if (blockIdx.x == 0) {
        data[threadIdx.x] = threadIdx.x;
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) *ready = 1;
    } else {
        if (threadIdx.x == 0) while (*ready == 0) {}
        __syncthreads();
        out[threadIdx.x] = data[threadIdx.x];
    }
}

__global__ void grid_barrier(int* count, float* x, float* out) {  // every block waits for all others
    x[blockIdx.x * blockDim.x + threadIdx.x] = blockIdx.x + threadIdx.x;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(count, 1);
        while (*(volatile int*)count < gridDim.x) {}
        __threadfence();
    }
    __syncthreads();
    int other = (blockIdx.x + 1) % gridDim.x;
    out[blockIdx.x * blockDim.x + threadIdx.x] = x[other * blockDim.x + threadIdx.x];
}

__global__ void named_barriers(const float* x, float* out) {  // pairs of warps meet at barriers of their own
    __shared__ float tile[128];
    int t = threadIdx.x, half = t / 64;
    tile[t] = x[t];
    if (half == 0) asm volatile("bar.sync 1, 64;" ::: "memory");
    else asm volatile("bar.sync 2, 64;" ::: "memory");
    out[t] = tile[half * 64 + 63 - t % 64];
}

__global__ void producer_consumer(const float* x, float* out) {  // one warp arrives, the other waits
    __shared__ float tile[32];
    int t = threadIdx.x;
    if (t < 32) {
        tile[t] = x[t];
        asm volatile("bar.arrive 3, 64;" ::: "memory");
    } else {
        asm volatile("bar.sync 3, 64;" ::: "memory");
        out[t - 32] = tile[63 - t];
    }
}

__global__ void votes(const int* x, int* out, int n) {  // masks that fit the lanes that are there
    int t = threadIdx.x;
    unsigned members = __ballot_sync(0xffffffff, t < n);
    if (t < n) {
        unsigned same = __match_any_sync(members, x[t]);
        out[t] = __popc(same) + __shfl_sync(same, t, __ffs(same) - 1) + __any_sync(members, x[t] == 3);
    }
}

__global__ void swapped_maximum(const float* x, int* out) {  // the first read is a guess that the swap checks
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int old = *out, seen;
    do {
        seen = old;
        old = atomicCAS(out, seen, __float_as_int(fmaxf(x[i], __int_as_float(seen))));
    } while (old != seen);
}

__global__ void local_array(const float* x, float* out, int n) {
    float held[8];
    for (int i = 0; i < 8; ++i) held[(i + n) % 8] = x[i];
    out[threadIdx.x] = held[threadIdx.x % 8];
}

__global__ void partial_warp(const float* x, float* out) {  // 48 threads
    __shared__ float tile[48];
    int t = threadIdx.x;
    tile[t] = x[t];
    __syncthreads();
    out[t] = tile[47 - t];
}
}
