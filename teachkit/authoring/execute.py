"""Runs a lecture from top to bottom and keeps what it shows.

Not modelled: widgets. Their live view cannot be stored, so the static fallback beside it is what is kept.
"""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from teachkit.errors import NotebookFailedError

MAX_OUTPUT_BYTES = 100_000
MAX_NOTEBOOK_BYTES = 1_500_000
CELL_TIMEOUT_S = 600
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def run(notebook: NotebookNode, folder: Path, name: str, on_cell: Callable[[int], None]) -> NotebookNode:
    """A copy of the notebook with fresh outputs.

    Parameters
    ----------
    notebook : cells without outputs.
    folder : working folder of the run.
    name : how an error names the notebook.
    on_cell : called with the index of each cell before it runs.

    Raises
    ------
    NotebookFailedError
        If a cell without the tag ``raises-exception`` raises or runs longer than ten minutes.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    scratch = copy.deepcopy(notebook)
    current = [0]

    def start(cell: NotebookNode, cell_index: int) -> None:
        current[0] = cell_index
        on_cell(cell_index)

    client = NotebookClient(
        scratch,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        on_cell_start=start,
    )
    try:
        # Nobody's progress but a beginner's: what a lecture shows must not depend on who builds it.
        with tempfile.TemporaryDirectory() as data:
            client.execute(env=os.environ | {"TEACHKIT_DATA_DIR": data})
    except CellExecutionError as error:
        raise NotebookFailedError(name, current[0], f"{error.ename}: {error.evalue}", error.traceback) from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise NotebookFailedError(name, current[0], f"{type(error).__name__}: {error}") from None
    # Outputs alone are taken over: the client also writes versions and times into the metadata.
    result = copy.deepcopy(notebook)
    for cell, ran in zip(result.cells, scratch.cells, strict=True):
        if cell.cell_type == "code":
            cell.execution_count = ran.execution_count
            cell.outputs = _keep(ran.outputs)
    return result


def why_too_large(notebook: NotebookNode, text: str) -> list[str]:
    """Outputs over 100 KB and a file over 1.5 MB, as messages."""
    problems = []
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if (n_bytes := len(json.dumps(output, ensure_ascii=False).encode())) > MAX_OUTPUT_BYTES:
                problems.append(f"cell {index}: an output of {n_bytes:,} bytes; at most {MAX_OUTPUT_BYTES:,}")
    if (n_bytes := len(text.encode())) > MAX_NOTEBOOK_BYTES:
        problems.append(f"the notebook has {n_bytes:,} bytes; at most {MAX_NOTEBOOK_BYTES:,}")
    return problems


def _keep(outputs: list[NotebookNode]) -> list[NotebookNode]:
    kept = []
    for output in outputs:
        data: dict[str, Any] | None = output.get("data")
        if data is not None:
            data.pop(_WIDGET_VIEW, None)
            if not data:
                continue
        kept.append(output)
    return kept
