"""Loads submissions the way a learner's file is loaded: Triton reads a kernel's source from its file."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from teachkit.grading import checker

_numbers = itertools.count()


@pytest.fixture
def load() -> Callable[[Path], ModuleType]:
    """Import a file under a name that nothing else has."""

    def load_file(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"submission_{next(_numbers)}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load_file


@pytest.fixture(autouse=True)
def fresh_attempts() -> Iterator[None]:
    """Every test starts with the first hint."""
    checker.forget_attempts()
    yield
    checker.forget_attempts()
