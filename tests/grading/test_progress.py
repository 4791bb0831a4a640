"""Progress survives restarts, killed processes, foreign lines and folders that cannot be written."""

import json
import os
import subprocess
import sys

import pytest

import teachkit as tk
from teachkit.grading import registry
from teachkit.grading.fusion_graphs import best_plan
from teachkit.grading.progress import progress_file


def perfect(graph):
    return best_plan(graph)[2]


def poor(graph):
    return [{name} for name in graph.names]


def untouched(graph):
    raise NotImplementedError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHKIT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def standing(slug="plan_fusion"):
    return next(s for s in tk.progress().standings if s.slug == slug)


def test_all_exercises_are_listed_and_open_at_first(folder):
    seen = tk.progress()
    assert {s.slug for s in seen.standings} == set(registry.slugs())
    assert seen.n_solved == 0
    assert "plan_fusion" in repr(seen)
    assert f"<b>0 of {len(registry.slugs())}</b>" in seen._repr_html_()


def test_attempts_add_up_and_the_best_counts(folder):
    tk.check("plan_fusion", untouched)
    assert standing().n_attempts == 0
    tk.check("plan_fusion", poor, seed=1)
    assert (standing().points, standing().n_attempts, standing().is_solved) == (1, 1, False)
    tk.check("plan_fusion", perfect, seed=1)
    tk.check("plan_fusion", poor, seed=1)
    assert (standing().points, standing().n_attempts, standing().is_solved) == (4, 3, True)
    assert "solved plan_fusion" in repr(tk.progress())


def test_another_process_sees_it(folder):
    tk.check("plan_fusion", perfect, seed=1)
    said = subprocess.run([sys.executable, "-c", "import teachkit; print(teachkit.progress())"], capture_output=True)
    assert b"1 of" in said.stdout


def test_a_torn_line_costs_that_attempt_only(folder):
    tk.check("plan_fusion", perfect, seed=1)
    with progress_file().open("a") as file:
        file.write('{"slug": "plan_fus')
    tk.check("plan_fusion", poor, seed=1)
    assert standing().n_attempts == 2
    assert standing().is_solved


@pytest.mark.parametrize("line", ["[]", "null", '{"slug": "plan_fusion", "points": 9, "max_points": 4, "time": "x"}'])
def test_foreign_lines_are_ignored(folder, line):
    folder.mkdir()
    progress_file().write_text(line + "\n")
    assert standing().n_attempts == 0


def test_points_of_an_older_edition_count_in_proportion(folder):
    folder.mkdir()
    progress_file().write_text(json.dumps({"slug": "plan_fusion", "points": 1, "max_points": 2, "time": "2026"}) + "\n")
    assert standing().points == 2


def test_a_folder_that_cannot_be_made_costs_the_record_not_the_check(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TEACHKIT_DATA_DIR", os.fspath(tmp_path / "file" / "below"))
    assert tk.check("plan_fusion", perfect, seed=1).passed
    assert "could not be kept" in repr(tk.progress())
