// More kernels with one mistake each, in the patterns of textbooks. Marked like planted.cu.
extern "C" {

__global__ void scan_in_one_buffer(const float* x, float* out) {
    __shared__ float sums[128];
    int t = threadIdx.x;
    sums[t] = x[t];
    __syncthreads();
    for (int step = 1; step < 128; step *= 2) {
        if (t >= step) sums[t] += sums[t - step];  // BUG: scan_in_one_buffer
        __syncthreads();
    }
    out[t] = sums[t];
}

__global__ void halo_never_set(const float* x, float* out) {
    __shared__ float tile[66];
    int t = threadIdx.x, i = blockIdx.x * 64 + t;
    tile[t + 1] = x[i];
    if (t == 0 && blockIdx.x > 0) tile[0] = x[i - 1];
    if (t == 63) tile[65] = blockIdx.x + 1 < gridDim.x ? x[i + 1] : 0;
    __syncthreads();
    out[i] = tile[t] + tile[t + 1] + tile[t + 2];  // BUG: halo_never_set
}

__global__ void swapped_stride(const float* x, float* out, int n_rows, int n_columns) {
    int row = blockIdx.x, column = threadIdx.x;
    if (row < n_rows && column < n_columns) out[row * n_columns + column] = x[column * n_columns + row];  // BUG: swapped_stride
}

__global__ void before_the_start(const float* x, float* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = x[i] - x[i - 1];  // BUG: before_the_start
}

__global__ void odd_pair(int* out) {
    reinterpret_cast<int2*>(out + 3 * threadIdx.x)[0] = make_int2(1, 2);  // BUG: odd_pair
}

__global__ void odd_shared(const float* x, float* out) {
    __shared__ __align__(16) unsigned char room[256];
    int t = threadIdx.x;
    *reinterpret_cast<float*>(room + 6 * t) = x[t];  // BUG: odd_shared
    __syncthreads();
    out[t] = room[6 * t];  // ALSO: odd_shared
}

__global__ void shared_before_the_start(const float* x, float* out) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];
    __syncthreads();
    out[t] = tile[t - 1];  // BUG: shared_before_the_start
}

__global__ void no_syncwarp(const float* x, float* out) {
    __shared__ float tile[32];
    int t = threadIdx.x;
    tile[t] = x[t];  // ALSO: no_syncwarp
    out[t] = tile[31 - t];  // BUG: no_syncwarp
}

__global__ void half_a_syncwarp(const float* x, float* out) {
    __shared__ float tile[32];
    int t = threadIdx.x;
    tile[t] = x[t];
    if (t < 16) {
        __syncwarp(0x0000ffff);
        out[t] = tile[31 - t];  // BUG: half_a_syncwarp
    }
}

__global__ void halves_that_did_not_meet(const float* x, float* out) {
    __shared__ float tile[32];
    int t = threadIdx.x;
    tile[t] = x[t];
    if (t < 16) __syncwarp(0x0000ffff);
    else __syncwarp(0xffff0000);
    out[t] = tile[(t + 8) % 32];  // BUG: halves_that_did_not_meet
}

__global__ void neighbour_of_another_block(float* x) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float left = i > 0 ? x[i - 1] : 0;  // BUG: neighbour_of_another_block
    __syncthreads();
    x[i] = left + 1;  // ALSO: neighbour_of_another_block
}

__global__ void plain_read_of_a_counter(int* count, int* out) {
    if (threadIdx.x == 0) atomicAdd(count, 1);  // BUG: plain_read_of_a_counter
    __syncthreads();
    if (threadIdx.x == 0) out[blockIdx.x] = *count;  // ALSO: plain_read_of_a_counter
}

__global__ void reset_by_every_block(const int* x, int* total) {
    if (threadIdx.x == 0) *total = 0;  // BUG: reset_by_every_block
    __syncthreads();
    atomicAdd(total, x[blockIdx.x * blockDim.x + threadIdx.x]);  // ALSO: reset_by_every_block
}

__device__ void copy_async(float* to, const float* from) {
    unsigned at = __cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4; cp.async.commit_group;" ::"r"(at), "l"(from) : "memory");  // BUG: overwrites_what_is_read
}

