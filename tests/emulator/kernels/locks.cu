// Lanes of one warp that wait for each other, as GPUs with independent thread scheduling run it.

// The lock is taken before the critical section: lanes that have it are already behind the loop.
extern "C" __global__ void spin(int* lock, int* count, int* seen, int n_locks) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, which = i % n_locks;
    while (atomicCAS(&lock[which], 0, 1) != 0) {}
    __threadfence();
    int old = *(volatile int*)&count[which];
    *(volatile int*)&count[which] = old + 1;
    __threadfence();
    atomicExch(&lock[which], 0);
    seen[i] = old;
}

// The critical section inside the loop, ended by a flag.
extern "C" __global__ void done_flag(int* lock, int* count, int* seen, int n_locks) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, which = i % n_locks;
    bool done = false;
    while (!done) {
        if (atomicCAS(&lock[which], 0, 1) == 0) {
            int old = *(volatile int*)&count[which];
            *(volatile int*)&count[which] = old + 1;
            seen[i] = old;
            __threadfence();
            atomicExch(&lock[which], 0);
            done = true;
        }
    }
}

// Tickets, with all the ways to wait: a backoff, and a register that counts the turns.
extern "C" __global__ void tickets(int* ticket, int* count, int* seen, int n_locks) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int mine = atomicAdd(&ticket[0], 1);
    unsigned ns = 2;
    while (*(volatile int*)&ticket[1] != mine) { __nanosleep(ns); if (ns < 64) ns *= 2; }
    seen[i] = count[0];
    count[0] = seen[i] + 1;
    __threadfence();
    *(volatile int*)&ticket[1] = mine + 1;
}

extern "C" __global__ void counting(int* lock, int* count, int* seen, int n_locks) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, turns = 0;
    while (atomicCAS(lock, 0, 1) != 0) turns++;
    seen[i] = (*(volatile int*)count)++;
    __threadfence();
    atomicExch(lock, 0);
    if (turns < 0) seen[i] = turns;
}

// A barrier behind the lock: lanes that are through wait there for the others.
extern "C" __global__ void lock_then_barrier(int* lock, int* count, int* seen, int n_locks) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int round = 0; round < 2; round++) {
        while (atomicCAS(&lock[blockIdx.x], 0, 1) != 0) {}
        __threadfence();
        *(volatile int*)&count[blockIdx.x] = *(volatile int*)&count[blockIdx.x] + 1;
        __threadfence();
        atomicExch(&lock[blockIdx.x], 0);
        __syncthreads();
        int now = *(volatile int*)&count[blockIdx.x];
        __syncthreads();
        seen[i] = seen[i] * 1000 + now;
    }
}

// A sorted linked list with a lock, and a hash table of lists with one lock a bucket.
extern "C" __global__ void insert(int* locks, int* heads, int* next, const int* keys, int n_buckets) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, bucket = keys[i] % n_buckets;
    while (atomicCAS(&locks[bucket], 0, 1) != 0) {}
    __threadfence();
    volatile int* at = &heads[bucket];
    while (*at >= 0 && keys[*at] < keys[i]) at = &next[*at];
    next[i] = *at;
    *at = i;
    __threadfence();
    atomicExch(&locks[bucket], 0);
}

// Lane by lane: each waits for a value of the one before, the first for another block.
extern "C" __global__ void hand_down(volatile int* flags, int* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i > 0) while (flags[i - 1] == 0) {}
    int before = i > 0 ? flags[i - 1] : 0;
    out[i] = before;
    __threadfence();
    flags[i] = before + 2;
}

// Odd lanes make, even lanes use and answer, a few times over.
extern "C" __global__ void produce_and_consume(volatile int* box, int* out, int n_rounds) {
    int i = threadIdx.x, pair = i / 2, sum = 0;
    if (i % 2) {
        for (int k = 1; k <= n_rounds; k++) {
            box[2 * pair] = k * pair + 1;
            while (box[2 * pair] != 0) {}
        }
    } else {
        for (int k = 1; k <= n_rounds; k++) {
            int got;
            while ((got = box[2 * pair]) == 0) {}
            sum += got;
            box[2 * pair] = 0;
        }
    }
    out[i] = sum;
}

// Two locks in opposite order: a deadlock on every GPU.
extern "C" __global__ void opposite(int* lock, int* count) {
    int first = threadIdx.x & 1;
    while (atomicCAS(&lock[first], 0, 1) != 0) {}
    __threadfence();
    while (atomicCAS(&lock[1 - first], 0, 1) != 0) {}
    count[threadIdx.x] = 1;
    atomicExch(&lock[1 - first], 0);
    atomicExch(&lock[first], 0);
}

// Behind the lock all lanes of a warp exchange values.
extern "C" __global__ void lock_then_shuffle(int* lock, int* count, int* out) {
    while (atomicCAS(lock, 0, 1) != 0) {}
    __threadfence();
    int mine = *(volatile int*)count;
    *(volatile int*)count = mine + 1;
    __threadfence();
    atomicExch(lock, 0);
    __syncwarp();
    out[threadIdx.x] = mine + 100 * __shfl_xor_sync(0xffffffff, mine, 1);
}
