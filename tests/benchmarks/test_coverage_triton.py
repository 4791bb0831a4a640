"""The suite of Triton's own tests, on a folder that looks like a checkout of Triton and holds five tests."""

import pytest

from benchmarks.coverage import runner
from benchmarks.coverage.suites import triton_language

CONFTEST = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--device", default="cuda")

@pytest.fixture
def device(request):
    return request.config.getoption("--device")
"""
TESTS = """
import pytest, torch, triton
import triton.language as tl

@triton.jit
def double(x_ptr):
    tl.store(x_ptr, 2 * tl.load(x_ptr))

@pytest.mark.parametrize("value", [1.0, 2.0, 3.0, 4.0])
def test_cases(value, device):
    x = torch.full((1,), value, device=device)
    double[(1,)](x)
    assert x.item() == 2 * value
    assert torch.cuda.get_device_capability()[0] == 8

def test_wrong(device):
    x = torch.ones(1).to(device)
    double[(1,)](x)
    assert x.item() == 3

def test_skips(device):
    pytest.skip("needs what nobody has")
"""


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "python"
    (folder / "test/unit/language").mkdir(parents=True)
    (folder / "triton").mkdir()
    (folder / "triton/__init__.py").write_text("__version__ = '1.2.3'\n")
    (folder / "test/conftest.py").write_text(CONFTEST)
    (folder / "test/unit/language/test_tuple.py").write_text(TESTS)
    return tmp_path


def test_rows_of_a_checkout(checkout, tmp_path):
    environment = {triton_language.SOURCE: str(checkout)}
    names = runner.list_names("triton_language", environment, tmp_path / "log")
    assert len(names) == triton_language.CASES + 2
    rows = list(runner.run_tests("triton_language", names, limit_s=200, environment=environment, log=tmp_path / "log"))
    assert [row.outcome for row in rows] == ["passed"] * triton_language.CASES + ["failed", "skipped"]
    assert rows[-2].cause.startswith("assert 2.0 == 3")
    assert rows[-1].cause == "needs what nobody has"


def test_without_a_checkout_the_suite_says_so(checkout, monkeypatch):
    monkeypatch.delenv(triton_language.SOURCE, raising=False)
    assert "does not name a checkout" in triton_language.absent()
    monkeypatch.setenv(triton_language.SOURCE, "/nowhere")
    assert "without python/test/conftest.py" in triton_language.absent()
    monkeypatch.setenv(triton_language.SOURCE, str(checkout))
    assert not triton_language.absent()
    assert triton_language.versions() == {"Triton's tests": "1.2.3"}
