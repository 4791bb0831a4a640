"""Logs the loss of the weights after each step."""

import torch

ITEM = "correct"
REASON = "history[0]: expected"


def hidden_sync(features, targets, weights, lr, n_steps):
    history = []
    for _ in range(n_steps):
        error = features @ weights - targets
        grad = 2 / len(targets) * (features.t() @ error)
        weights = weights - lr * grad / grad.norm().clamp(min=1)
        history.append(((features @ weights - targets) ** 2).mean())
    return weights, torch.stack(history).tolist()
