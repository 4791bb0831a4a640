"""A test of another project that crashes or hangs costs its own row; the page tells every cause."""

from __future__ import annotations

import threading

import pytest

from benchmarks.coverage import frame, report, runner

SUITE = "tests.benchmarks.planted"
EXPECTED = {
    "passes": ("passed", ""),
    "raises": ("failed", "ValueError: first line"),
    "says_why": ("failed", "short cause"),
    "skips": ("skipped", "needs what nobody has"),
    "hangs": ("failed", "no result within 1 s"),
    "dies": ("failed", "the process died: SIGABRT"),
    "exits": ("failed", "the process ended with status 3"),
    "passes_too": ("passed", ""),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    log = tmp_path_factory.mktemp("coverage") / "log"
    names = runner.list_names(SUITE, {}, log)
    assert names == list(EXPECTED)
    return {row.name: row for row in runner.run_tests(SUITE, names, limit_s=1, environment={}, log=log)}


def test_each_test_has_its_row(rows):
    assert {name: (row.outcome, row.cause) for name, row in rows.items()} == EXPECTED


def test_results_are_stored_and_read_back(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(frame, "RESULTS", tmp_path)
    results = frame.Results("planted", "a title", {"torch": "1"}, rows, listed=10)
    results.save()
    assert frame.load("planted") == results
    assert frame.load("other") is None
    assert frame.summary({"planted": results}) == {"planted": {"passed": 2, "total": 7}}
    page = report.page({"planted": results})
    assert "| planted | 2 | 7 | 28.6 | 1 | torch 1 |" in page
    assert "- short cause (1): says_why" in page
    assert "Not run yet: 2 of the 10 tests" in page
    assert "- needs what nobody has (1): skips" in page


def test_a_suite_without_its_package_says_so():
    page = report.page({"planted": frame.Results("planted", "a title", {}, {}, missing="x is not installed")})
    assert "| planted | - | - | - | - | not run: x is not installed |" in page
    found, missing = frame.versions(["torch", "no-such-package"])
    assert set(found) == {"torch", "teachkit"}
    assert missing == ["no-such-package"]


def test_a_broken_suite_is_told_from_failing_tests(tmp_path):
    with pytest.raises(runner.Broken, match="ModuleNotFoundError"):
        runner.list_names("tests.benchmarks.nowhere", {}, tmp_path / "log")


def test_a_stopped_run_ends_its_processes(tmp_path):
    stop = threading.Event()
    rows = runner.run_tests(SUITE, ["hangs"], limit_s=600, environment={}, log=tmp_path / "log", stop=stop)
    threading.Timer(1, stop.set).start()
    with pytest.raises(runner.Stopped):
        next(rows)


def test_versions_name_the_state_of_the_emulator():
    found, _ = frame.versions(["torch"])
    assert frame.emulator_state() in found["teachkit"]
