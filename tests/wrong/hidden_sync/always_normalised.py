"""Divides by the norm whether it is above 1 or not."""

import torch

ITEM = "edge cases"
REASON = "got nan"


def hidden_sync(features, targets, weights, lr, n_steps):
    history = []
    for _ in range(n_steps):
        error = features @ weights - targets
        history.append((error**2).mean())
        grad = 2 / len(targets) * (features.t() @ error)
        norm = grad.norm()
        weights = weights - lr * (grad / norm) * norm.clamp(max=1)
    return weights, torch.stack(history).tolist()
