"""How FLOPs, traffic and capacity grow with the width of a model: counted, from shapes alone.

Modelled: nothing; the operators that PyTorch runs are counted at several widths.
Not modelled: caches.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch

from teachkit.errors import ModelInputError
from teachkit.measure.by_shape import CountByShape
from teachkit.model.bert_layer import EncoderLayer, EncoderSizes
from teachkit.model.operator_classes import count_training_step

HEAD_WIDTH = 64


@dataclasses.dataclass(frozen=True)
class WidthPoint:
    """What was counted at one width.

    Attributes
    ----------
    width
        Numbers a token, or rows of a square matrix.
    n_flop, n_bytes
        Counted.
    capacity_bytes
        Bytes of the weights, or of the matrices.
    """

    width: int
    n_flop: int
    n_bytes: int
    capacity_bytes: int

    @property
    def flop_per_byte(self) -> float:
        """Arithmetic intensity."""
        return self.n_flop / self.n_bytes


def square_product(width: int, dtype: torch.dtype = torch.float16) -> WidthPoint:
    """Count the product of two ``[width, width]`` matrices.

    Examples
    --------
    >>> square_product(1024).n_flop == 2 * 1024**3
    True
    """
    if not isinstance(width, int) or width < 1:
        raise ModelInputError(f"Expected a whole number of 1 or more for the width, got {width!r}.")
    a, b = (torch.empty(width, width, device="meta", dtype=dtype) for _ in range(2))
    with CountByShape() as counted:
        a @ b
    total = counted.total
    return WidthPoint(width, total.flop, total.dram_bytes, 3 * width * width * dtype.itemsize)


def layer_step(width: int, tokens: int = 4096, sequence: int = 512) -> WidthPoint:
    """Count a training step of an encoder layer of a given width, with heads of 64 and an inner width of 4 times.

    Parameters
    ----------
    width
        A multiple of 64.
    tokens, sequence
        Tokens in all, and in each sequence.

    Raises
    ------
    ModelInputError
        If the width is no multiple of 64, or the sequence does not divide the tokens.
    """
    if width % HEAD_WIDTH:
        raise ModelInputError(f"Expected a width that {HEAD_WIDTH} divides, got {width}.")
    if tokens % sequence:
        raise ModelInputError(f"Expected tokens that the sequence divides, got {tokens} and {sequence}.")
    sizes = EncoderSizes(tokens // sequence, sequence, width, width // HEAD_WIDTH, 4 * width)
    total = count_training_step(sizes).total
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in EncoderLayer(sizes).parameters())
    return WidthPoint(width, total.flop, total.dram_bytes, 2 * weights)


def sweep(measure: Callable[[int], WidthPoint], widths: Sequence[int]) -> list[WidthPoint]:
    """Return what is counted at each width, narrowest first.

    Raises
    ------
    ModelInputError
        If there are fewer than two different widths.
    """
    if len(set(widths)) < 2:
        raise ModelInputError(f"Expected two or more different widths, got {list(widths)}.")
    return [measure(width) for width in sorted(set(widths))]


def growth_exponent(points: Sequence[WidthPoint], quantity: str) -> float:
    """Return the power of the width with which a quantity grows, between the two widest points.

    Parameters
    ----------
    points
        Of :func:`sweep`.
    quantity
        ``"n_flop"``, ``"n_bytes"``, ``"capacity_bytes"`` or ``"flop_per_byte"``.

    Examples
    --------
    >>> points = sweep(square_product, [1024, 2048])
    >>> growth_exponent(points, "n_flop"), growth_exponent(points, "n_bytes")
    (3.0, 2.0)
    """
    narrow, wide = points[-2], points[-1]
    return math.log(getattr(wide, quantity) / getattr(narrow, quantity), wide.width / narrow.width)
