"""No branch at all: both sides for each element, and one is thrown away."""

import torch

import teachkit as tk

ITEM = "budget"
REASON = "both sides were computed for each element"


NEWTON = tk.compile_cuda_c("""
__global__ void newton(const float *x, float *y, int n, int n_rounds) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float root = 1.0f, reciprocal = 0.5f;
    for (int k = 0; k < n_rounds; k++) {
        root = 0.5f * (root + x[i] / root);
        reciprocal = reciprocal * (2.0f - x[i] * reciprocal);
    }
    y[i] = i % 2 == 0 ? root : reciprocal;
}
""")["newton"]


def diverge_less(x, n_rounds):
    y = torch.empty_like(x)
    NEWTON[(x.numel() + 255) // 256, 256](x, y, x.numel(), n_rounds)
    return y
