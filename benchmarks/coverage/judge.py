"""Compares one operator of a Triton package with its reference, forward and backward.

The reference computes in float64 from the very numbers that the operator was given, already rounded to its type, so
that every difference is the operator's own. A trial in which no Triton kernel was launched fails: nothing of the
emulator would have been tested.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.coverage.frame import Failure

# Relative to the largest magnitude of the compared tensor. float32: sums in another order and approximate exponentials.
# float16 and bfloat16 carry 11 and 8 bits: some roundings of 2^-11 and 2^-8 each, between the steps of an operator.
# tf32 dots, Triton's default for float32, keep 11 bits of their inputs.
TOLERANCE = {"float32": 1e-4, "tf32": 4e-3, "float16": 8e-3, "bfloat16": 4e-2}


@dataclasses.dataclass
class Trial:
    """One call and what it has to equal.

    ``inputs`` are handed to both functions. Tensors of float64 are rounded to the trial's type first (``call`` gets
    that type, ``reference`` float64); tensors of other types, and anything else, go to both as they are. Gradients are
    compared for the inputs that require them. ``reference`` is ``None`` where ``call`` returns pairs
    ``(got, expected)`` itself.
    """

    call: Callable[..., Any]
    reference: Callable[..., Any] | None
    inputs: Sequence[Any]
    dots: bool = False
    tolerance: float | None = None


class Trials:
    """The trials of a suite by the name of their operator, each for the types that its floats come in.

    ``dtypes`` is for operators that are added without any.
    """

    def __init__(self, dtypes: Sequence[str]) -> None:
        self._dtypes = tuple(dtypes)
        self._of: dict[str, tuple[Callable[[], Trial], tuple[str, ...]]] = {}

    def add(
        self, name: str, dtypes: tuple[str, ...] | None = None
    ) -> Callable[[Callable[[], Trial]], Callable[[], Trial]]:
        """Enter the decorated function, which makes a trial of fresh inputs."""

        def register(make: Callable[[], Trial]) -> Callable[[], Trial]:
            self._of[name] = make, self._dtypes if dtypes is None else dtypes
            return make

        return register

    def names(self) -> list[str]:
        """``operator-dtype`` of all, in the order in which they were added."""
        return [f"{name}-{dtype}" for name, (_, dtypes) in self._of.items() for dtype in dtypes]

    def make(self, name: str) -> tuple[Trial, str]:
        """A fresh trial by such a name, the same numbers each time, and its type."""
        import torch

        operator, dtype = name.rsplit("-", 1)
        torch.manual_seed(0)
        return self._of[operator][0](), dtype


def randn(*shape: int, scale: float = 1.0, grad: bool = True) -> Any:
    """Float64 normal numbers as an input; the trial rounds them to its type."""
    import torch

    return (torch.randn(*shape, dtype=torch.float64) * scale).requires_grad_(grad)


def judge(trial: Trial, dtype_name: str) -> None:
    """Run a trial.

    Raises
    ------
    Failure
        If a result or a gradient is wrong, or no kernel was launched.
    """
    import torch

    dtype = getattr(torch, dtype_name)
    tolerance = trial.tolerance or TOLERANCE["tf32" if trial.dots and dtype_name == "float32" else dtype_name]
    with launches() as names:
        if trial.reference is None:
            for number, (got, expected) in enumerate(trial.call(*trial.inputs)):
                compare(f"result {number}", got, expected, tolerance)
        else:
            _compare_with_reference(trial, dtype, tolerance)
    if not names:
        raise Failure("no Triton kernel was launched")


def _compare_with_reference(trial: Trial, dtype: Any, tolerance: float) -> None:
    import torch

    mine = [_own(value, dtype, dtype) for value in trial.inputs]
    theirs = [_own(value, dtype, torch.float64) for value in trial.inputs]
    expected = tensors(trial.reference(*theirs))
    got = tensors(trial.call(*mine))
    if len(got) != len(expected):
        raise Failure(f"{len(got)} results, expected {len(expected)}")
    for number, pair in enumerate(zip(got, expected, strict=True)):
        compare(f"result {number}", *pair, tolerance)
    wanted = [i for i, value in enumerate(theirs) if isinstance(value, torch.Tensor) and value.requires_grad]
    differentiable = [n for n, value in enumerate(expected) if value.requires_grad]
    if not wanted or not differentiable:
        return
    torch.manual_seed(1)
    cotangents = [torch.randn(expected[n].shape).to(got[n].dtype) for n in differentiable]
    torch.autograd.backward([got[n] for n in differentiable], [c.clone() for c in cotangents])
    torch.autograd.backward([expected[n] for n in differentiable], [c.double() for c in cotangents])
    for i in wanted:
        compare(f"gradient of input {i}", mine[i].grad, theirs[i].grad, tolerance)


def _own(value: Any, rounded: Any, kept: Any) -> Any:
    """A copy of an input as type ``kept``, after rounding to ``rounded``; only tensors of float64 are changed."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    copy = value.detach().clone()
    if value.dtype == torch.float64:
        copy = copy.to(rounded).to(kept)
    return copy.requires_grad_(value.requires_grad)


def tensors(value: Any) -> list[Any]:
    """The tensors in a result: itself, or those of a tuple; ``None`` in it is left out."""
    parts = value if isinstance(value, (tuple, list)) else (value,)
    return [part for part in parts if part is not None]


def compare(what: str, got: Any, expected: Any, tolerance: float) -> None:
    """Compare two tensors: integers exactly, others by the largest difference, relative to the largest magnitude."""
    import torch

    if got is None:
        raise Failure(f"{what}: nothing was returned")
    got, expected = got.detach(), expected.detach()
    if got.shape != expected.shape:
        raise Failure(f"{what}: shape {tuple(got.shape)}, expected {tuple(expected.shape)}")
    if not got.dtype.is_floating_point and not got.dtype.is_complex:
        n_wrong = int((got.long() != expected.long()).sum())
        if n_wrong:
            raise Failure(f"{what}: {n_wrong} of {got.numel()} integers differ")
        return
    got, expected = got.double(), expected.double()
    same = (got == expected) | (got.isnan() & expected.isnan())
    error = torch.where(same, 0.0, (got - expected).abs())
    finite = expected[expected.isfinite()]
    scale = max(1e-6, finite.abs().max().item()) if finite.numel() else 1.0
    worst = error.nan_to_num(nan=float("inf")).max().item() / scale if error.numel() else 0.0
    if not worst <= tolerance:
        raise Failure(f"{what}: off by {worst:.1e} of the largest value, {tolerance:.0e} allowed")


@contextlib.contextmanager
def launches() -> Iterator[list[str]]:
    """Collect the names of the Triton kernels that are launched inside."""
    from triton import knobs

    names: list[str] = []

    def enter(metadata: Any) -> None:
        names.append(metadata.get()["name"])

    knobs.runtime.launch_enter_hook.add(enter)
    try:
        yield names
    finally:
        knobs.runtime.launch_enter_hook.remove(enter)
