"""Three operators for each tensor."""

ITEM = "budget"
REASON = "launches: 60, budget 3"


def fewer_launches(params, grads, momenta, lr, beta):
    for p, g, m in zip(params, grads, momenta, strict=True):
        m.mul_(beta).add_(g)
        p.add_(m, alpha=-lr)
