"""Stacks the tensors, which need one shape for that."""

import torch

ITEM = "correct"
REASON = "RuntimeError: stack expects each tensor to be equal size"


def fewer_launches(params, grads, momenta, lr, beta):
    p, g, m = (torch.stack(ts) for ts in (params, grads, momenta))
    m = beta * m + g
    p = p - lr * m
    torch._foreach_copy_(params, list(p))
    torch._foreach_copy_(momenta, list(m))
