"""Adds up all gradients and never forgets one."""

import torch

ITEM = "correct"
REASON = "params[0] at"


def fewer_launches(params, grads, momenta, lr, beta):
    torch._foreach_add_(momenta, grads)
    torch._foreach_add_(params, momenta, alpha=-lr)
