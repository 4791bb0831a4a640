// Copy n floats. Each kernel below does the same work; only who touches which element changes.

// Thread t copies the chunk [t * chunk, (t + 1) * chunk): neighbouring lanes are a whole chunk apart.
extern "C" __global__ void copy_chunks(const float* x, float* y, int n, int chunk) {
    long long first = (long long)(blockIdx.x * blockDim.x + threadIdx.x) * chunk;
    for (int i = 0; i < chunk; i++) {
        if (first + i < n) y[first + i] = x[first + i];
    }
}

// Thread i copies element i: a warp touches 128 neighbouring bytes.
extern "C" __global__ void copy_coalesced(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i];
}

// Thread i copies four elements with one instruction; the last n % 4 go one by one.
extern "C" __global__ void copy_vectorised(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, n_vectors = n / 4;
    if (i < n_vectors) ((float4*)y)[i] = ((const float4*)x)[i];
    if (i < n % 4) y[4 * n_vectors + i] = x[4 * n_vectors + i];
}

// Four vectors a thread, a block's width apart: all four loads are under way before the first store waits.
extern "C" __global__ void copy_in_flight(const float* x, float* y, int n) {
    int n_vectors = n / 4, width = blockDim.x, first = blockIdx.x * 4 * width + threadIdx.x;
    const float4* from = (const float4*)x + first;
    float4* to = (float4*)y + first;
    if (first + 3 * width < n_vectors) {
        float4 a = from[0], b = from[width], c = from[2 * width], d = from[3 * width];
        to[0] = a;
        to[width] = b;
        to[2 * width] = c;
        to[3 * width] = d;
    } else {
        for (int k = 0; k < 4; k++) {
            if (first + k * width < n_vectors) to[k * width] = from[k * width];
        }
    }
    int i = blockIdx.x * width + threadIdx.x;
    if (i < n % 4) y[4 * n_vectors + i] = x[4 * n_vectors + i];
}
