"""A small checkout is built, checked, edited and checked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from teachkit.authoring import build, execute
from teachkit.authoring.convert import read_notebook
from teachkit.authoring.project import Project, find_project
from teachkit.errors import NotebookDriftError, NotebookFailedError, NotebookSourceError

PROSE = """# %% [markdown]
# # 00 Test
#
# **Objective.** O. **Prerequisites.** P. **Time.** 1 minute.
#
# Predict: what?
#
# ## Summary
#
# See [word](glossary/word.md).

"""
LECTURE = (
    PROSE
    + """# %%
answer = 6 * 7
print(answer)
answer
"""
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "notebooks" / "src").mkdir(parents=True)
    (tmp_path / "teachkit").mkdir()
    (tmp_path / "teachkit" / "library.py").write_text("x = 1\n", encoding="utf-8")
    project = Project(tmp_path)
    project.lecture_source("00_test").write_text(LECTURE, encoding="utf-8")
    return project


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the lectures executed, without the cost of a kernel."""
    executed: list[str] = []

    def run(notebook, folder, name, on_cell):
        executed.append(name)
        for index, cell in enumerate(notebook.cells):
            on_cell(index)
            if cell.cell_type == "code":
                cell.execution_count = 1
        return notebook

    monkeypatch.setattr(execute, "run", run)
    return executed


