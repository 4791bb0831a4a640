"""Hopes that NaN compares as nothing at all."""

import torch

ITEM = "correct"
REASON = "got nan"


def fused_gelu(x):
    return torch.full_like(x, float("nan"))
