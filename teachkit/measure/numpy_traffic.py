"""What a piece of NumPy code does: passes over arrays, and the bytes that reach main memory.

Modelled: one fully associative cache of whole arrays, least recently used goes first, written bytes go back when they
leave it or at the end. An array larger than the cache always comes from and goes to main memory.
Not modelled: NumPy functions that are no ufuncs, and arrays that overlap in part.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_CACHE_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class NumpyTraffic:
    """Passes (ufunc calls) and bytes between the cache and main memory."""

    n_passes: int
    dram_read_bytes: int
    dram_write_bytes: int

    @property
    def dram_bytes(self) -> int:
        """Bytes in both directions."""
        return self.dram_read_bytes + self.dram_write_bytes


def count_numpy(
    function: Callable[[Any], Any], x: NDArray[Any], *, cache_bytes: int = DEFAULT_CACHE_BYTES
) -> NumpyTraffic:
    """Run ``function(x)`` and count its ufunc calls and their traffic.

    Parameters
    ----------
    function : takes one array; what it makes of it with NumPy's ufuncs is followed.
    x : the input.
    cache_bytes : size of the modelled cache, bytes.

    Examples
    --------
    >>> count_numpy(lambda x: 2 * x + 1, np.zeros(1 << 20, dtype=np.float32)).n_passes
    2
    """
    ledger = _Ledger(cache_bytes)
    watched = np.array(x).view(_Watched)
    watched.ledger = ledger
    function(watched)
    ledger.write_back_all()
    return NumpyTraffic(ledger.n_passes, ledger.n_read_bytes, ledger.n_written_bytes)


class _Ledger:
    """The cache: key -> (bytes, whether they were written and not yet stored)."""

    def __init__(self, cache_bytes: int) -> None:
        self._room = cache_bytes
        self._held: OrderedDict[tuple[int, int], tuple[int, bool]] = OrderedDict()
        self._alive: list[Any] = []
        self.n_passes = self.n_read_bytes = self.n_written_bytes = 0

    def record(self, reads: list[NDArray[Any]], writes: list[NDArray[Any]]) -> None:
        self.n_passes += 1
        for array in {_key(array): array for array in reads}.values():
            self._touch(array, written=False)
        for array in writes:
            self._touch(array, written=True)
        # An address must not be given to a new array while it stands for an old one here.
        self._alive += [array for array in writes if array.nbytes <= self._room]

    def write_back_all(self) -> None:
        self.n_written_bytes += sum(n_bytes for n_bytes, dirty in self._held.values() if dirty)
        self._held.clear()

    def _touch(self, array: NDArray[Any], *, written: bool) -> None:
        key, n_bytes = _key(array), array.nbytes
        if n_bytes > self._room:
            self.n_written_bytes += n_bytes if written else 0
            self.n_read_bytes += 0 if written else n_bytes
            return
        was_held, dirty = key in self._held, self._held.pop(key, (0, False))[1]
        if not was_held and not written:
            self.n_read_bytes += n_bytes
        self._held[key] = (n_bytes, dirty or written)
        while sum(size for size, _ in self._held.values()) > self._room:
            _, (size, was_dirty) = self._held.popitem(last=False)
            self.n_written_bytes += size if was_dirty else 0


class _Watched(np.ndarray[Any, Any]):
    """An array that reports every ufunc it takes part in."""

    ledger: _Ledger | None = None

    def __array_finalize__(self, source: Any) -> None:
        self.ledger = getattr(source, "ledger", None)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        plain = [_plain(value) for value in inputs]
        targets = {} if out is None else {"out": tuple(_plain(value) for value in out)}
        result = getattr(ufunc, method)(*plain, **targets, **kwargs)
        ledger = next(value.ledger for value in (*inputs, *(out or ())) if isinstance(value, _Watched))
        results = [value for value in (result if isinstance(result, tuple) else (result,)) if np.ndim(value)]
        if ledger is not None:
            ledger.record([value for value in plain if np.ndim(value)], results)
        if out is not None:
            return out[0]
        return _watch(result, ledger) if np.ndim(result) else result


def _watch(result: NDArray[Any], ledger: _Ledger | None) -> _Watched:
    watched = result.view(_Watched)
    watched.ledger = ledger
    return watched


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, _Watched) else value


def _key(array: NDArray[Any]) -> tuple[int, int]:
    return array.__array_interface__["data"][0], array.nbytes
