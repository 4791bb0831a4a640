"""The same map in CUDA C++, thread by thread across the blocks instead of block by block."""

import torch

import teachkit as tk

KERNEL = tk.compile_cuda_c("""
__global__ void twice(const float *x, float *y, int n) {
    int i = threadIdx.x * gridDim.x + blockIdx.x;
    if (i < n) y[i] = 2.0f * x[i];
}
""")["twice"]


def cover_once(x, threads_per_block):
    y = torch.empty_like(x)
    n = x.numel()
    KERNEL[(n + threads_per_block - 1) // threads_per_block, threads_per_block](x, y, n)
    return y
