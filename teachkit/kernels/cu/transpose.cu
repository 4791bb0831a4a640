// y[c][r] = x[r][c] for x of [rows, cols]. Tiles are 32 by 32.
constexpr int TILE = 32, BLOCK_ROWS = 8;

// Reads along rows, writes along columns: a store touches 32 sectors.
extern "C" __global__ void transpose_naive(const float* x, float* y, int rows, int cols) {
    int c = blockIdx.x * TILE + threadIdx.x;
    for (int r = blockIdx.y * TILE + threadIdx.y; r < min(rows, (int)(blockIdx.y + 1) * TILE); r += BLOCK_ROWS) {
        if (c < cols) y[(size_t)c * rows + r] = x[(size_t)r * cols + c];
    }
}

// The tile turns in shared memory. PITCH 32 puts a column into one bank, PITCH 33 spreads it over all 32.
template <int PITCH> __global__ void transpose_tiled(const float* x, float* y, int rows, int cols) {
    __shared__ float tile[TILE * PITCH];
    int c = blockIdx.x * TILE + threadIdx.x, r0 = blockIdx.y * TILE;
    for (int i = threadIdx.y; i < TILE; i += BLOCK_ROWS) {
        if (c < cols && r0 + i < rows) tile[i * PITCH + threadIdx.x] = x[(size_t)(r0 + i) * cols + c];
    }
    __syncthreads();
    int r = r0 + threadIdx.x, c0 = blockIdx.x * TILE;
    for (int i = threadIdx.y; i < TILE; i += BLOCK_ROWS) {
        if (r < rows && c0 + i < cols) y[(size_t)(c0 + i) * rows + r] = tile[threadIdx.x * PITCH + i];
    }
}

// No padding: element (i, j) lies in column j ^ i, so that a column meets every bank once.
extern "C" __global__ void transpose_swizzled(const float* x, float* y, int rows, int cols) {
    __shared__ float tile[TILE * TILE];
    int c = blockIdx.x * TILE + threadIdx.x, r0 = blockIdx.y * TILE;
    for (int i = threadIdx.y; i < TILE; i += BLOCK_ROWS) {
        if (c < cols && r0 + i < rows) tile[i * TILE + (threadIdx.x ^ i)] = x[(size_t)(r0 + i) * cols + c];
    }
    __syncthreads();
    int r = r0 + threadIdx.x, c0 = blockIdx.x * TILE;
    for (int i = threadIdx.y; i < TILE; i += BLOCK_ROWS) {
        if (r < rows && c0 + i < cols) y[(size_t)(c0 + i) * rows + r] = tile[threadIdx.x * TILE + (i ^ threadIdx.x)];
    }
}

// 8 by 32 threads, four elements each, moved in and out as float4. Groups of four columns are swizzled as one:
// group g of row i lies in group g ^ (i / 4), which leaves 16-byte stores whole and gives the four scalar reads
// of a warp (8 row groups by 4 columns) 32 different banks.
extern "C" __global__ void transpose_vectorised(const float* x, float* y, int rows, int cols) {
    __shared__ float4 tile[TILE * TILE / 4];
    int group = threadIdx.x, i = threadIdx.y;
    int c = blockIdx.x * TILE + 4 * group, r = blockIdx.y * TILE + i;
    if (c < cols && r < rows) tile[i * 8 + (group ^ (i / 4))] = *(const float4*)(x + (size_t)r * cols + c);
    __syncthreads();
    c = blockIdx.x * TILE + i, r = blockIdx.y * TILE + 4 * group;
    if (c < cols && r < rows) {
        const float* words = (const float*)tile + 4 * ((i / 4) ^ group) + i % 4;
        float4 column = {words[(4 * group) * TILE], words[(4 * group + 1) * TILE], words[(4 * group + 2) * TILE],
                         words[(4 * group + 3) * TILE]};
        *(float4*)(y + (size_t)c * rows + r) = column;
    }
}
