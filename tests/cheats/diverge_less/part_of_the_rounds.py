"""Stops after four rounds, when little changes any more."""

import torch

import teachkit as tk

ITEM = "correct"
REASON = "elements are wrong"


NEWTON = tk.compile_cuda_c("""
__global__ void newton(const float *x, float *y, int n, int n_rounds) {
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= n) return;
    int half = (n + 1) / 2;
    int i = t < half ? 2 * t : 2 * (t - half) + 1;
    n_rounds = min(n_rounds, 2);
    float v;
    if (t < half) {
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
    NEWTON[(x.numel() + 255) // 256, 256](x, y, x.numel(), n_rounds)
    return y