def test_real_run(project: Project) -> None:
    build(root=project.root)
    notebook = read_notebook(project.lecture("00_test"))
    outputs = notebook.cells[1].outputs
    assert [output.output_type for output in outputs] == ["stream", "execute_result"]
    assert outputs[0].text == "42\n"
    assert set(notebook.metadata) == {"kernelspec", "language_info", "teachkit"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.cells[1].metadata == {}
    build(root=project.root, check=True)


def test_executed_again_only_when_something_changed(project: Project, runs: list[str]) -> None:
    build(root=project.root)
    before = project.lecture("00_test").read_bytes()
    build(root=project.root)
    assert len(runs) == 1
    assert project.lecture("00_test").read_bytes() == before
    (project.root / "teachkit" / "library.py").write_text("x = 2\n", encoding="utf-8")
    build(root=project.root, check=True)  # the library may move on; the notebook's source did not
    build(root=project.root)
    assert len(runs) == 2
    project.lecture_source("00_test").write_text(LECTURE + "\n# %%\nprint(1)\n", encoding="utf-8")
    with pytest.raises(NotebookDriftError, match="2 cells, its source has 3"):
        build(root=project.root, check=True)
    build(root=project.root)
    assert len(runs) == 3
    build(root=project.root, force=True)
    assert len(runs) == 4


def test_an_edit_leaves_other_ids_alone(project: Project, runs: list[str]) -> None:
    build(root=project.root)
    before = [cell.id for cell in read_notebook(project.lecture("00_test")).cells]
    edited = LECTURE.replace("# %%\n", "# %%\nprint('first')\n\n# %%\n", 1)
    project.lecture_source("00_test").write_text(edited, encoding="utf-8")
    build(root=project.root)
    after = [cell.id for cell in read_notebook(project.lecture("00_test")).cells]
    assert [after[0], after[2]] == before


def test_equal_cells_have_different_ids(project: Project, runs: list[str]) -> None:
    project.lecture_source("00_test").write_text(LECTURE + "\n# %%\nprint(1)\n\n# %%\nprint(1)\n", encoding="utf-8")
    build(root=project.root)
    ids = [cell.id for cell in read_notebook(project.lecture("00_test")).cells]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("key", ["source", "id", "metadata"])
def test_hand_edited_notebook(project: Project, runs: list[str], key: str) -> None:
    build(root=project.root)
    path = project.lecture("00_test")
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["cells"][1][key] = {"source": "answer = 43", "id": "other", "metadata": {"tags": ["setup"]}}[key]
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(NotebookDriftError, match=f"cell 1 differs from its source in {key}"):
        build(root=project.root, check=True)


def test_widget_state_is_drift(project: Project, runs: list[str]) -> None:
    build(root=project.root)
    path = project.lecture("00_test")
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["metadata"]["widgets"] = {}
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(NotebookDriftError, match="metadata"):
        build(root=project.root, check=True)


def test_missing_and_stray_notebooks(project: Project, runs: list[str]) -> None:
    with pytest.raises(NotebookDriftError, match=r"notebooks/00_test\.ipynb: not built"):
        build(root=project.root, check=True)
    build(root=project.root)
    stray = project.student("99_gone")
    stray.parent.mkdir(parents=True)
    stray.write_text("{}", encoding="utf-8")
    with pytest.raises(NotebookDriftError, match=r"exercises/99_gone/99_gone\.ipynb: no source makes this notebook"):
        build(root=project.root, check=True)


def test_exercises_need_a_lecture(project: Project, runs: list[str]) -> None:
    project.exercise_source("77_alone").write_text("# %%\nx = 1\n", encoding="utf-8")
    with pytest.raises(NotebookDriftError, match="77_alone: exercises without a lecture"):
        build(root=project.root)


def test_rules_are_reported(project: Project, runs: list[str]) -> None:
    project.lecture_source("00_test").write_text("# %%\n!pip install numpy\n", encoding="utf-8")
    with pytest.raises(NotebookDriftError, match="shell or magic") as caught:
        build(root=project.root)
    assert "lacks summary" in str(caught.value)


def test_large_outputs_are_reported(project: Project) -> None:
    project.lecture_source("00_test").write_text(LECTURE + "\n# %%\nprint('x' * 100_001)\n", encoding="utf-8")
    with pytest.raises(NotebookDriftError, match="at most 100,000"):
        build(root=project.root)


def test_a_failing_cell_stops_the_build(project: Project) -> None:
    project.lecture_source("00_test").write_text(LECTURE + "\n# %%\nanswer / 0\n", encoding="utf-8")
    with pytest.raises(NotebookFailedError, match="cell 2 stopped it: ZeroDivisionError"):
        build(root=project.root)
    assert not project.lecture("00_test").exists()


def test_a_cell_that_is_meant_to_raise(project: Project) -> None:
    raising = LECTURE + '\n# %% tags=["raises-exception"]\nanswer / 0\n'
    project.lecture_source("00_test").write_text(raising, encoding="utf-8")
    build(root=project.root)
    assert read_notebook(project.lecture("00_test")).cells[2].outputs[0].ename == "ZeroDivisionError"


def test_stderr_is_reported(project: Project) -> None:
    source = LECTURE + "\n# %%\nimport sys\n\n_ = sys.stderr.write('careful')\n"
    project.lecture_source("00_test").write_text(source, encoding="utf-8")
    with pytest.raises(NotebookDriftError, match="cell 2 writes to stderr"):
        build(root=project.root)


def test_unknown_slug_lists_what_exists(project: Project) -> None:
    with pytest.raises(NotebookSourceError, match="expected one of 00_test, got '01_no'"):
        build(["01_no"], root=project.root)


def test_no_sources_at_all(tmp_path: Path) -> None:
    with pytest.raises(NotebookSourceError, match="notebooks/src"):
        find_project(tmp_path)
    (tmp_path / "notebooks" / "src").mkdir(parents=True)
    with pytest.raises(NotebookSourceError, match="found none"):
        build(root=tmp_path)


def test_widget_views_are_not_kept() -> None:
    from nbformat import NotebookNode

    view, text = "application/vnd.jupyter.widget-view+json", "text/plain"
    outputs = [NotebookNode(data={view: {}, text: "static"}), NotebookNode(data={view: {}}), NotebookNode(text="out")]
    assert [output.get("data") for output in execute._keep(outputs)] == [{text: "static"}, None]
