"""Never reads: the history holds tensors."""

ITEM = "correct"
REASON = "expected history to be a list of Python floats"


def hidden_sync(features, targets, weights, lr, n_steps):
    history = []
    for _ in range(n_steps):
        error = features @ weights - targets
        history.append((error**2).mean())
        grad = 2 / len(targets) * (features.t() @ error)
        weights = weights - lr * grad / grad.norm().clamp(min=1)
    return weights, history
