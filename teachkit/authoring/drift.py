"""Compares committed notebooks with their sources.

Lectures: everything but outputs (those are proved by running them). Exercises and solutions: byte for byte.
Not modelled: outputs made with an older library; running the notebook tests decides whether they still hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode

from teachkit.authoring import exercises, rules
from teachkit.authoring.convert import read_notebook, read_source, to_text, without_outputs
from teachkit.authoring.execute import why_too_large
from teachkit.authoring.fingerprint import of_cells
from teachkit.authoring.project import Project


def find_drift(project: Project, slugs: Iterable[str]) -> list[str]:
    """Everything wrong with the notebooks of these slugs, and with the sets of files, as messages."""
    problems = strays(project)
    for slug in slugs:
        if slug in project.lectures():
            problems += _lecture_drift(project, slug)
        if slug in project.exercises():
            problems += _exercise_drift(project, slug)
    return problems


def rule_problems(project: Project, slugs: Iterable[str]) -> list[str]:
    """Rules for cells and chapters that the sources of these slugs break, as messages."""
    problems: list[str] = []
    for slug in slugs:
        if slug in project.lectures():
            where = project.relative(project.lecture_source(slug))
            source = read_source(project.lecture_source(slug))
            sections = rules.missing_sections(source, slug, has_exercises=slug in project.exercises())
            problems += [f"{where}: {message}" for message in rules.broken_rules(source) + sections]
        if slug in project.exercises():
            where = project.relative(project.exercise_source(slug))
            source = read_source(project.exercise_source(slug))
            problems += [f"{where}: {message}" for message in rules.broken_rules(source) + _checks(slug, source)]
    return problems


def strays(project: Project) -> list[str]:
    """Notebooks without a source, and an exercises source without its lecture."""
    problems = [
        f"{slug}: exercises without a lecture" for slug in project.exercises() if slug not in project.lectures()
    ]
    wanted = {project.lecture(slug) for slug in project.lectures()}
    for slug in project.exercises():
        wanted |= {project.solution(slug), project.student(slug)}
    found = set((project.root / "notebooks").glob("*.ipynb"))
    for folder in ("exercises", "solutions"):
        found |= set((project.root / folder).rglob("*.ipynb"))
    found = {path for path in found if ".ipynb_checkpoints" not in path.parts}
    return problems + [f"{project.relative(path)}: no source makes this notebook" for path in sorted(found - wanted)]


def built_exercises(project: Project, slug: str) -> tuple[NotebookNode, NotebookNode]:
    """``(solution, student)`` notebooks as the source makes them."""
    from teachkit.grading.registry import max_points

    solution = exercises.solution_notebook(read_source(project.exercise_source(slug)), max_points)
    return solution, exercises.student_notebook(solution)


def _lecture_drift(project: Project, slug: str) -> list[str]:
    path, where = project.lecture(slug), project.relative(project.lecture(slug))
    if not path.is_file():
        return [f"{where}: not built"]
    expected, got = read_source(project.lecture_source(slug)), read_notebook(path)
    expected.metadata["teachkit"] = {"cells": of_cells(expected)}
    problems = [f"{where}: {message}" for message in why_too_large(got, path.read_text(encoding="utf-8"))]
    if without_outputs(expected) != without_outputs(got):
        problems.append(f"{where}: {_first_difference(expected, got)}")
    for index, cell in enumerate(got.cells):
        if cell.cell_type == "code" and cell.execution_count is None:
            problems.append(f"{where}: cell {index} was never run")
        ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
        if not ignored and any(output.get("name") == "stderr" for output in cell.get("outputs", [])):
            problems.append(f"{where}: cell {index} writes to stderr, which differs from machine to machine")
    return problems


def _exercise_drift(project: Project, slug: str) -> list[str]:
    solution, student = built_exercises(project, slug)
    problems = []
    for path, notebook in ((project.solution(slug), solution), (project.student(slug), student)):
        where = project.relative(path)
        if not path.is_file():
            problems.append(f"{where}: not built")
        elif path.read_bytes() != to_text(notebook).encode():
            problems.append(f"{where}: {_first_difference(notebook, read_notebook(path))}")
    where = project.relative(project.student(slug))
    return problems + [f"{where}: shows a line of the solution: {line}" for line in exercises.leaks(solution, student)]


def _checks(slug: str, source: NotebookNode) -> list[str]:
    from teachkit.grading.registry import slugs_of_chapter

    found = (exercises.checked_slug(cell.source) for cell in source.cells if cell.cell_type == "code")
    checked = {name for name in found if name is not None}
    registered = set(slugs_of_chapter(slug))
    problems = [f"no cell checks the exercise {name!r} of this chapter" for name in sorted(registered - checked)]
    return problems + [
        f"checks {name!r}, which is no exercise of this chapter" for name in sorted(checked - registered)
    ]


def _first_difference(expected: NotebookNode, got: NotebookNode) -> str:
    for index, (wanted, found) in enumerate(zip(expected.cells, got.cells, strict=False)):
        for key in ("cell_type", "source", "metadata", "id"):
            if wanted.get(key) != found.get(key):
                return f"cell {index} differs from its source in {key}"
    if len(expected.cells) != len(got.cells):
        return f"{len(got.cells)} cells, its source has {len(expected.cells)}"
    return "differs from its source in metadata or layout"


def is_current(path: Path, expected: NotebookNode) -> bool:
    """Whether a built lecture has these cells and its outputs come from this library."""
    if not path.is_file():
        return False
    got = read_notebook(path)
    same = without_outputs(got) == without_outputs(expected)
    return same and got.metadata.get("teachkit") == expected.metadata.get("teachkit")
