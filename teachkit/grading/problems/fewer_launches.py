"""``fewer_launches(params, grads, momenta, lr, beta)``: one step of SGD with momentum on many tensors, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.grading import inputs
from teachkit.grading.eager_problem import EagerProblem, Seen
from teachkit.grading.problem import Case, Failure, RubricItem

if TYPE_CHECKING:
    import torch

MOST_LAUNCHES = 3
ELEMENTS_MOVED, LEAST_ELEMENTS = 8, 5
RUBRIC = (
    RubricItem(
        "correct",
        1,
        "m = beta m + g, then p = p - lr m, in place, with the gradients as they were",
        (
            "work one element out on paper: p = 1, g = 2, m = 3, beta = 0.5, lr = 0.1 gives m = 3.5 and p = 0.65.",
            "the caller keeps its tensors: write into them (mul_, add_), and do not write into grads.",
            "for each: m.mul_(beta).add_(g), then p.add_(m, alpha=-lr), which is what the loop does.",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "one tensor, many tensors, shapes that differ, a momentum of zeros",
        (
            "look at the shapes named above: does your version need them to be equal, or to be of one dimension?",
            "lists of tensors can be handed to one operator as they are, whatever the shapes in them.",
            "torch._foreach_mul_(tensors, number) multiplies each tensor of a list, whatever its shape.",
        ),
    ),
    RubricItem(
        "budget",
        2,
        f"at most {MOST_LAUNCHES} launches however many tensors there are, and no more bytes than the loop",
        (
            "the loop launches three operators for each tensor. The three steps are the same for all tensors.",
            "PyTorch has operators that take lists of tensors; their names begin with torch._foreach_. Joining the "
            "tensors with torch.cat would copy them, which costs bytes.",
            "three calls: torch._foreach_mul_(momenta, beta), torch._foreach_add_(momenta, grads), and "
            "torch._foreach_add_(params, momenta, alpha=...).",
        ),
    ),
)
NAMES = ("params", "grads", "momenta")


def make_cases(seed: int) -> list[Case]:
    """Fresh tensors and rates; then one tensor, 57 of them, and momenta of zeros."""
    source = inputs.generator(seed)
    cases = [_case("correct", "20 tensors", 20, source) for _ in range(2)]
    edges = [_case("edge cases", "one tensor", 1, source), _case("edge cases", "57 tensors", 57, source)]
    first = _case("edge cases", "momenta of zeros", 7, source)
    params, grads, momenta, lr, beta = first.args
    zeros = [m * 0 for m in momenta]
    return [*cases, *edges, Case("edge cases", first.label, (params, grads, zeros, lr, beta))]


def _case(item: str, label: str, n_tensors: int, source: torch.Generator) -> Case:
    shapes = []
    for index in range(n_tensors):
        rows, columns = inputs.fresh_size(source, 2, 40), inputs.fresh_size(source, 2, 40)
        shapes.append((rows, columns) if index % 2 else (rows,))
    params, grads, momenta = ([inputs.normal(shape, source) for shape in shapes] for _ in NAMES)
    lr, beta = (inputs.fresh_size(source, 1, 99) / 100 for _ in range(2))
    return Case(item, label, (params, grads, momenta, lr, beta))


def why_wrong(case: Case, seen: Seen) -> list[Failure]:
    """Values against float64; then launches and bytes."""
    params, grads, momenta, lr, beta = case.args
    wide_m = [beta * m.double() + g.double() for m, g in zip(momenta, grads, strict=True)]
    wide_p = [p.double() - lr * m for p, m in zip(params, wide_m, strict=True)]
    for name, got, wanted in zip(NAMES, seen.arguments, (wide_p, grads, wide_m), strict=False):
        if why := _why_off(name, got, wanted):
            return [Failure(case.item, why)]
    if seen.replaced:
        named = ", ".join(NAMES[index] for index in seen.replaced)
        return [Failure(case.item, f"{named}: the list holds other tensors now; write into those that were passed")]
    n_elements = sum(p.numel() for p in params)
    problems = []
    if len(seen.launches) > MOST_LAUNCHES:
        problems.append(f"launches: {len(seen.launches)}, budget {MOST_LAUNCHES}")
    if seen.dram_bytes > 4 * ELEMENTS_MOVED * n_elements:
        problems.append(f"bytes moved: {_per(seen.dram_bytes, n_elements)}, budget {4 * ELEMENTS_MOVED}.0 an element")
    if seen.dram_bytes < 4 * LEAST_ELEMENTS * n_elements:
        problems.append(
            f"bytes moved: {_per(seen.dram_bytes, n_elements)}, but reading p, g and m and writing p and m takes "
            f"{4 * LEAST_ELEMENTS}: part of the work was done outside any operator"
        )
    return [Failure("budget", "\n".join(problems))] if problems else []


def _why_off(name: str, got: Any, wanted: list[torch.Tensor]) -> str | None:
    if not isinstance(got, list) or len(got) != len(wanted):
        return f"the list {name} was changed itself; write into its tensors"
    for index, (tensor, exact) in enumerate(zip(got, wanted, strict=True)):
        if tuple(tensor.shape) != tuple(exact.shape):
            return f"{name}[{index}]: expected shape {list(exact.shape)}, got {list(tensor.shape)}"
        error = (tensor.double() - exact.double()).abs()
        # Three roundings of float32, relative to the numbers that are added: sizes of up to about 5.
        wrong = ~(error <= 1e-5 * (1 + exact.double().abs()))
        if bool(wrong.any()):
            where = tuple(int(i) for i in wrong.nonzero()[0])
            return f"{name}[{index}] at {where}: expected {exact[where].item():.6g}, got {tensor[where].item():.6g}"
    return None


def _per(n_bytes: int, n_elements: int) -> str:
    return f"{n_bytes / n_elements:.1f} an element"


def show(case: Case) -> str:
    """Shapes and rates."""
    params, _, _, lr, beta = case.args
    shapes = ", ".join(str(list(p.shape)) for p in params[:4]) + (", ..." if len(params) > 4 else "")
    return f"input: {case.label} of shapes {shapes}; lr = {lr:g}, beta = {beta:g}"


PROBLEM = EagerProblem("fewer_launches", "20_eager_execution", RUBRIC, make_cases, why_wrong, show)
