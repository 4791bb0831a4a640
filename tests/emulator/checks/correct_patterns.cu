// More patterns that are right and look suspicious: nothing may be reported.
extern "C" {

__global__ void found_flag(const int* x, int* out) {
    __shared__ int found;
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    if (x[threadIdx.x] > 40) found = 1;
    __syncthreads();
    out[threadIdx.x] = found;
}

__global__ void scan_in_two_buffers(const float* x, float* out) {
    __shared__ float sums[2][128];
    int t = threadIdx.x, now = 0;
    sums[0][t] = x[t];
    for (int step = 1; step < 128; step *= 2) {
        __syncthreads();
        sums[1 - now][t] = sums[now][t] + (t >= step ? sums[now][t - step] : 0);
        now = 1 - now;
    }
    out[t] = sums[now][t];
}

__global__ void scan_with_two_barriers(const float* x, float* out) {
    __shared__ float sums[128];
    int t = threadIdx.x;
    sums[t] = x[t];
    for (int step = 1; step < 128; step *= 2) {
        __syncthreads();
        float other = t >= step ? sums[t - step] : 0;
        __syncthreads();
        sums[t] += other;
    }
    out[t] = sums[t];
}

__global__ void swizzled_transpose(const float* x, float* out) {
    __shared__ float tile[32][32];
    int c = threadIdx.x, r = threadIdx.y;
    tile[r][c ^ r] = x[r * 32 + c];
    __syncthreads();
    out[r * 32 + c] = tile[c][r ^ c];
}

__global__ void volatile_warp_sum(const float* x, float* out) {
    __shared__ volatile float sums[32];
    int t = threadIdx.x;
    sums[t] = x[t];
    __syncwarp();
    for (int step = 16; step > 0; step /= 2) {
        float v = sums[t] + (t < step ? sums[t + step] : 0);
        __syncwarp();
        sums[t] = v;
        __syncwarp();
    }
    if (t == 0) out[0] = sums[0];
}

__global__ void last_block_resets(const float* x, float* sums, unsigned* n_done, float* out) {
    __shared__ bool is_last;
    __shared__ float own;
    if (threadIdx.x == 0) own = 0;
    __syncthreads();
    atomicAdd(&own, x[blockIdx.x * blockDim.x + threadIdx.x]);
    __syncthreads();
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = own;
        __threadfence();
        is_last = atomicInc(n_done, gridDim.x - 1) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    if (is_last && threadIdx.x == 0) {
        float total = 0;
        for (int b = 0; b < gridDim.x; ++b) total += sums[b];
        out[0] += total;
    }
}

__global__ void half_warps(const int* x, int* out) {  // each half is in step with itself, and only with itself
    __shared__ int held[64];
    int t = threadIdx.x, base = t / 16 * 16;
    unsigned half = t / 16 % 2 ? 0xffff0000 : 0x0000ffff;
    if (t / 16 % 2) {
        held[t] = x[t];
        __syncwarp(half);
        int v = held[base + 15 - t % 16];
        for (int step = 8; step > 0; step /= 2) v += __shfl_xor_sync(half, v, step, 16);
        out[t] = v;
    } else {
        out[t] = __any_sync(half, x[t] > 5);
    }
    __syncthreads();
}

__global__ void halves_then_pairs_of_halves(const int* x, int* out) {  // what one half learnt, it passes on
    __shared__ int held[32];
    int t = threadIdx.x;
    held[t] = x[t];
    if (t < 16) __syncwarp(0x0000ffff);
    else __syncwarp(0xffff0000);
    if (t % 16 >= 8) __syncwarp(0xff00ff00);
    out[t] = t % 16 >= 8 ? held[31 - (t - 8)] : held[t ^ 1];
}

__global__ void one_lane_waits_for_another(volatile int* ready, const int* x, int* out) {  // of its warp
    int t = threadIdx.x;
    if (t == 0) while (*ready == 0) {}
    else if (t == 1) *ready = 1;
    __syncthreads();
    out[t] = x[t] + *ready;
}

__global__ void ring_between_warps(const int* x, int* out, int n) {
    __shared__ int slots[4];
    __shared__ volatile int n_put, n_taken;
    if (threadIdx.x == 0) n_put = n_taken = 0;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int k = 0; k < n; ++k) {
            while (k - n_taken >= 4) {}
            __threadfence_block();
            slots[k % 4] = x[k];
            __threadfence_block();
            n_put = k + 1;
        }
    } else if (threadIdx.x == 32) {
        for (int k = 0; k < n; ++k) {
            while (n_put <= k) {}
            __threadfence_block();
            out[k] = slots[k % 4] + 1;
            __threadfence_block();
            n_taken = k + 1;
        }
    }
}