__global__ void waits_for_too_few(const float* x, float* out) {
    __shared__ float stages[2][32];
    int t = threadIdx.x;
    copy_async(&stages[0][t], x + t);
    copy_async(&stages[1][t], x + 32 + t);
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    float sum = stages[0][31 - t];
    __syncthreads();
    out[t] = sum + stages[1][31 - t];  // BUG: waits_for_too_few
}

__global__ void overwrites_what_is_read(const float* x, float* out) {
    __shared__ float stage[64];
    int t = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 3; ++k) {
        copy_async(&stage[t], x + k * 64 + t);
        asm volatile("cp.async.wait_group 0;" ::: "memory");
        __syncthreads();
        sum += stage[63 - t];  // ALSO: overwrites_what_is_read
    }
    out[t] = sum;
}

__global__ void unlock_without_fence(int* lock, float* total, const float* x) {
    if (threadIdx.x == 0) {
        while (atomicCAS(lock, 0, 1) != 0) {}
        __threadfence();
        *total = *total + x[blockIdx.x];  // BUG: unlock_without_fence
        *(volatile int*)lock = 0;
    }
}

__global__ void barriers_in_a_ragged_loop(const int* n_turns, int* out) {
    int sum = 0;
    for (int k = 0; k < n_turns[threadIdx.x / 32]; ++k) {
        sum += k;
        __syncthreads();  // BUG: barriers_in_a_ragged_loop
    }
    out[threadIdx.x] = sum;
}

__global__ void rows_that_overlap(float* out, int n_columns) {
    out[blockIdx.x * (n_columns - 1) + threadIdx.x] = blockIdx.x * 100.0f + threadIdx.x;  // BUG: rows_that_overlap
}

__global__ void local_past_the_end(const int* x, int* out) {
    int held[8];
    for (int i = 0; i < 8; ++i) held[i] = x[i];
    out[threadIdx.x] = held[x[threadIdx.x % 8] + threadIdx.x / 4];  // BUG: local_past_the_end
}

__constant__ float TABLE[4] = {1, 2, 3, 4};
__global__ void constant_past_the_end(const int* x, float* out) {
    out[threadIdx.x] = TABLE[x[threadIdx.x]];  // BUG: constant_past_the_end
}

__global__ void dynamic_too_small(const float* x, float* out) {
    extern __shared__ float room[];
    int t = threadIdx.x;
    room[t] = x[t];  // BUG: dynamic_too_small
    __syncthreads();
    out[t] = room[0];
}

__global__ void flag_without_barriers(const int* x, int* out) {
    __shared__ int found;
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    if (x[threadIdx.x] == 40) found = 1;  // BUG: flag_without_barriers
    out[threadIdx.x] = found;  // ALSO: flag_without_barriers
}

__global__ void shuffle_in_a_ragged_loop(const int* n_turns, int* out) {
    int t = threadIdx.x, v = t;
    for (int k = 0; k < n_turns[t]; ++k) v += __shfl_xor_sync(0xffffffff, v, 1);  // BUG: shuffle_in_a_ragged_loop
    out[t] = v;
}

__global__ void key_without_value(const int* keys, int* table, int* values, int* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, key = keys[i], at = key % 16;
    while (true) {
        int found = atomicCAS(table + at, 0, key);
        if (found == 0) values[at] = 10 * key;  // ALSO: key_without_value
        if (found == 0 || found == key) break;
        at = (at + 1) % 16;
    }
    out[i] = values[at];  // BUG: key_without_value
}

__global__ void second_half_unwritten(const float* x, float* scratch, float* out) {
    int t = threadIdx.x;
    if (t % 2 == 0) scratch[t] = x[t];
    __syncthreads();
    out[t] = scratch[63 - t];  // BUG: second_half_unwritten
}

__global__ void wrong_half(const float* x, float* out) {
    __shared__ float tile[2][32];
    int t = threadIdx.x, lane = t % 32, warp = t / 32;
    tile[warp][lane] = x[t];  // ALSO: wrong_half
    __syncwarp();
    out[t] = tile[1 - warp][lane];  // BUG: wrong_half
}

__global__ void one_barrier_short(const float* x, float* out, int n) {
    __shared__ float total;
    int t = threadIdx.x;
    for (int row = 0; row < n; ++row) {
        if (t == 0) total = 0;  // ALSO: one_barrier_short
        __syncthreads();
        atomicAdd(&total, x[row * 64 + t]);
        __syncthreads();
        out[row * 64 + t] = total;  // BUG: one_barrier_short
    }
}
}
