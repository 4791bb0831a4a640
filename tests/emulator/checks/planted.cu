// Kernels with one mistake each. "BUG: name" stands on the line that a check has to report for the kernel of that name,
// "ALSO: name" on lines that it may report as well.
extern "C" {

__global__ void missing_barrier(const float* x, float* out) {
    __shared__ float tile[128];
    int t = threadIdx.x;
    tile[t] = x[blockIdx.x * 128 + t];  // ALSO: missing_barrier
    out[blockIdx.x * 128 + t] = tile[127 - t];  // BUG: missing_barrier
}

__global__ void reduction_last_step(const float* x, float* out) {
    __shared__ float sums[128];
    int t = threadIdx.x;
    sums[t] = x[t];
    for (int step = 64; step > 0; step /= 2) {
        __syncthreads();
        if (t < step) sums[t] += sums[t + step];  // ALSO: reduction_last_step
    }
    out[t] = x[t] / sums[0];  // BUG: reduction_last_step
}

__global__ void reduction_in_warp(const float* x, float* out) {
    __shared__ float sums[64];
    int t = threadIdx.x;
    sums[t] = x[t];
    __syncthreads();
    if (t < 32) {
        sums[t] += sums[t + 32];
        if (t < 16) sums[t] += sums[t + 16];  // BUG: reduction_in_warp
    }
    __syncthreads();
    if (t == 0) out[0] = sums[0];
}

__global__ void reused_tile(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 4; ++k) {
        tile[t] = x[k * 64 + t];  // BUG: reused_tile
        __syncthreads();
        for (int i = 0; i < 64; ++i) sum += tile[i] * i;  // ALSO: reused_tile
    }
    out[t] = sum;
}

__global__ void stale_buffer(const float* x, float* out) {
    __shared__ float buffers[2][64];
    int t = threadIdx.x;
    float sum = 0;
    buffers[0][t] = x[t];
    for (int k = 0; k < 4; ++k) {
        __syncthreads();
        if (k < 3) buffers[(k + 1) % 2][t] = x[(k + 1) * 64 + t];  // ALSO: stale_buffer
        sum += buffers[(k + 1) % 2][63 - t];  // BUG: stale_buffer
    }
    out[t] = sum;
}

__global__ void histogram(const int* x, int* bins, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) bins[x[i]] += 1;  // BUG: histogram
}

__global__ void two_blocks(float* out) {
    if (threadIdx.x == 5) out[3] = blockIdx.x + 1.5f;  // BUG: two_blocks
}

__global__ void two_lanes(int* out) {
    out[threadIdx.x / 2] = threadIdx.x;  // BUG: two_lanes
}

__global__ void halo(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= 1 && i < n) out[i] = x[i - 1] + x[i] + x[i + 1];  // BUG: halo
}

__global__ void misaligned(const float* x, float* out) {
    float4 four = *reinterpret_cast<const float4*>(x + 1 + 4 * threadIdx.x);  // BUG: misaligned
    out[threadIdx.x] = four.x + four.w;
}

__global__ void shared_index(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];
    __syncthreads();
    out[t] = tile[t + 1];  // BUG: shared_index
}

__global__ void unwritten_tail(const float* x, float* out, int n) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    if (t < n) tile[t] = x[t];
    __syncthreads();
    out[t] = tile[63 - t];  // BUG: unwritten_tail
}

__global__ void unwritten_local(const float* x, float* out, int n) {
    float held[8];
    for (int i = 0; i < n; ++i) held[i] = x[i];
    out[threadIdx.x] = held[threadIdx.x % 8];  // BUG: unwritten_local
}

__global__ void unwritten_sum(const float* x, float* total) {
    atomicAdd(total, x[threadIdx.x]);  // BUG: unwritten_sum
}

__global__ void divergent_barrier(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];
    if (t < 48) {
        __syncthreads();  // BUG: divergent_barrier
        out[t] = tile[47 - t];
    }
    __syncwarp();
    out[t] += x[t];
}

