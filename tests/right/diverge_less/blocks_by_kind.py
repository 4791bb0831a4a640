"""Whole blocks take one kind each, alternately."""

import torch

import teachkit as tk

NEWTON = tk.compile_cuda_c("""
__global__ void newton(const float *x, float *y, int n, int n_rounds) {
    int half = blockIdx.x / 2 * blockDim.x + threadIdx.x;
    int i = 2 * half + blockIdx.x % 2;
    if (i >= n) return;
    float v;
    if (blockIdx.x % 2 == 0) {
        v = 1.0f;
        for (int k = 0; k < n_rounds; k++) v = 0.5f * (v + x[i] / v);
    } else {
        v = 0.5f;
        for (int k = 0; k < n_rounds; k++) v = v * (2.0f - x[i] * v);
    }
    y[i] = v;
}
""")["newton"]


def diverge_less(x, n_rounds):
    y = torch.empty_like(x)
    NEWTON[2 * ((x.numel() + 511) // 512), 256](x, y, x.numel(), n_rounds)
    return y
