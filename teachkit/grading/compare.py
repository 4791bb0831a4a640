"""Is this tensor the right one? Exact about type, dtype and shape; fair about rounding.

An element may be off by at most k times what the library's own kernel is off on the same input, both against float64
and both in units of the element's scale. Not modelled: correlated errors; each element is judged alone.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from teachkit.grading.trial import safe_text

if TYPE_CHECKING:
    import torch

N_MISMATCHES = 3
N_SHOWN = 4


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What a correct result is.

    Parameters
    ----------
    exact : float64 tensor, the result without rounding.
    library : the same in the working dtype, as the library's kernel computes it.
    scale : float64 tensor >= 0, per element the size of the numbers that get rounded on the way.
    k : how many times the library's worst error is allowed.
    why_k : the reason for ``k``.
    """

    exact: torch.Tensor
    library: torch.Tensor
    scale: torch.Tensor
    k: float
    why_k: str


def why_no_tensor(value: Any, like: torch.Tensor) -> str | None:
    """Why ``value`` is not a plain tensor of ``like``'s dtype, shape and device; ``None`` if it is."""
    import torch

    # Identity of the type: a subclass or a stand-in could answer every later question itself.
    if type(value) is not torch.Tensor:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        return f"expected a plain torch.Tensor, got {kind}: {safe_text(value)}"
    if value.layout is not torch.strided:
        return f"expected a dense tensor, got layout {value.layout}"
    got, wanted = _describe(value), _describe(like)
    if got != wanted:
        return f"expected {wanted}, got {got}"
    return None


def mismatches(value: torch.Tensor, expected: Expected) -> str | None:
    """The first elements that are off by more than is allowed, as text; ``None`` if there are none."""
    import torch

    got, exact = value.detach().double().cpu(), expected.exact
    unit = expected.scale.clamp_min(1e-30)
    eps = torch.finfo(expected.library.dtype).eps
    library_error = ((expected.library.double().cpu() - exact).abs() / unit).max().item()
    allowed = expected.k * max(library_error, eps)
    # Written so that NaN, which compares false with everything, counts as wrong.
    wrong = ~((got - exact).abs() / unit <= allowed)
    n_wrong = int(wrong.sum())
    if n_wrong == 0:
        return None
    first = torch.nonzero(wrong)[:N_MISMATCHES]
    lines = [f"{n_wrong} of {wrong.numel()} elements are wrong; the first:"]
    for row in first:
        index = tuple(int(i) for i in row)
        name = index[0] if len(index) == 1 else index
        lines.append(f"  index {name}: expected {exact[index].item():.7g}, got {got[index].item():.7g}")
    lines.append(f"allowed error: {expected.k:g} times the library's, {expected.why_k}")
    return "\n".join(lines)


def show_argument(name: str, value: Any) -> str:
    """An argument in one line: dtype, shape and first elements."""
    import torch

    if not isinstance(value, torch.Tensor):
        return f"{name} = {safe_text(value)}"
    head = ", ".join(f"{element:.4g}" for element in value.flatten()[:N_SHOWN].tolist())
    dots = ", ..." if value.numel() > N_SHOWN else ""
    strides = "" if value.is_contiguous() else f", strides {list(value.stride())}"
    return f"{name}: {_describe(value)}{strides} = {head}{dots}"


def _describe(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} on {value.device.type}"
