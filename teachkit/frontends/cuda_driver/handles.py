"""Handles: small numbers that stand for Python objects on the other side of the C interface."""

from __future__ import annotations

import itertools
import threading
from typing import Any, TypeVar

from teachkit.frontends.cuda_driver.entry import Refused, Status

_T = TypeVar("_T")
_FIRST, _STEP = 0x1000, 0x10  # neither null nor one of the driver's own constants, such as stream 1 and 2

_objects: dict[int, Any] = {}
_numbers = itertools.count(_FIRST, _STEP)
_lock = threading.Lock()


def new(thing: Any) -> int:
    """A handle for an object, which is kept alive by it."""
    with _lock:
        number = next(_numbers)
        _objects[number] = thing
    return number


def find(number: int | None, kind: type[_T]) -> _T:
    """The object behind a handle.

    Raises
    ------
    Refused
        For a handle that was dropped, or that stands for something else.
    """
    thing = _objects.get(number or 0)
    if not isinstance(thing, kind):
        raise Refused(Status.INVALID_HANDLE)
    return thing


def drop(number: int | None, kind: type[_T]) -> _T:
    """Forget a handle; returns what it stood for."""
    thing = find(number, kind)
    with _lock:
        _objects.pop(number or 0, None)
    return thing
