"""PyTorch adds."""

import torch

ITEM = "budget"
REASON = "PyTorch operators launched: 1 (add), budget 0"


def vector_add(x, y, block_size):
    return torch.add(x, y)
