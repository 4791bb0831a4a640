"""Writes into the caller's weights."""

import torch

ITEM = "correct"
REASON = "the call changed its input weights"


def hidden_sync(features, targets, weights, lr, n_steps):
    history = []
    for _ in range(n_steps):
        error = features @ weights - targets
        history.append((error**2).mean())
        grad = 2 / len(targets) * (features.t() @ error)
        weights -= lr * grad / grad.norm().clamp(min=1)
    return weights, torch.stack(history).tolist()
