"""Functions that Numba-CUDA compiles, with their signatures."""

import math

from numba import cuda, float32, float64, int32, int64


def saxpy(a, x, y, out):
    i = cuda.grid(1)
    if i < x.shape[0]:
        out[i] = a * x[i] + y[i]


def shared_and_local(x, out):
    i = cuda.grid(1)
    tile = cuda.shared.array(128, float32)
    window = cuda.local.array(4, float32)
    if i < x.shape[0]:
        window[i % 4] = x[i]
        tile[cuda.threadIdx.x] = math.exp(x[i])
        cuda.syncthreads()
        out[i] = tile[127 - cuda.threadIdx.x] + window[(i + 1) % 4]
        cuda.atomic.add(out, 0, x[i])
        if x[i] < 0:
            print(i, x[i])


def warp_sum(x, out):
    i = cuda.grid(1)
    value = x[i]
    offset = 16
    while offset > 0:
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, offset)
        offset //= 2
    if cuda.laneid == 0:
        out[cuda.blockIdx.x] = value


def matmul(a, b, out):
    row, col = cuda.grid(2)
    if row < out.shape[0] and col < out.shape[1]:
        total = 0.0
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, col]
        out[row, col] = total


def collatz(x, out):
    i = cuda.grid(1)
    if i < x.shape[0]:
        n = x[i]
        steps = 0
        while n > 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        out[i] = steps


def maths(x, out):
    i = cuda.grid(1)
    if i < x.shape[0]:
        out[i] = math.sin(x[i]) + math.pow(x[i], 3.5) + math.erf(x[i]) + math.lgamma(x[i])


SIGNATURES = {
    "saxpy": (float32, float32[:], float32[:], float32[:]),
    "shared_and_local": (float32[:], float32[:]),
    "warp_sum": (float32[:], float32[:]),
    "matmul": (float64[:, :], float64[:, :], float64[:, :]),
    "collatz": (int64[:], int32[:]),
    "maths": (float64[:], float64[:]),
}
