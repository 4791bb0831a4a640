"""PyTorch's own fused step: one launch, fewer bytes."""

import torch


def fewer_launches(params, grads, momenta, lr, beta):
    torch._fused_sgd_(
        params,
        grads,
        momenta,
        weight_decay=0.0,
        momentum=beta,
        lr=lr,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )
