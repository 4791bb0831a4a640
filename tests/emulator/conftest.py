"""Sample kernels for every emulator test: ``samples`` compiles them, ``ptx_sample`` runs a test on each."""

import importlib.util
import pathlib

import pytest

_PATH = pathlib.Path(__file__).parent / "kernels" / "compiled.py"


def _load():
    spec = importlib.util.spec_from_file_location("teachkit_sample_compiled", _PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_compiled = _load()


@pytest.fixture(scope="session")
def samples():
    """The functions of kernels/compiled.py: triton_ptx, cuda_ptx, numba_ptx."""
    return _compiled


def pytest_generate_tests(metafunc):
    if "triton_sample" in metafunc.fixturenames:
        metafunc.parametrize("triton_sample", _compiled.TRITON, ids=str)
