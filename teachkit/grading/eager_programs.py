"""Small PyTorch programs whose launches are known, for exercises that count them.

Modelled: a launch is an operator that computes or copies; views, allocations and reads on the host are none.
Not modelled: programs on several threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def _backward(x: torch.Tensor) -> None:
    leaf = x.detach().requires_grad_()
    (leaf * leaf).sum().backward()  # type: ignore[no-untyped-call]


def _foreach(x: torch.Tensor) -> None:
    import torch

    torch._foreach_add_([x.clone(), x.clone(), x.clone()], 1.0)


def _empty_like(x: torch.Tensor) -> None:
    import torch

    torch.empty_like(x)


# Source line (shown when an answer is wrong) -> what runs, and its launches. A test counts each with tk.profile.
PLAIN_STEPS: dict[str, tuple[Callable[[torch.Tensor], Any], int]] = {
    "x + 1": (lambda x: x + 1, 1),
    "0.5 * x * x": (lambda x: 0.5 * x * x, 2),
    "x.tanh().sum(0)": (lambda x: x.tanh().sum(0), 2),
    "x.softmax(-1)": (lambda x: x.softmax(-1), 1),
    "x @ x.t()": (lambda x: x @ x.t(), 1),
    "x.to(torch.float64)": (lambda x: x.double(), 1),
}
TRAP_STEPS: dict[str, tuple[Callable[[torch.Tensor], Any], int]] = {
    "x.t()": (lambda x: x.t(), 0),
    "x[:, ::2]": (lambda x: x[:, ::2], 0),
    "x.expand(3, *x.shape)": (lambda x: x.expand(3, *x.shape), 0),
    "x.detach().reshape(-1)": (lambda x: x.detach().reshape(-1), 0),
    "x.t().reshape(-1)  # copies, then a view of the copy": (lambda x: x.t().reshape(-1), 1),
    "x.unsqueeze(0) @ x.t()  # a view before and after the product": (lambda x: x.unsqueeze(0) @ x.t(), 1),
    "x.contiguous()  # which x is already": (lambda x: x.contiguous(), 0),
    "torch.empty_like(x)": (_empty_like, 0),
    "x.new_empty(x.shape)": (lambda x: x.new_empty(x.shape), 0),
    "x.new_zeros(x.shape)": (lambda x: x.new_zeros(x.shape), 1),
    "x.clone().add_(1)  # in place": (lambda x: x.clone().add_(1), 2),
    "x.sum().item()": (lambda x: x.sum().item(), 1),
    "torch._foreach_add_([x.clone(), x.clone(), x.clone()], 1.0)": (_foreach, 4),
    "(x * x).sum().backward()  # multiply, sum; ones, twice multiply, add": (_backward, 6),
}
STEPS = PLAIN_STEPS | TRAP_STEPS


class Program:
    """Runs some steps on one tensor when it is called, and notes how that happened.

    Attributes
    ----------
    n_runs
        How often it was called.
    counted_by_course
        Whether a profile of this course looked on.
    """

    def __init__(self, steps: tuple[str, ...], x: torch.Tensor) -> None:
        self.steps, self._x = steps, x
        self.n_runs = 0
        self.counted_by_course = False

    @property
    def n_launches(self) -> int:
        """What the right answer is."""
        return sum(STEPS[step][1] for step in self.steps)

    def __call__(self) -> None:
        """Run every step."""
        from teachkit.measure.active_modes import active_modes
        from teachkit.measure.eager import OperatorMode

        self.n_runs += 1
        self.counted_by_course |= any(isinstance(mode, OperatorMode) for mode in active_modes())
        for step in self.steps:
            STEPS[step][0](self._x)

    def __repr__(self) -> str:
        return "a program of " + str(len(self.steps)) + " steps"
