"""What suites of Numba-CUDA programs share: a list of programs, each of which says what it got and what is right."""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

from benchmarks.coverage.frame import Failure

Pairs = list[tuple[Any, Any]]
"""What was computed, and what is expected."""


class Programs:
    """Programs by name, each with the difference that it may show."""

    def __init__(self) -> None:
        self._all: dict[str, tuple[Callable[[], Pairs], float]] = {}

    def names(self) -> list[str]:
        """What a suite calls ``names``."""
        return list(self._all)

    def run(self, name: str) -> None:
        """Run one, and compare; one that launches no kernel fails.

        Raises
        ------
        Failure
            If a result is wrong or no kernel was launched.
        """
        program, tolerance = self._all[name]
        with launched_kernels() as kernels:
            pairs = program()
        if not kernels:
            raise Failure("no kernel was launched")
        for number, (got, expected) in enumerate(pairs):
            compare(f"result {number}", got, expected, tolerance)

    def add(self, name: str, tolerance: float) -> Callable[[Callable[[], Pairs]], Callable[[], Pairs]]:
        """Decorate the program of that name."""

        def register(program: Callable[[], Pairs]) -> Callable[[], Pairs]:
            assert name not in self._all, name
            self._all[name] = program, tolerance
            return program

        return register


@contextlib.contextmanager
def launched_kernels() -> Iterator[list[str]]:
    """Collect the names of the kernels that the emulator runs inside."""
    from teachkit.emulator import launches

    found: list[str] = []

    def note(kernel: Any, *launch: Any) -> None:
        found.append(kernel.name)

    launches.tracers.append(note)
    try:
        yield found
    finally:
        launches.tracers.remove(note)


def compare(what: str, got: Any, expected: Any, tolerance: float) -> None:
    """Compare arrays by their largest difference, relative to the largest magnitude.

    What is not finite has to be so in both, and the same.
    """
    import numpy as np

    got, expected = (np.asarray(array).astype(complex) for array in (got, expected))
    if got.shape != expected.shape:
        raise Failure(f"{what}: shape {got.shape}, expected {expected.shape}")
    finite = np.isfinite(expected)
    if not np.array_equal(got[~finite], expected[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        raise Failure(f"{what}: NaN or infinity in other places")
    scale = np.abs(expected[finite]).max(initial=1e-30)
    error = np.abs(got - expected)[finite].max(initial=0.0) / scale
    if not error <= tolerance:
        raise Failure(f"{what}: off by {error:.1e} of the largest value, {tolerance:.0e} allowed")


def without_init(distribution: str, *packages: str) -> None:
    """Let modules of these packages be imported without what the packages' ``__init__`` imports."""
    for package in packages:
        module = types.ModuleType(package)
        module.__path__ = [str(metadata.distribution(distribution).locate_file(package.replace(".", os.sep)))]
        sys.modules.setdefault(package, module)


def numbers() -> Any:
    """A generator of random numbers, the same every time."""
    import numpy as np

    return np.random.default_rng(0)
