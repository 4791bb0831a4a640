// Kernels whose counts have closed forms: one float a thread and access.
extern "C" __global__ void add(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}

extern "C" __global__ void copy_strided(const float* x, float* out, int stride) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = x[i * stride];
}

// Blocks of 32 x 32 threads; n is a multiple of 32.
extern "C" __global__ void transpose_naive(const float* x, float* out, int n) {
    int row = blockIdx.y * 32 + threadIdx.y, column = blockIdx.x * 32 + threadIdx.x;
    out[column * n + row] = x[row * n + column];
}

template <int WIDTH>
__device__ void through_shared(const float* x, float* out, int n) {
    __shared__ float tile[32][WIDTH];
    tile[threadIdx.y][threadIdx.x] = x[(blockIdx.y * 32 + threadIdx.y) * n + blockIdx.x * 32 + threadIdx.x];
    __syncthreads();
    out[(blockIdx.x * 32 + threadIdx.y) * n + blockIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}
extern "C" __global__ void transpose_tiled(const float* x, float* out, int n) { through_shared<32>(x, out, n); }
extern "C" __global__ void transpose_padded(const float* x, float* out, int n) { through_shared<33>(x, out, n); }

// Reads n floats, a multiple of the block's threads, n_times over, and keeps a sum a thread.
extern "C" __global__ void read_again(const float* x, float* out, int n, int n_times) {
    float sum = 0;
    for (int time = 0; time < n_times; time++)
        for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
    out[threadIdx.x] = sum;
}
