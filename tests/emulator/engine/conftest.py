"""``both``: the functions that run one launch on the engine and on the oracle."""

import importlib.util
import pathlib
import sys

import pytest

_HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def both():
    """The functions of both.py: run_both, kernel, array, check."""
    name = "teachkit_test_both"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _HERE / "both.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
