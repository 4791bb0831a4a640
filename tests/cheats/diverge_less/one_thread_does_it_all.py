"""One thread does all the work: it agrees with itself."""

import torch

import teachkit as tk

ITEM = "budget"
REASON = "few threads do the work of many"


NEWTON = tk.compile_cuda_c("""
__global__ void newton(const float *x, float *y, int n, int n_rounds) {
    for (int i = 0; i < n; i++) {
        float v = i % 2 == 0 ? 1.0f : 0.5f;
        for (int k = 0; k < n_rounds; k++) v = i % 2 == 0 ? 0.5f * (v + x[i] / v) : v * (2.0f - x[i] * v);
        y[i] = v;
    }
}
""")["newton"]


def diverge_less(x, n_rounds):
    y = torch.empty_like(x)
    NEWTON[1, 1](x, y, x.numel(), n_rounds)
    return y
