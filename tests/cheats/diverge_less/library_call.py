"""PyTorch's own roots and reciprocals."""

import torch

ITEM = "budget"
REASON = "PyTorch operators launched"


def diverge_less(x, n_rounds):
    roots, reciprocals = torch.ones_like(x), torch.full_like(x, 0.5)
    for _ in range(n_rounds):
        roots = 0.5 * (roots + x / roots)
        reciprocals = reciprocals * (2 - x * reciprocals)
    even = torch.arange(x.numel(), device=x.device) % 2 == 0
    return torch.where(even, roots, reciprocals)
