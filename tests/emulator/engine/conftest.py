"""``both``: the functions that run one launch on the engine and on the oracle, and kernels with and without a loop."""

import importlib.util
import pathlib
import sys

import pytest

from teachkit.emulator import configure

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


@pytest.fixture(params=["", "in a loop"])
def straight_and_in_a_loop(request, both):
    """Kernels of ``both.kernel`` run as they are written, and as the body of a loop."""
    both.in_a_loop = bool(request.param)
    yield
    both.in_a_loop = False


@pytest.fixture
def settings():
    """``configure`` for the length of one test."""
    before = configure()
    yield configure
    configure(n_threads=before.n_threads, time_limit_s=before.time_limit_s, gpu=before.gpu)
