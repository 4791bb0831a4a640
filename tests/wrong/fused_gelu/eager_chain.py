"""The formula in PyTorch: right, but every operator is a launch of its own."""

import math

import torch

ITEM = "budget"
REASON = "PyTorch operators launched: 8 (mul x4, pow, add x2, tanh), budget 0"


def fused_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
