"""Uses the gradients as scratch paper."""

import torch

ITEM = "correct"
REASON = "grads[0] at"


def fewer_launches(params, grads, momenta, lr, beta):
    torch._foreach_mul_(momenta, beta)
    torch._foreach_add_(momenta, grads)
    torch._foreach_copy_(grads, momenta)
    torch._foreach_mul_(grads, lr)
    torch._foreach_sub_(params, grads)
