"""The losses are read at the end, but an `if` asks for the norm."""

import torch

ITEM = "budget"
REASON = "budget 1"


def hidden_sync(features, targets, weights, lr, n_steps):
    history = []
    for _ in range(n_steps):
        error = features @ weights - targets
        history.append((error**2).mean())
        grad = 2 / len(targets) * (features.t() @ error)
        if grad.norm() > 1:
            grad = grad / grad.norm()
        weights = weights - lr * grad
    return weights, torch.stack(history).tolist()
