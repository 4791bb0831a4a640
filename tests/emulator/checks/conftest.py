"""``programs``: the kernels of programs.py, loaded when a test asks for them."""

import importlib.util
import pathlib
import sys

import pytest

_HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def programs():
    """The module programs.py."""
    name = "teachkit_test_check_programs"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _HERE / "programs.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def triton_arguments():
    """Grid and arguments for the sample kernels of Triton, by name."""
    path = _HERE.parent / "engine" / "test_triton_kernels.py"
    spec = importlib.util.spec_from_file_location("teachkit_test_triton_arguments", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ARGUMENTS