__global__ void hand_over(float* data, int* state, float* out) {  // each block waits for the one before
    if (threadIdx.x == 0) while (atomicAdd(state, 0) != blockIdx.x) {}
    __threadfence();
    __syncthreads();
    float v = blockIdx.x ? data[threadIdx.x] : 0;
    data[threadIdx.x] = v + threadIdx.x;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(state, 1);
    if (blockIdx.x + 1 == gridDim.x) out[threadIdx.x] = v + threadIdx.x;
}

__global__ void ticket_lock(unsigned* next, volatile unsigned* serving, int* total) {
    if (threadIdx.x % 32 == 0) {
        unsigned mine = atomicAdd(next, 1);
        while (*serving != mine) {}
        __threadfence();
        *total += 3;
        __threadfence();
        *serving = mine + 1;
    }
}

__global__ void work_queue(int* next, const int* x, int* out, int n) {
    __shared__ int item;
    while (true) {
        if (threadIdx.x == 0) item = atomicAdd(next, 32);
        __syncthreads();
        int i = item + threadIdx.x;
        if (item >= n) break;
        if (i < n) out[i] = 2 * x[i];
        __syncthreads();
    }
}

__global__ void histograms_of_warps(const int* x, int* bins) {
    __shared__ int own[4][16];
    int t = threadIdx.x, warp = t / 32, lane = t % 32;
    if (lane < 16) own[warp][lane] = 0;
    __syncwarp();
    atomicAdd(&own[warp][x[t] % 16], 1);
    __syncthreads();
    if (t < 16) bins[t] = own[0][t] + own[1][t] + own[2][t] + own[3][t];
}

__global__ void vectors_and_a_tail(const float* x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n / 4) reinterpret_cast<float4*>(out)[i] = reinterpret_cast<const float4*>(x)[i];
    if (i < n % 4) out[n / 4 * 4 + i] = x[n / 4 * 4 + i];
}

__global__ void in_place(float* __restrict__ x, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) x[i] = x[i] * x[i] + 1;
}

__global__ void async_vectors(const float4* x, float* out) {
    __shared__ float4 stages[2][32];
    int t = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 4; ++k) {
        unsigned at = __cvta_generic_to_shared(&stages[k % 2][t]);
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16; cp.async.commit_group; cp.async.wait_group 0;" ::"r"(at),
                     "l"(x + k * 32 + t) : "memory");
        __syncthreads();
        sum += stages[k % 2][31 - t].x + stages[k % 2][t].w;
    }
    out[t] = sum;
}

__global__ void barrier_if_uniform(const float* x, float* out, int n) {
    __shared__ float tile[64];
    int t = threadIdx.x;
    tile[t] = x[t];
    if (n > 10) __syncthreads();
    out[t] = n > 10 ? tile[63 - t] : tile[t];
}

__global__ void until_nothing_changes(int* x, int* n_turns) {  // the largest neighbour spreads
    __shared__ int held[64];
    int t = threadIdx.x, turns = 0, changed;
    held[t] = x[t];
    do {
        __syncthreads();
        int best = max(held[t], max(held[t ? t - 1 : 0], held[t < 63 ? t + 1 : 63]));
        changed = __syncthreads_or(best != held[t]);
        held[t] = best;
        ++turns;
    } while (changed);
    x[t] = held[t];
    if (t == 0) *n_turns = turns;
}

__global__ void idle_warps_leave(const float* x, float* out, int n) {
    int t = threadIdx.x;
    if (t / 32 * 32 >= n) return;
    float v = t < n ? x[t] : 0;
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(0xffffffff, v, step);
    if (t % 32 == 0) out[t / 32] = v;
}

__global__ void one_atomic_a_warp(const int* x, int* count, int* out) {  // filter
    int i = blockIdx.x * blockDim.x + threadIdx.x, lane = i % 32;
    if (x[i] % 3 == 0) {
        unsigned active = __activemask();
        int leader = __ffs(active) - 1, base;
        if (lane == leader) base = atomicAdd(count, __popc(active));
        base = __shfl_sync(active, base, leader);
        out[base + __popc(active & ((1u << lane) - 1))] = x[i];
    }
}

