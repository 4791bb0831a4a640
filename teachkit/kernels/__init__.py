"""Reference kernels as ladders, from the naive way to the best: what the lessons start from and compare with."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from teachkit.errors import UnknownLadderError

if TYPE_CHECKING:
    from teachkit.kernels.rungs import Ladder

LADDERS = ("copy", "transpose", "rgb_to_yuv", "reduction", "matmul", "gelu")
"""Names of the ladders; each is a module of this folder with a ``LADDER``."""

__all__ = ["LADDERS", "ladder"]


def ladder(name: str) -> Ladder:
    """Return a ladder of reference kernels.

    Parameters
    ----------
    name
        One of ``LADDERS``.

    Raises
    ------
    UnknownLadderError
        If there is none of that name; the message lists what exists.

    Examples
    --------
    >>> [rung.name for rung in ladder("copy")]
    ['chunks', 'coalesced', 'vectorised', 'in flight']
    """
    if name not in LADDERS:
        raise UnknownLadderError(name, LADDERS)
    found: Ladder = import_module(f"{__name__}.{name}").LADDER
    return found
