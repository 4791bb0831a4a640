"""Reads with tolist, which no dispatcher sees on a CPU."""

ITEM = "budget"
REASON = "budget 1"


def hidden_sync(features, targets, weights, lr, n_steps):
    history = []
    for _ in range(n_steps):
        error = features @ weights - targets
        history.append((error**2).mean().tolist())
        grad = 2 / len(targets) * (features.t() @ error)
        weights = weights - lr * grad / grad.norm().clamp(min=1)
    return weights, history
