// Syntax traps: tables with relocations, indirect calls, switches, printf, inline assembly, inlined functions.
struct Parameters { float x; int n; double d; };
__constant__ float table[4] = {1.f, 2.f, 3.f, 4.f};
__device__ int counter = 7;
__device__ float* pointer = (float*)table + 1;
__device__ double fractions[3] = {0.5, -1.25, 3};
struct __attribute__((packed)) Packed { char tag; const char* text; };
__device__ Packed packed = {'a', "text"};
extern __shared__ float dynamic[];

__device__ __noinline__ float sines(float a, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += sinf(a * i);
    return sum;
}
__device__ __noinline__ float product(float a, int n) { return a * n; }
typedef float (*Function)(float, int);
__device__ Function functions[2] = {sines, product};
__device__ __forceinline__ float twice(float a) { return a * expf(a) * 2; }
__device__ __forceinline__ float nested(float a) { return twice(a) + twice(a + 1); }

extern "C" __global__ void __launch_bounds__(256, 2) everything(Parameters p, float* out, int n) {
    __shared__ double tile[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = i * p.d;
    dynamic[threadIdx.x] = i;
    __syncthreads();
    if (i < n) {
        out[i] = functions[n & 1](out[i], n) + tile[255 - threadIdx.x] + table[i & 3] + dynamic[3] + fractions[i % 3];
        atomicAdd(&counter, 1);
        printf("thread %d: %f %s\n", i, out[i], packed.text);
    }
    switch (n) {
        case 0: out[0] = 1; break;
        case 1: out[1] = 3; break;
        case 2: out[3] = 5; break;
        case 3: out[5] = expf(out[7]); break;
        case 4: out[6] = 1; break;
        case 5: out[9] = __powf(out[1], 2.f); break;
        case 6: out[10] = *pointer; break;
        case 7: out[11] = nested(out[2]); break;
    }
    asm volatile("{ .reg .pred p; setp.lt.s32 p, %1, 3; @p add.s32 %0, %0, 1; @!p bra DONE; add.s32 %0, %0, 2; DONE: }"
                 : "+r"(n) : "r"(i));
    asm volatile("{ .reg .pred p; setp.gt.s32 p, %1, 5; @p bra DONE; add.s32 %0, %0, 4; DONE: }" : "+r"(n) : "r"(i));
    out[n] = __shfl_xor_sync(~0u, out[n], 3);
}
template <typename T> __global__ void templated(T* out) { out[0] = T(sin(double(out[1]))) + T(0.1); }
template __global__ void templated<float>(float*);
