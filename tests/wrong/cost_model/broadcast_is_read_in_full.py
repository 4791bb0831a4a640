"""Counts a broadcast input with as many elements as the result."""

import math

import torch

ITEM = "edge cases"
REASON = "bytes: expected"


def cost_model(operator, shapes, item_bytes):
    first = shapes[0]
    n_first, n_read = math.prod(first), sum(math.prod(shape) for shape in shapes)
    if operator == "add":
        n_written = n_flop = math.prod(torch.broadcast_shapes(*shapes))
        n_read = 2 * n_written
    elif operator == "matmul":
        n_written = n_first // first[-1] * shapes[1][-1]
        n_flop = 2 * n_written * first[-1]
    else:
        n_rows = n_first // first[-1]
        n_written = {"sum": n_rows, "layer_norm": n_first + 2 * n_rows}.get(operator, n_first)
        n_flop = {"softmax": 5, "layer_norm": 8}.get(operator, 1) * n_first
    return n_flop, item_bytes * (n_read + n_written)
