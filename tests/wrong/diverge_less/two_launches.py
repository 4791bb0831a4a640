"""One launch for each kind of element."""

import torch

import teachkit as tk

ITEM = "budget"
REASON = "kernels launched: 2, budget 1"


KERNELS = tk.compile_cuda_c("""
__global__ void roots(const float *x, float *y, int n, int n_rounds) {
    int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    float v = 1.0f;
    for (int k = 0; k < n_rounds; k++) v = 0.5f * (v + x[i] / v);
    y[i] = v;
}
__global__ void reciprocals(const float *x, float *y, int n, int n_rounds) {
    int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x) + 1;
    if (i >= n) return;
    float v = 0.5f;
    for (int k = 0; k < n_rounds; k++) v = v * (2.0f - x[i] * v);
    y[i] = v;
}
""")


def diverge_less(x, n_rounds):
    y = torch.empty_like(x)
    for name in ("roots", "reciprocals"):
        KERNELS[name][(x.numel() + 511) // 512, 256](x, y, x.numel(), n_rounds)
    return y
