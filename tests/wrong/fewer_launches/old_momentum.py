"""Steps with the momentum of the last time."""

import torch

ITEM = "correct"
REASON = "params[0] at"


def fewer_launches(params, grads, momenta, lr, beta):
    torch._foreach_add_(params, momenta, alpha=-lr)
    torch._foreach_mul_(momenta, beta)
    torch._foreach_add_(momenta, grads)
