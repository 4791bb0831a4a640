"""Chooses with torch.where, and writes the losses into one tensor."""

import torch


def hidden_sync(features, targets, weights, lr, n_steps):
    history = torch.empty(n_steps, device=features.device)
    for i in range(n_steps):
        error = features @ weights - targets
        history[i] = (error * error).mean()
        grad = 2 / len(targets) * (features.t() @ error)
        norm = torch.linalg.vector_norm(grad)
        weights = weights - lr * torch.where(norm > 1, grad / norm, grad)
    return weights, history.tolist()
