"""PyTorch's own dropout: it drops as many elements, and others."""

import torch

ITEM = "correct"
REASON = "expected"


def fused_bias_dropout_residual(x, bias, residual, p, seed):
    torch.manual_seed(seed)
    return residual + torch.nn.functional.dropout(x + bias, p)
