"""A learner who runs every cell before writing anything meets no error, and every check says so."""

from __future__ import annotations

from pathlib import Path

import nbclient
import pytest

from teachkit.authoring.convert import read_notebook
from teachkit.authoring.exercises import checked_slug
from teachkit.authoring.project import find_project

PROJECT = find_project(Path(__file__))


@pytest.mark.parametrize("slug", PROJECT.exercises())
def test_untouched_exercises_are_not_attempted(slug: str) -> None:
    notebook = read_notebook(PROJECT.student(slug))
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", store_widget_state=False).execute()
    checks = [cell for cell in notebook.cells if cell.cell_type == "code" and checked_slug(cell.source)]
    assert checks
    for cell in checks:
        assert [output.output_type for output in cell.outputs] == ["execute_result"], cell.source
        data = cell.outputs[0].data
        assert data["text/plain"].startswith("not attempted, 0 / "), cell.source
        assert "Fill in the stub" in data["text/html"]
    texts = [output.get("name") for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "stderr" not in texts
