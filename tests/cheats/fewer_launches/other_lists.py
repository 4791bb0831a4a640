"""Empties the lists and fills them with tensors of its own."""

ITEM = "correct"
REASON = "the list holds other tensors now"


def fewer_launches(params, grads, momenta, lr, beta):
    momenta[:] = [beta * m + g for m, g in zip(momenta, grads, strict=True)]
    params[:] = [p - lr * m for p, m in zip(params, momenta, strict=True)]
