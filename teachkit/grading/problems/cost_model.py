"""``cost_model(operator, shapes, item_bytes)``: FLOPs and bytes of an operator from the shapes of its inputs."""

from __future__ import annotations

import math
import random
from typing import Any

from teachkit.grading.data_problem import DataProblem
from teachkit.grading.problem import Case, Failure, RubricItem

RUBRIC = (
    RubricItem(
        "correct",
        2,
        "FLOPs and bytes of six operators on usual shapes",
        (
            "take the operator named above and write down its input tensors, its output tensors, and how many elements "
            "each has.",
            "bytes: every element of every input and of the output, once, times item_bytes. FLOPs: the table says for "
            "elements of what they count.",
            "matmul of [M, K] and [K, N]: 2 * M * N * K FLOPs, (M * K + K * N + M * N) * item_bytes bytes. sum of "
            "[M, N]: M * N FLOPs, (M * N + M) * item_bytes bytes.",
        ),
    ),
    RubricItem(
        "edge cases",
        2,
        "an input that is broadcast, rows of one element, products with a vector, batches, two bytes an element",
        (
            "look at the shapes above: has the smaller input as many elements as the result?",
            "what is repeated for the calculation is read once: a bias [N] added to [M, N] has N elements. A batch "
            "[B, M, K] @ [B, K, N] is B products.",
            "use math.prod(shape) for elements; the result of add has the elements of torch.broadcast_shapes(*shapes); "
            "a product's batch is math.prod(shape[:-2]).",
        ),
    ),
)
OPERATORS = ("add", "gelu", "sum", "softmax", "layer_norm", "matmul")


def make_cases(seed: int) -> list[Case]:
    """Each operator on fresh shapes, then the shapes that trip models up."""
    source = random.Random(seed)
    n = source.randrange
    cases = []
    for _ in range(2):
        m, k = n(2, 90), n(2, 90)
        pairs: dict[str, list[tuple[int, ...]]] = {"add": [(m, k), (m, k)], "matmul": [(m, k), (k, n(2, 90))]}
        cases += [_case("correct", "", name, pairs.get(name, [(m, k)]), 4) for name in OPERATORS]
    b, m, k = n(2, 9), n(2, 60), n(2, 60)
    traps: list[tuple[str, str, list[tuple[int, ...]], int]] = [
        ("a bias for each column", "add", [(m, k), (k,)], 4),
        ("a column and a row", "add", [(m, 1), (1, k)], 4),
        ("one number for all", "add", [(b, m, k), (1,)], 4),
        ("two bytes an element", "add", [(m, k), (m, k)], 2),
        ("a matrix and a vector", "matmul", [(m, k), (k, 1)], 4),
        ("a row and a column", "matmul", [(1, k), (k, 1)], 4),
        ("a batch of products", "matmul", [(b, m, k), (b, k, m)], 4),
        ("a batch, two bytes", "matmul", [(b, m, k), (b, k, m)], 2),
        ("rows of one element", "sum", [(m, 1)], 4),
        ("three dimensions", "sum", [(b, m, k)], 4),
        ("three dimensions", "softmax", [(b, m, k)], 4),
        ("one dimension", "gelu", [(m,)], 2),
    ]
    return cases + [_case("edge cases", *trap) for trap in traps]


def _case(item: str, label: str, operator: str, shapes: list[tuple[int, ...]], item_bytes: int) -> Case:
    return Case(item, label, (operator, shapes, item_bytes))


def counted(operator: str, shapes: list[tuple[int, ...]], item_bytes: int) -> tuple[int, int]:
    """FLOPs and bytes as a profile counts them when the operator runs."""
    import torch

    from teachkit.measure import profile

    dtype = torch.float32 if item_bytes == 4 else torch.bfloat16
    tensors = [torch.ones(shape, dtype=dtype) for shape in shapes]
    run: dict[str, Any] = {
        "add": torch.add,
        "gelu": torch.nn.functional.gelu,
        "sum": lambda x: x.sum(-1),
        "softmax": lambda x: x.softmax(-1),
        "layer_norm": lambda x: torch.nn.functional.layer_norm(x, x.shape[-1:]),
        "matmul": torch.matmul,
    }
    with profile() as prof:
        run[operator](*tensors)
    return prof.flop, prof.dram_bytes


def why_wrong(case: Case, answer: Any) -> list[Failure]:
    """Both numbers must be those that were counted."""
    if not isinstance(answer, list) or len(answer) != 2 or any(type(n) is not int for n in answer):
        return [Failure(case.item, f"expected a tuple of two whole numbers (flop, n_bytes), got {answer!r}")]
    names = ("FLOPs", "bytes")
    truth = counted(*case.args)
    wrong = [
        f"{name}: expected {n:,}, got {got:,}" for name, n, got in zip(names, truth, answer, strict=True) if n != got
    ]
    return [Failure(case.item, "\n".join(wrong))] if wrong else []


def show(case: Case) -> str:
    """The call."""
    operator, shapes, item_bytes = case.args
    n_elements = ", ".join(f"{math.prod(shape):,}" for shape in shapes)
    label = f" ({case.label})" if case.label else ""
    return f'cost_model("{operator}", {shapes}, {item_bytes}){label}: inputs of {n_elements} elements'


PROBLEM = DataProblem("cost_model", "30_roofline", RUBRIC, make_cases, why_wrong, show)
