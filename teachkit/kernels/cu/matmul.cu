// C[m, n] = A[m, k] B[k, n], float32, row-major. One kernel a rung.

// Neighbouring lanes compute neighbouring rows: they read A and write C a whole row apart.
extern "C" __global__ void matmul_naive(const float* a, const float* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * 32 + threadIdx.x, column = blockIdx.x * 32 + threadIdx.y;
    if (row >= m || column >= n) return;
    float sum = 0;
    for (int i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + column];
    c[row * n + column] = sum;
}

// Neighbouring lanes compute neighbouring columns: A is one address for the warp, B and C are neighbours.
extern "C" __global__ void matmul_coalesced(const float* a, const float* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * 32 + threadIdx.y, column = blockIdx.x * 32 + threadIdx.x;
    if (row >= m || column >= n) return;
    float sum = 0;
    for (int i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + column];
    c[row * n + column] = sum;
}

// The block brings a 32 by 32 tile of A and of B into shared memory, and every element is read 32 times there.
extern "C" __global__ void matmul_shared(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float tile_a[32][32], tile_b[32][32];
    int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 32 + y, column = blockIdx.x * 32 + x;
    float sum = 0;
    for (int k0 = 0; k0 < k; k0 += 32) {
        tile_a[y][x] = row < m && k0 + x < k ? a[row * k + k0 + x] : 0;
        tile_b[y][x] = column < n && k0 + y < k ? b[(k0 + y) * n + column] : 0;
        __syncthreads();
        for (int i = 0; i < 32; i++) sum += tile_a[y][i] * tile_b[i][x];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}

// A thread computes 8 elements of a column: one element of B from shared memory serves 8 multiplications.
extern "C" __global__ void __launch_bounds__(512)
matmul_tile_1d(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float tile_a[64][8], tile_b[8][64];
    int t = threadIdx.x, row = t / 64 * 8, column = t % 64;
    a += blockIdx.y * 64 * k + t / 8 * k + t % 8;
    b += blockIdx.x * 64 + t / 64 * n + t % 64;
    c += (blockIdx.y * 64 + row) * n + blockIdx.x * 64 + column;
    float sums[8] = {};
    for (int k0 = 0; k0 < k; k0 += 8) {
        tile_a[t / 8][t % 8] = a[k0];
        tile_b[t / 64][t % 64] = b[k0 * n];
        __syncthreads();
        for (int i = 0; i < 8; i++) {
            float from_b = tile_b[i][column];
            for (int r = 0; r < 8; r++) sums[r] += tile_a[row + r][i] * from_b;
        }
        __syncthreads();
    }
    for (int r = 0; r < 8; r++) c[r * n] = sums[r];
}

// A thread computes 8 by 8 elements: 16 loads from shared memory serve 64 multiplications.
extern "C" __global__ void __launch_bounds__(256)
matmul_tile_2d(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float tile_a[128][8], tile_b[8][128];
    int t = threadIdx.x, row = t / 16 * 8, column = t % 16 * 8;
    a += blockIdx.y * 128 * k;
    b += blockIdx.x * 128;
    c += (blockIdx.y * 128 + row) * n + blockIdx.x * 128 + column;
    float sums[8][8] = {};
    for (int k0 = 0; k0 < k; k0 += 8) {
        for (int i = 0; i < 128; i += 32) tile_a[t / 8 + i][t % 8] = a[(t / 8 + i) * k + k0 + t % 8];
        for (int i = 0; i < 8; i += 2) tile_b[t / 128 + i][t % 128] = b[(k0 + t / 128 + i) * n + t % 128];
        __syncthreads();
        for (int i = 0; i < 8; i++) {
            float from_a[8], from_b[8];
            for (int r = 0; r < 8; r++) from_a[r] = tile_a[row + r][i];
            for (int s = 0; s < 8; s++) from_b[s] = tile_b[i][column + s];
            for (int r = 0; r < 8; r++)
                for (int s = 0; s < 8; s++) sums[r][s] += from_a[r] * from_b[s];
        }
        __syncthreads();
    }
    for (int r = 0; r < 8; r++)
        for (int s = 0; s < 8; s++) c[r * n + s] = sums[r][s];
}

// 16 bytes at once, without asking the compiler to guess that they are aligned.
__device__ float4 load4(const float* p) { return *(const float4*)p; }
__device__ void store4(float* p, const float* v) { *(float4*)p = make_float4(v[0], v[1], v[2], v[3]); }
__device__ void spread4(const float* p, float* v) {
    float4 four = load4(p);
    v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
}

// A's tile is turned on its way in, so that every load, global and shared, takes four elements at once.
extern "C" __global__ void __launch_bounds__(256)
matmul_vectorised(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ __align__(16) float tile_a[8][128], tile_b[8][128];
    int t = threadIdx.x, row = t / 16 * 8, column = t % 16 * 8;
    int a_row = t / 2, a_column = t % 2 * 4, b_row = t / 32, b_column = t % 32 * 4;
    a += (blockIdx.y * 128 + a_row) * k + a_column;
    b += b_row * n + blockIdx.x * 128 + b_column;
    c += (blockIdx.y * 128 + row) * n + blockIdx.x * 128 + column;
    float sums[8][8] = {};
    for (int k0 = 0; k0 < k; k0 += 8) {
        float4 four = load4(a + k0);
        tile_a[a_column][a_row] = four.x;
        tile_a[a_column + 1][a_row] = four.y;
        tile_a[a_column + 2][a_row] = four.z;
        tile_a[a_column + 3][a_row] = four.w;
        *(float4*)&tile_b[b_row][b_column] = load4(b + k0 * n);
        __syncthreads();
        for (int i = 0; i < 8; i++) {
            float from_a[8], from_b[8];
            for (int r = 0; r < 8; r += 4) spread4(&tile_a[i][row + r], from_a + r);
            for (int s = 0; s < 8; s += 4) spread4(&tile_b[i][column + s], from_b + s);
            for (int r = 0; r < 8; r++)
                for (int s = 0; s < 8; s++) sums[r][s] += from_a[r] * from_b[s];
        }
        __syncthreads();
    }
    for (int r = 0; r < 8; r++)
        for (int s = 0; s < 8; s += 4) store4(c + r * n + s, sums[r] + s);
}

// A warp owns 64 by 64 of the block's 128 by 128 elements, a thread 8 rows by 4 pieces of 4 columns: 24 numbers from
// shared memory serve 128 multiplications, and the lanes of a quarter-warp ask for at most two addresses.
extern "C" __global__ void __launch_bounds__(128)
matmul_warp_tile(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ __align__(16) float tile_a[16][128], tile_b[16][128];
    int t = threadIdx.x, warp = t / 32, lane = t % 32;
    int row = warp / 2 * 64 + lane / 4 * 8, column = warp % 2 * 64 + lane % 4 * 4;
    a += blockIdx.y * 128 * k;
    b += blockIdx.x * 128;
    c += (blockIdx.y * 128 + row) * n + blockIdx.x * 128 + column;
    float sums[8][16] = {};
    for (int k0 = 0; k0 < k; k0 += 16) {
        for (int i = 0; i < 128; i += 32) {
            int a_row = t / 4 + i, a_column = t % 4 * 4;
            float4 four = load4(a + a_row * k + k0 + a_column);
            tile_a[a_column][a_row] = four.x;
            tile_a[a_column + 1][a_row] = four.y;
            tile_a[a_column + 2][a_row] = four.z;
            tile_a[a_column + 3][a_row] = four.w;
        }
        for (int i = 0; i < 16; i += 4)
            *(float4*)&tile_b[t / 32 + i][t % 32 * 4] = load4(b + (k0 + t / 32 + i) * n + t % 32 * 4);
        __syncthreads();
        for (int i = 0; i < 16; i++) {
            float from_a[8], from_b[16];
            for (int r = 0; r < 8; r += 4) spread4(&tile_a[i][row + r], from_a + r);
            for (int s = 0; s < 4; s++) spread4(&tile_b[i][column + 16 * s], from_b + 4 * s);
            for (int r = 0; r < 8; r++)
                for (int s = 0; s < 16; s++) sums[r][s] += from_a[r] * from_b[s];
        }
        __syncthreads();
    }
    for (int r = 0; r < 8; r++)
        for (int s = 0; s < 4; s++) store4(c + r * n + 16 * s, sums[r] + 4 * s);
}
