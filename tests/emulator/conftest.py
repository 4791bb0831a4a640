"""For every emulator test: ``samples`` compiles kernels, ``row`` is each instruction with its expected results."""

import functools
import importlib.util
import pathlib

import hypothesis
import pytest

# Machines are shared: how long one example takes says nothing.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")

_HERE = pathlib.Path(__file__).parent
_ROW_FAMILIES = ("integer", "video", "uncommon", "floating", "convert")


@functools.cache
def _load(path):
    spec = importlib.util.spec_from_file_location(f"teachkit_test_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def software_processor():
    """Launches run on a simulated processor where ``TEACHKIT_CPU`` wants AVX-512 and this one has none."""
    with _load(_HERE / "software_processor.py").where_needed():
        yield


@pytest.fixture(scope="session")
def samples():
    """The functions of kernels/compiled.py: triton_ptx, cuda_ptx, numba_ptx."""
    return _load(_HERE / "kernels" / "compiled.py")


@pytest.fixture(scope="session")
def rows():
    """The functions of rows/harness.py: Row, text, check."""
    return _load(_HERE / "rows" / "harness.py")


def pytest_generate_tests(metafunc):
    if "triton_sample" in metafunc.fixturenames:
        metafunc.parametrize("triton_sample", _load(_HERE / "kernels" / "compiled.py").TRITON, ids=str)
    if "row" in metafunc.fixturenames:
        harness = _load(_HERE / "rows" / "harness.py")
        families = [_load(_HERE / "rows" / f"{name}_rows.py") for name in _ROW_FAMILIES]
        metafunc.parametrize("row", [row for family in families for row in family.rows(harness.Row)], ids=str)
