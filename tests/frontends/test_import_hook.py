"""An action after an import, whether the import has been or is still to come."""

from __future__ import annotations

import sys

import pytest

from teachkit.frontends.import_hook import after_import


@pytest.fixture
def module_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "watched_module.py"
    path.write_text("value = 1\n")
    yield path
    sys.modules.pop("watched_module", None)


@pytest.mark.usefixtures("module_file")
def test_action_runs_once_after_the_module():
    seen = []
    after_import("watched_module", lambda: seen.append(sys.modules["watched_module"].value))
    assert seen == []
    import watched_module

    assert seen == [1]
    assert watched_module.__spec__.loader is watched_module.__loader__
    assert watched_module.__loader__.get_source("watched_module") == "value = 1\n"
    after_import("watched_module", lambda: seen.append("at once"))
    assert seen == [1, "at once"]


def test_a_module_that_fails_is_as_without_the_hook(module_file):
    module_file.write_text("raise ValueError('broken')\n")
    seen = []
    after_import("watched_module", lambda: seen.append(1))
    with pytest.raises(ValueError, match="broken"):
        import watched_module  # noqa: F401
    assert seen == []


def test_two_actions_for_one_module(module_file):
    seen = []
    after_import("watched_module", lambda: seen.append(1))
    after_import("watched_module", lambda: seen.append(2))
    import watched_module  # noqa: F401

    assert sorted(seen) == [1, 2]