__global__ void look_back(const int* x, volatile unsigned long long* states, int* out) {  // flag and sum in one word
    __shared__ int before;
    int sum = 0;
    for (int i = 0; i < 32; ++i) sum += x[blockIdx.x * 32 + i];
    if (threadIdx.x == 0) {
        unsigned long long seen = 1ull << 32;
        if (blockIdx.x) while (!((seen = states[blockIdx.x - 1]) >> 32)) {}
        before = (int)seen;
        states[blockIdx.x] = (1ull << 32) | (unsigned)(before + sum);
    }
    __syncthreads();
    int mine = 0;
    for (int i = 0; i <= threadIdx.x; ++i) mine += x[blockIdx.x * 32 + i];
    out[blockIdx.x * 32 + threadIdx.x] = before + mine;
}

__global__ void bytes_of_a_word(const int* x, unsigned* out) {
    __shared__ unsigned char part[128];
    part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32) out[threadIdx.x] = reinterpret_cast<unsigned*>(part)[threadIdx.x];
}

__global__ void red_black(float* x, int n) {  // the even ones of the odd ones, which stay
    int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) x[i] = 0.5f * ((i > 0 ? x[i - 1] : 0) + (i + 1 < n ? x[i + 1] : 0));
}

__global__ void shared_butterfly(const float* x, float* out) {
    __shared__ float held[32];
    int t = threadIdx.x;
    float v = x[t];
    for (int step = 1; step < 32; step *= 2) {
        held[t] = v;
        __syncwarp();
        v += held[t ^ step];
        __syncwarp();
    }
    out[t] = v;
}

__global__ void bitset(const int* x, int* out) {
    __shared__ unsigned bits[4];
    int t = threadIdx.x;
    if (t < 4) bits[t] = 0;
    __syncthreads();
    atomicOr(&bits[x[t] / 32 % 4], 1u << x[t] % 32);
    __syncthreads();
    out[t] = bits[t / 32] >> t % 32 & 1;
}

__global__ void ping_pong(const float* x, float* out) {  // two warps, one buffer, two named barriers
    __shared__ float slot[32];
    int t = threadIdx.x, lane = t % 32;
    if (t < 32) {
        for (int k = 0; k < 4; ++k) {
            slot[lane] = x[k * 32 + lane];
            asm volatile("bar.arrive 1, 64;" ::: "memory");
            asm volatile("bar.sync 2, 64;" ::: "memory");
        }
    } else {
        float sum = 0;
        for (int k = 0; k < 4; ++k) {
            asm volatile("bar.sync 1, 64;" ::: "memory");
            sum += slot[31 - lane];
            asm volatile("bar.arrive 2, 64;" ::: "memory");
        }
        out[lane] = sum;
    }
}

__global__ void atomic_then_flag(int* value, int* flag, int* out) {  // an atomic counts as done before the fence
    if (blockIdx.x == 0) {
        atomicExch(value, 5);
        __threadfence();
        atomicExch(flag, 1);
    } else {
        while (atomicAdd(flag, 0) == 0) {}
        __threadfence();
        *out = *value;
    }
}

__global__ void two_flags(int* value, volatile int* first, int* second, volatile int* third, int* out) {
    if (blockIdx.x == 0) {  // one fence, three flags
        *value = 5;
        __threadfence();
        *first = 1;
        atomicExch(second, 1);
        *third = 1;
    } else {
        while ((blockIdx.x == 1 ? *first : blockIdx.x == 2 ? atomicAdd(second, 0) : *third) == 0) {}
        __threadfence();
        out[blockIdx.x] = *value;
    }
}

__global__ void wider_by_turns(int* value, int* turn, int* out) {  // a block's own atomic, behind a wait for the other
    if (threadIdx.x % 32) return;
    int place = 2 * blockIdx.x + threadIdx.x / 32;
    while (atomicAdd(turn, 0) != place) {}
    if (place % 2) {
        atomicExch(value, place);
        __threadfence();
    } else {
        atomicExch_block(value, place);
        __threadfence_block();
    }
    atomicExch(turn, place + 1);
    if (place == 3) *out = *value;
}
}
