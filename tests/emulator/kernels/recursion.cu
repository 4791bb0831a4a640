// Functions that call themselves. Every kernel reads one int a thread and writes one.
__device__ __noinline__ int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

__device__ __noinline__ bool is_odd(int n);
__device__ __noinline__ bool is_even(int n) { return n == 0 ? true : is_odd(n - 1); }
__device__ __noinline__ bool is_odd(int n) { return n == 0 ? false : is_even(n - 1); }

__device__ __noinline__ int ackermann(int m, int n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

// A variable of its own at each depth, which deeper calls write through a pointer.
__device__ __noinline__ int chain(int n, int* above) {
    int own[4] = {n, 2 * n, 3 * n, 0};
    if (above) above[n & 3] += n + 1;
    if (n > 0) own[3] = chain(n - 1, own);
    int sum = 0;
    for (int i = 0; i < 4; i++) sum = 3 * sum + own[i];
    return sum;
}

struct Pair { double a; int b; short c; };
__device__ __noinline__ Pair pairs(Pair p, int n) {
    if (n == 0) return p;
    Pair q = pairs({p.a * 1.5, p.b + n, (short)(p.c ^ n)}, n - 1);
    return {q.a + p.a, q.b * 3 + p.b, (short)(q.c - n)};
}

// Many values that live across the call, of every width, a predicate included; more than one call in a loop.
__device__ __noinline__ long long wide(int n, float f, double d, unsigned char c, long long l) {
    bool is_big = f > 3.0f;
    long long sum = 0;
    for (int i = 0; i < n; i++) {
        sum += wide(n - 1 - i, f + 0.5f, d * 1.25, c + i, l + sum);
        if (is_big) sum += (long long)(f * 8) + c;
    }
    return sum + (long long)(d * 16) + l - c;
}

// Quicksort of a stretch of a lane's own array: the depth depends on the data.
__device__ __noinline__ void sort(int* a, int low, int high) {
    if (low >= high) return;
    int pivot = a[(low + high) / 2], i = low, j = high;
    while (i <= j) {
        while (a[i] < pivot) i++;
        while (a[j] > pivot) j--;
        if (i <= j) { int t = a[i]; a[i++] = a[j]; a[j--] = t; }
    }
    sort(a, low, j);
    sort(a, i, high);
}

// Recursion through a pointer: an expression tree with virtual functions.
struct Node { __device__ virtual int value(int x) const = 0; };
struct Leaf : Node {
    int n;
    __device__ Leaf(int n) : n(n) {}
    __device__ int value(int x) const override { return n + x; }
};
struct Sum : Node {
    const Node *a, *b;
    __device__ Sum(const Node* a, const Node* b) : a(a), b(b) {}
    __device__ int value(int x) const override { return a->value(x) + 2 * b->value(x + 1); }
};
struct Negation : Node {
    const Node* a;
    __device__ Negation(const Node* a) : a(a) {}
    __device__ int value(int x) const override { return x > 4 ? 7 : -a->value(x + 1); }
};

typedef int (*Step)(int);
__device__ int halve(int n);
__device__ int triple(int n);
__device__ Step steps[2] = {halve, triple};
__device__ __noinline__ int halve(int n) { return n <= 1 ? 0 : 1 + steps[(n / 2) & 1](n / 2); }
__device__ __noinline__ int triple(int n) { return n <= 1 ? 0 : 1 + steps[(3 * n + 1) & 1](3 * n + 1); }

__device__ __noinline__ int endless(int n) { return n == -12345 ? 0 : endless(n + 1) * 3 + n; }

#define THREAD int i = blockIdx.x * blockDim.x + threadIdx.x, n = x[i];
extern "C" __global__ void fibonacci(const int* x, int* out) { THREAD out[i] = fib(n) * 2 + i; }
extern "C" __global__ void parity(const int* x, int* out) { THREAD out[i] = is_even(n) ? 2 * i : is_odd(n) * 3 + i; }
extern "C" __global__ void deep(const int* x, int* out) { THREAD out[i] = ackermann(n & 1, n) + ackermann(2, n & 3); }
extern "C" __global__ void frames(const int* x, int* out) { THREAD out[i] = chain(n, nullptr) ^ chain(n / 2, nullptr); }
extern "C" __global__ void structures(const int* x, int* out) {
    THREAD Pair q = pairs({0.25 * i, n, (short)i}, n);
    out[i] = (int)(q.a * 64) + q.b + q.c;
}
extern "C" __global__ void widths(const int* x, int* out) {
    THREAD out[i] = (int)wide(n % 6, n, i + 0.125, (unsigned char)(250 + i), 1ll << (n & 31));
}
extern "C" __global__ void sorted(const int* x, int* out) {
    THREAD int a[16];
    for (int k = 0; k < 16; k++) a[k] = (n * (k + 3) * 7919 + k * k) % 101;
    sort(a, 0, 15);
    int sum = 0;
    for (int k = 0; k < 16; k++) sum = 5 * sum + a[k];
    out[i] = sum;
}
extern "C" __global__ void tree(const int* x, int* out) {
    THREAD Leaf a(n), b(3);
    Negation c(&a);
    Sum d(&b, &c);
    Negation e(&d);
    Sum f(&e, &d);
    const Node* nodes[4] = {&a, &c, &d, &f};
    out[i] = nodes[n & 3]->value(n >> 2);
}
extern "C" __global__ void pointers(const int* x, int* out) { THREAD out[i] = steps[n & 1](n); }

// Threads at different depths share memory and meet at a barrier.
extern "C" __global__ void together(const int* x, int* out) {
    THREAD __shared__ int tile[64];
    tile[threadIdx.x] = n % 3 ? fib(n) : -n;
    __syncthreads();
    out[i] = tile[blockDim.x - 1 - threadIdx.x] + (threadIdx.x % 5 == 0 ? fib(n / 2) : 0);
}
extern "C" __global__ void runaway(const int* x, int* out) { THREAD if (i >= 40) out[i] = endless(n); }
