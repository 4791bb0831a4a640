"""``hidden_sync(features, targets, weights, lr, n_steps)``: gradient descent that waits once, at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.grading import inputs
from teachkit.grading.eager_problem import EagerProblem, Seen
from teachkit.grading.problem import Case, Failure, RubricItem

if TYPE_CHECKING:
    import torch

MOST_WAITS = 1
RUBRIC = (
    RubricItem(
        "correct",
        1,
        "the same weights and the same history of losses as the slow version",
        (
            "compare your history with that of the slow version for three steps, number by number.",
            "the loss of a step belongs to the weights before the step; the gradient is divided by its norm only where "
            "the norm is above 1.",
            "dividing by torch.clamp(norm, min=1) does what the `if` does: nothing where the norm is at most 1.",
        ),
    ),
    RubricItem(
        "edge cases",
        1,
        "a gradient of zero, a norm that never or always exceeds 1, a single step",
        (
            "what is 0 / 0? Which of the inputs named above leads there?",
            "choose between two results only after making sure that neither is NaN, or divide by a number that "
            "cannot be zero.",
            "grad / grad.norm().clamp(min=1) never divides by less than 1.",
        ),
    ),
    RubricItem(
        "budget",
        2,
        f"at most {MOST_WAITS} wait for a value, however many steps",
        (
            "run the slow version inside tk.profile() and print n_syncs: how many for each step? An `if` on a tensor "
            "has to know its value.",
            "a list may hold tensors. What is needed as numbers only at the end can be read at the end; what decides "
            "a calculation can be calculated too (clamp, where).",
            "history.append(loss) in the loop, and one torch.stack(history).tolist() after it.",
        ),
    ),
)
ARGUMENTS = ("features", "targets", "weights", "lr", "n_steps")


def make_cases(seed: int) -> list[Case]:
    """Fresh regressions of many steps; then every way in which the clipping can go wrong."""
    source = inputs.generator(seed)
    cases = [_case("correct", "many steps", inputs.fresh_size(source, 60, 140), source) for _ in range(2)]
    cases.append(_case("edge cases", "one step", 1, source))
    cases.append(_case("edge cases", "the norm never exceeds 1", 12, source, scale=0.01))
    cases.append(_case("edge cases", "the norm always exceeds 1", 12, source, scale=100.0))
    features, targets, weights, lr, n_steps = _case("edge cases", "", 5, source).args
    return [*cases, Case("edge cases", "a gradient of zero", (features * 0, targets, weights, lr, n_steps))]


def _case(item: str, label: str, n_steps: int, source: torch.Generator, scale: float = 3.0) -> Case:
    n_rows, n_columns = inputs.fresh_size(source, 40, 90), inputs.fresh_size(source, 3, 9)
    features = inputs.normal((n_rows, n_columns), source)
    targets, weights = inputs.normal((n_rows,), source) * scale, inputs.normal((n_columns,), source) * scale
    return Case(item, label, (features, targets, weights, inputs.fresh_size(source, 2, 9) / 100, n_steps))


def descend(
    features: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, lr: float, n_steps: int
) -> tuple[torch.Tensor, list[float]]:
    """The exercise's loop, in whatever precision the tensors have."""
    history = []
    for _ in range(n_steps):
        error = features @ weights - targets
        history.append((error**2).mean().item())
        grad = 2 / len(targets) * (features.t() @ error)
        weights = weights - lr * grad / max(grad.norm().item(), 1.0)
    return weights, history


def why_wrong(case: Case, seen: Seen) -> list[Failure]:
    """Weights and history against float64; then waits, and the operators that the loop needs."""
    features, targets, weights, lr, n_steps = case.args
    for name, before, after in zip(ARGUMENTS, (features, targets, weights), seen.arguments, strict=False):
        if not _close(after, before.double(), 0.0):
            return [Failure(case.item, f"the call changed its input {name}, which must stay as it was")]
    wide_weights, wide_history = descend(features.double(), targets.double(), weights.double(), lr, n_steps)
    if why := _why_off(seen.value, wide_weights, wide_history):
        return [Failure(case.item, why)]
    problems = []
    if seen.n_waits > MOST_WAITS:
        problems.append(f"waits for a value: {seen.n_waits} in {n_steps} steps, budget {MOST_WAITS}")
    n_products = sum(use.name in ("aten.mv", "aten.mm", "aten.addmv", "aten.addmm") for use in seen.launches)
    if n_products < 2 * n_steps:
        problems.append(
            f"matrix products launched: {n_products}, but {n_steps} steps need {2 * n_steps}: the work was done "
            "outside the operators"
        )
    return [Failure("budget", "\n".join(problems))] if problems else []


def _why_off(value: Any, wide_weights: torch.Tensor, wide_history: list[float]) -> str | None:
    import torch

    if not isinstance(value, tuple) or len(value) != 2:
        return f"expected the tuple (weights, history), got {type(value).__name__}"
    weights, history = value
    if type(weights) is not torch.Tensor or weights.shape != wide_weights.shape:
        return f"expected weights to be a tensor of shape {list(wide_weights.shape)}, got {type(weights).__name__}"
    if type(history) is not list or any(type(loss) is not float for loss in history):
        return "expected history to be a list of Python floats"
    if len(history) != len(wide_history):
        return f"expected {len(wide_history)} losses in history, got {len(history)}"
    for index, (loss, wide) in enumerate(zip(history, wide_history, strict=True)):
        # Float32 in another order of operations; a wrong rule is off by percents.
        if not abs(loss - wide) <= 1e-3 * (1e-3 + abs(wide)):
            return f"history[{index}]: expected {wide:.6g}, got {loss:.6g}"
    return None if _close(weights, wide_weights, 1e-3) else "the weights are not those of the slow version"


def _close(tensor: torch.Tensor, exact: torch.Tensor, tolerance: float) -> bool:
    return bool(((tensor.double() - exact).abs() <= tolerance * (1e-2 + exact.abs().max())).all())


def show(case: Case) -> str:
    """Shapes, rate and number of steps."""
    features, _, _, lr, n_steps = case.args
    return f"input: {case.label}; features {list(features.shape)}, lr = {lr:g}, n_steps = {n_steps}"


PROBLEM = EagerProblem("hidden_sync", "20_eager_execution", RUBRIC, make_cases, why_wrong, show)
