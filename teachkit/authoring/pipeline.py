"""Build or check notebooks from their sources, with progress.

Not modelled: several kernels at once; lectures run one after another, since they may time things.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from teachkit.authoring import drift, execute
from teachkit.authoring.convert import read_source, to_text
from teachkit.authoring.fingerprint import of_cells, of_library
from teachkit.authoring.project import Project, find_project
from teachkit.errors import NotebookDriftError


def build(
    slugs: Iterable[str] | None = None, check: bool = False, *, root: Path | None = None, force: bool = False
) -> None:
    """Make the notebooks of the given chapters, or check that they are up to date.

    A lecture is executed only when its cells, the library or the pinned versions changed since its outputs were made.

    Parameters
    ----------
    slugs : chapters such as ``"40_fusion_by_hand"``; every chapter when left out.
    check : compare, write nothing and run nothing.
    root : the checkout, default the one around the working folder.
    force : execute lectures even if nothing changed.

    Raises
    ------
    NotebookSourceError
        If a slug has no source, or a source cannot be understood.
    NotebookFailedError
        If a cell of a lecture raises.
    NotebookDriftError
        With ``check``: if notebooks and sources differ. Always: if a source breaks the rules for cells, or an output is
        too large.
    """
    project = find_project(root)
    wanted = project.select(slugs)
    console = Console(stderr=True)
    problems = drift.rule_problems(project, wanted)
    if check:
        problems += drift.find_drift(project, wanted)
    else:
        for slug in wanted:
            if slug in project.lectures():
                _build_lecture(project, slug, force, console)
            if slug in project.exercises():
                _build_exercises(project, slug, console)
        # An unedited second build finds everything in place, so what is wrong now is wrong with the sources.
        problems += drift.find_drift(project, wanted)
    if problems:
        raise NotebookDriftError(problems)
    console.print(f"{len(wanted)} chapters: notebooks follow their sources")


def _build_lecture(project: Project, slug: str, force: bool, console: Console) -> None:
    path, where = project.lecture(slug), project.relative(project.lecture(slug))
    notebook = read_source(project.lecture_source(slug))
    notebook.metadata["teachkit"] = {"cells": of_cells(notebook), "library": of_library(project.root)}
    if not force and drift.is_current(path, notebook):
        console.print(f"{where}: unchanged")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{where}: cell", total=len(notebook.cells))
        ran = execute.run(notebook, path.parent, where, lambda index: progress.update(task, completed=index))
    _write(path, ran)
    console.print(f"{where}: {len(ran.cells)} cells executed")


def _build_exercises(project: Project, slug: str, console: Console) -> None:
    for path, notebook in zip(
        (project.solution(slug), project.student(slug)), drift.built_exercises(project, slug), strict=True
    ):
        changed = _write(path, notebook)
        console.print(f"{project.relative(path)}: {'written' if changed else 'unchanged'}")


def _write(path: Path, notebook: NotebookNode) -> bool:
    content = to_text(notebook).encode()
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True
