"""Source text to notebook: the same cells, ids and metadata every time.

A cell's id is a hash of its type, its source and how many equal cells stand before it, so an edit elsewhere leaves it
alone. Not modelled: cell metadata other than tags; what nbgrader needs is derived in ``exercises``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def read_source(path: Path) -> NotebookNode:
    """The notebook that a py:percent source describes: no outputs, stable ids, metadata free of versions and dates."""
    import jupytext  # its import costs as much as all of teachkit

    raw = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    cells = [_cell(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in raw.cells]
    return assemble(cells)


def assemble(cells: list[NotebookNode]) -> NotebookNode:
    """A notebook of these cells, with ids set from their sources."""
    metadata: dict[str, Any] = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    n_seen: Counter[tuple[str, str]] = Counter()
    for cell in notebook.cells:
        key = (cell.cell_type, cell.source)
        cell.id = _cell_id(*key, n_seen[key])
        n_seen[key] += 1
    return notebook


def to_text(notebook: NotebookNode) -> str:
    """The file's content; keys are sorted, so equal notebooks give equal bytes."""
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook, version=4)).rstrip("\n") + "\n"


def read_notebook(path: Path) -> NotebookNode:
    """A committed notebook, as nbformat 4."""
    return nbformat.read(path, as_version=4)


def without_outputs(notebook: NotebookNode) -> dict[str, Any]:
    """What the drift check compares: everything but outputs, execution counts and the library's fingerprint."""
    plain: dict[str, Any] = nbformat.from_dict(notebook).copy()
    plain["cells"] = [
        {key: value for key, value in cell.items() if key not in ("outputs", "execution_count")}
        for cell in notebook.cells
    ]
    plain["metadata"] = {**notebook.metadata, "teachkit": {**notebook.metadata.get("teachkit", {}), "library": ""}}
    return plain


def _cell(kind: str, source: str, tags: list[str]) -> NotebookNode:
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}.get(kind)
    cell = (make or nbformat.v4.new_raw_cell)(source=source.strip("\n"))
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def _cell_id(kind: str, source: str, n_before: int) -> str:
    return hashlib.sha256(f"{kind}\n{n_before}\n{source}".encode()).hexdigest()[:12]