__global__ void early_exit(const float* x, float* out, int n) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    if (t >= n) return;
    tile[t] = x[t];
    __syncthreads();  // BUG: early_exit
    out[t] = tile[n - 1 - t];
}

__global__ void early_exit_of_group(const float* x, float* out, int n) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    if (t >= n) return;
    tile[t] = x[t];
    asm volatile("barrier.sync 0;" ::: "memory");  // BUG: early_exit_of_group
    out[t] = tile[n - 1 - t];
}

__global__ void two_barriers(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];
    if (t < 32) asm volatile("bar.sync 1;" ::: "memory");  // BUG: two_barriers
    else asm volatile("bar.sync 2;" ::: "memory");  // ALSO: two_barriers
    out[t] = tile[t];
}

__global__ void absent_lane(const float* x, float* out) {
    int t = threadIdx.x;
    float v = x[t];
    if (t < 16) v += __shfl_down_sync(0xffffffff, v, 8);  // BUG: absent_lane
    out[t] = v;
}

__global__ void unnamed_lane(const float* x, float* out) {
    __shared__ float tile[32];
    int t = threadIdx.x;
    unsigned half = __ballot_sync(0xffffffff, t < 16);
    tile[t] = x[t];
    if (t <= 16) __syncwarp(half);  // BUG: unnamed_lane
    if (t < 16) out[t] = tile[15 - t];
}

__global__ void exited_lane(const float* x, float* out, int n) {
    int t = threadIdx.x;
    if (t >= n) return;
    float v = x[t];
    for (int step = 16; step > 0; step /= 2) v += __shfl_down_sync(0xffffffff, v, step);  // BUG: exited_lane
    out[t] = v;
}

__device__ void copy_async(float* to, const float* from) {
    unsigned at = __cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");  // ALSO: wait_without_barrier
}

__global__ void missing_wait(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    copy_async(tile + t, x + t);
    asm volatile("cp.async.commit_group;" ::: "memory");
    __syncthreads();
    out[t] = tile[63 - t];  // BUG: missing_wait
}

__global__ void missing_commit(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    copy_async(tile + t, x + t);
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    out[t] = tile[63 - t];  // BUG: missing_commit
}

__global__ void wait_without_barrier(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    copy_async(tile + t, x + t);
    asm volatile("cp.async.commit_group; cp.async.wait_group 0;" ::: "memory");
    out[t] = tile[63 - t];  // BUG: wait_without_barrier
}

__global__ void flag_without_fence(float* data, volatile int* flag, float* out) {
    if (blockIdx.x == 0) {
        data[threadIdx.x] = threadIdx.x;
        __syncthreads();
        if (threadIdx.x == 0) *flag = 1;
    } else {
        if (threadIdx.x == 0) while (*flag == 0) {}
        __syncthreads();
        out[threadIdx.x] = data[threadIdx.x];  // BUG: flag_without_fence
    }
}

__global__ void fence_before_the_data(int* data, int* flag, int* out) {
    if (blockIdx.x == 0) {
        data[0] = 1;
        __threadfence();
        atomicExch(flag, 1);
        data[1] = 2;
        atomicExch(flag, 2);
    } else {
        while (atomicAdd(flag, 0) != 2) {}
        __threadfence();
        *out = data[1];  // BUG: fence_before_the_data
    }
}

__global__ void last_block_without_fence(const float* x, float* sums, unsigned* n_done, float* out) {
    __shared__ bool is_last;
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = x[blockIdx.x];
        is_last = atomicAdd(n_done, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (is_last && threadIdx.x < gridDim.x) out[threadIdx.x] = sums[threadIdx.x];  // BUG: last_block_without_fence
}

__global__ void narrow_scope(int* total) {
    atomicAdd_block(total, 1);  // BUG: narrow_scope
}
}
