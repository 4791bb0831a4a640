"""Drops the clipping together with its `if`."""

import torch

ITEM = "correct"
REASON = "history[1]: expected"


def hidden_sync(features, targets, weights, lr, n_steps):
    history = []
    for _ in range(n_steps):
        error = features @ weights - targets
        history.append((error**2).mean())
        grad = 2 / len(targets) * (features.t() @ error)
        weights = weights - lr * grad
    return weights, torch.stack(history).tolist()
