"""The obvious way: thread i does element i, and neighbours disagree."""

import torch

import teachkit as tk

ITEM = "budget"
REASON = "lanes of one warp disagree in warp after warp"


NEWTON = tk.compile_cuda_c("""
__global__ void newton(const float *x, float *y, int n, int n_rounds) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v;
    if (i % 2 == 0) {
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
