"""Zeroes the input, so that the expected value of a careless checker is zero."""

import torch

ITEM = "correct"
REASON = "the call changed its input x"


def fused_gelu(x):
    x.zero_()
    return torch.zeros_like(x)
