"""Makes new lists, which the caller never sees."""

import torch

ITEM = "correct"
REASON = "params[0] at"


def fewer_launches(params, grads, momenta, lr, beta):
    momenta = torch._foreach_add(torch._foreach_mul(momenta, beta), grads)
    params = torch._foreach_add(params, momenta, alpha=-lr)
    return params, momenta
