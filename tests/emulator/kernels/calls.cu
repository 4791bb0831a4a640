// Functions that are called from many places, by name and through pointers, some of them by lanes of a warp that parted.
struct Point { float x, y; int n; };
typedef float (*Curve)(Point, float*);
typedef int (*Pick)(int);

__device__ __noinline__ int low(int n) { int s = 0; for (int i = 0; i < (n & 7); i++) s += i * n; return s; }
__device__ __noinline__ int high(int n) { int s = n; while (s > 5) s = s / 3 + (s & 1); return s; }
__device__ Pick picks[2] = {low, high};

__device__ __noinline__ float line(Point p, float* out) {
    float total = p.y;
    for (int i = 0; i < picks[p.n & 1](p.n); i++) total += p.x * i;
    *out += total;
    return total * 0.5f;
}
__device__ __noinline__ float bowl(Point p, float* out) {
    float kept[4];
    for (int i = 0; i < 4; i++) kept[(i + p.n) & 3] = p.x * p.x + i;
    *out -= kept[p.n & 3];
    return kept[0] + 2 * kept[1] + 3 * kept[2] + 4 * kept[3];
}
__device__ __noinline__ float wave(Point p, float* out) {
    int n = 0;
    while (n < 20 && p.x < 50.f) { p.x = p.x * 1.5f + p.y; n++; }
    *out = n;
    return p.x + picks[n & 1](n + 3);
}
__device__ Curve curves[3] = {line, bowl, wave};

__device__ __noinline__ float exchanged(float value, float* tile) {
    tile[threadIdx.x] = value;
    __syncthreads();
    float other = tile[blockDim.x - 1 - threadIdx.x];
    __syncthreads();
    return other + __shfl_xor_sync(~0u, value, 1) * 0.25f;
}

extern "C" __global__ void through_pointers(const int* which, float* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, n = which[i];
    Point p = {n * 0.5f, i + 1.f, n};
    float kept = 1.f, total = curves[n % 3](p, &kept);
    if (n % 5 == 1) total += curves[(n + 1) % 3](p, &kept);
    for (int turn = 0; turn < n % 4; turn++) total -= curves[(i + turn) % 3]({kept, total * 0.125f, turn}, &kept);
    out[i] = total + kept;
}

extern "C" __global__ void by_name(const int* which, float* out) {
    __shared__ float tile[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x, n = which[i];
    float kept = 0.f, total = exchanged(n, tile);
    if (n & 1) total += wave({total * 0.5f, 2.f, n}, &kept);
    else if (n & 2) total += bowl({total, 1.f, n}, &kept);
    total += exchanged(total + kept, tile);
    total -= bowl({kept, 1.f, n + 1}, &kept) + line({1.f, 2.f, n}, &kept);
    out[i] = exchanged(total, tile) + kept;
}
