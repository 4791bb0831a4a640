"""When a lecture's outputs have to be made again.

A built lecture carries two hashes in its metadata: of its cells, and of the library. The library's covers every file of
the package but this room (which cannot change what a cell prints) and the pinned versions of everything else.
Not modelled: the machine, since what is printed must not depend on it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from nbformat import NotebookNode

_SUFFIXES = {".py", ".toml", ".js", ".css", ".json"}


def of_cells(notebook: NotebookNode) -> str:
    """Hash of every cell's type, source and metadata."""
    cells = [[cell.cell_type, cell.source, cell.metadata] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()[:16]


def of_library(root: Path) -> str:
    """Hash of the package ``root / "teachkit"`` and of ``constraints.txt``."""
    package = root / "teachkit"
    paths = [path for path in package.rglob("*") if path.suffix in _SUFFIXES]
    paths = [path for path in paths if path.relative_to(package).parts[0] != "authoring"]
    digest = hashlib.sha256()
    for path in sorted([*paths, root / "constraints.txt"]):
        if path.is_file():
            digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
