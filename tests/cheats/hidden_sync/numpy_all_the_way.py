"""Reads everything once and does the work in NumPy."""

import numpy as np
import torch

ITEM = "budget"
REASON = "the work was done outside the operators"


def hidden_sync(features, targets, weights, lr, n_steps):
    flat = torch.cat([features.flatten(), targets, weights]).numpy()
    n, k = features.shape
    a, y, w = flat[: n * k].reshape(n, k), flat[n * k : n * k + n], flat[n * k + n :].copy()
    history = []
    for _ in range(n_steps):
        error = a @ w - y
        history.append(float((error**2).mean()))
        grad = 2 / len(y) * (a.T @ error)
        w = w - lr * grad / max(1.0, float(np.linalg.norm(grad)))
    return torch.from_numpy(w), history
