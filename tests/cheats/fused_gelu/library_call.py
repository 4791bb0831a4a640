"""PyTorch's own fused operator: one launch and 2N, but not the learner's kernel."""

import torch

ITEM = "budget"
REASON = "PyTorch operators launched: 1 (gelu), budget 0"


def fused_gelu(x):
    return torch.nn.functional.gelu(x, approximate="tanh")
