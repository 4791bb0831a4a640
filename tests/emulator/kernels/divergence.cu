// Lanes that go their own ways. Every kernel writes one int a thread; `thread()` numbers threads over the launch.
__device__ __forceinline__ int thread() {
    int inside = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    return inside + block * blockDim.x * blockDim.y * blockDim.z;
}

extern "C" __global__ void nested(const int* x, int* out) {
    int i = thread(), a = x[i], result = 0;
    if (a & 1) {
        if (a & 2) result = a * 3;
        else if (a & 4) result = a - 100;
        else result = -a;
        result += 7;
    } else {
        if ((a & 8) && i % 5 != 0) result = a / 3;
        if (a & 16) result ^= i;
    }
    out[i] = result;
}

extern "C" __global__ void collatz(const int* x, int* out) {
    int i = thread(), n = 0;
    for (unsigned a = x[i]; a > 1; n++) a = a & 1 ? 3 * a + 1 : a >> 1;
    out[i] = n;
}

// An inner loop of its own length, continue, break, and a return in the middle.
extern "C" __global__ void loops(const int* x, int* out) {
    int i = thread(), total = 0;
    if (x[i] < 0) return;
    for (int a = 0; a < 12; a++) {
        if ((a + x[i]) % 3 == 0) continue;
        if (total > 90 + i) break;
        for (int b = a; b < x[i] % 7; b++) {
            if (b == 4) break;
            total += b * a + 1;
        }
        if (total == 13) { out[i] = -1; return; }
        total += a;
    }
    out[i] = total;
}

extern "C" __global__ void early_exit(const int* x, int* out, int n) {
    int i = thread();
    if (i >= n) return;
    if (x[i] % 4 == 0) { out[i] = 0; return; }
    out[i] = 100 / (x[i] % 4);
}

extern "C" __global__ void where_am_i(int* out) {
    int i = thread();
    out[i] = (threadIdx.x | threadIdx.y << 4 | threadIdx.z << 8) ^ (blockIdx.x << 12 | blockIdx.y << 16 | blockIdx.z << 20);
}

// A barrier in a loop that all threads take equally often, with divergent work between.
extern "C" __global__ void block_sum(const int* x, int* out, int n_rounds) {
    __shared__ int parts[128];
    int t = threadIdx.x, sum = 0;
    for (int round = 0; round < n_rounds; round++) {
        parts[t] = x[thread()] * (round + 1);
        __syncthreads();
        for (int half = 64; half > 0; half >>= 1) {
            if (t < half) parts[t] += parts[t + half];
            __syncthreads();
        }
        sum += parts[0];
        if (t % 3 == round % 3) sum++;
        __syncthreads();
    }
    out[thread()] = sum;
}

extern "C" __global__ void pick(const int* x, int* out) {
    int i = thread(), a = x[i];
    switch (a & 7) {
        case 0: out[i] = a + 1; break;
        case 1: out[i] = a * 2;  // and on
        case 2: out[i] = out[i] + 3; break;
        case 5: for (int k = 0; k < (a >> 3) % 5; k++) out[i] += k; break;
        default: out[i] = -a;
    }
}
