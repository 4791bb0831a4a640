"""Solution and student notebooks from one source."""

from __future__ import annotations

from pathlib import Path

import pytest

from teachkit.authoring import exercises
from teachkit.authoring.convert import read_source, to_text
from teachkit.errors import NotebookSourceError

SOURCE = '''# %% [markdown]
# # Exercises

# %% tags=["setup"]
import teachkit as tk


# %%
def twice(x):
    """Double it."""
    ### BEGIN SOLUTION
    # add it to itself
    doubled = x + x

    return doubled
    ### END SOLUTION


# %%
twice_report = tk.check("twice", twice)
### BEGIN HIDDEN TESTS
assert twice_report.passed
### END HIDDEN TESTS
twice_report

# %% [markdown] tags=["solution"]
# Because `x + x` is two of them.
'''


@pytest.fixture
def pair(tmp_path: Path):
    path = tmp_path / "10_test.exercises.py"
    path.write_text(SOURCE, encoding="utf-8")
    solution = exercises.solution_notebook(read_source(path), {"twice": 4}.__getitem__)
    return solution, exercises.student_notebook(solution)


def test_stub_says_how_many_lines_are_missing(pair) -> None:
    _, student = pair
    assert student.cells[2].source == (
        'def twice(x):\n    """Double it."""\n    # YOUR CODE HERE (2 lines)\n    raise NotImplementedError'
    )


def test_hidden_tests_and_explanations_stay_at_home(pair) -> None:
    solution, student = pair
    assert len(solution.cells) == 5
    assert len(student.cells) == 4
    assert student.cells[3].source == 'twice_report = tk.check("twice", twice)\ntwice_report'
    assert "BEGIN HIDDEN TESTS" in solution.cells[3].source


def test_nbgrader_accepts_both(pair) -> None:
    nbgraderformat = pytest.importorskip("nbgrader.nbgraderformat")
    for notebook in pair:
        nbgraderformat.MetadataValidator().validate_nb(notebook)
    task, check = pair[0].cells[2].metadata["nbgrader"], pair[0].cells[3].metadata["nbgrader"]
    assert (task["solution"], task["grade"], task["grade_id"]) == (True, False, "twice")
    assert (check["grade"], check["locked"], check["points"], check["schema_version"]) == (True, True, 4, 3)


def test_same_bytes_every_time(pair, tmp_path: Path) -> None:
    again = exercises.solution_notebook(read_source(tmp_path / "10_test.exercises.py"), {"twice": 4}.__getitem__)
    assert to_text(again) == to_text(pair[0])
    assert to_text(exercises.student_notebook(again)) == to_text(pair[1])


def test_leaks_are_found(pair) -> None:
    solution, student = pair
    assert exercises.leaks(solution, student) == []
    student.cells[0].source += "\n\nThe answer is `doubled = x + x`."
    assert exercises.leaks(solution, student) == ["doubled = x + x"]


def test_solution_lines_leave_out_comments(pair) -> None:
    assert exercises.solution_lines(pair[0].cells[2].source) == ["doubled = x + x", "return doubled"]


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    ### BEGIN SOLUTION\n    return 1",
        "def f():\n    return 1\n    ### END SOLUTION",
        "def f():\n    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n    ### END SOLUTION",
    ],
)
def test_markers_have_to_pair_up(source: str) -> None:
    with pytest.raises(NotebookSourceError, match="SOLUTION"):
        exercises.stub(source)


def test_a_solution_needs_a_name(tmp_path: Path) -> None:
    path = tmp_path / "10_test.exercises.py"
    path.write_text("# %%\n### BEGIN SOLUTION\nprint(1)\n### END SOLUTION\n", encoding="utf-8")
    with pytest.raises(NotebookSourceError, match="define a function or class"):
        exercises.solution_notebook(read_source(path), int)
