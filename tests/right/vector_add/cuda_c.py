"""A thread an element, in CUDA C++."""

import torch

import teachkit as tk

ADD = tk.compile_cuda_c("""
__global__ void add(const float *x, const float *y, float *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
""")["add"]


def vector_add(x, y, block_size):
    out = torch.empty_like(x)
    ADD[-(-x.numel() // block_size), block_size](x, y, out, x.numel())
    return out
