"""One exercises source, two notebooks: with the solutions, and without.

A code cell with ``### BEGIN SOLUTION`` ... ``### END SOLUTION`` is the learner's to fill; a cell that calls
``tk.check("slug", ...)`` is worth that exercise's points; a cell with the tag ``solution`` is not handed out.
Not modelled: checksums of locked cells, which nbgrader writes when an assignment is released.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from nbformat import NotebookNode

from teachkit.authoring.convert import assemble
from teachkit.errors import NotebookSourceError

BEGIN_SOLUTION, END_SOLUTION = "### BEGIN SOLUTION", "### END SOLUTION"
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
_CHECK = re.compile(r"""tk\.check\(\s*["'](\w+)["']""")
_NAME = re.compile(r"^(?:def|class)\s+(\w+)", re.MULTILINE)


def solution_notebook(source: NotebookNode, points: Callable[[str], int]) -> NotebookNode:
    """The notebook with solutions, markers left in as nbgrader wants them, and nbgrader's metadata (schema 3).

    Parameters
    ----------
    source : cells of the exercises source.
    points : exercise slug -> points it is worth.

    Raises
    ------
    NotebookSourceError
        If markers do not pair up, or a solution cell defines nothing that could name it.
    """
    cells = [copy.deepcopy(cell) for cell in source.cells]
    for cell in cells:
        if cell.cell_type != "code":
            continue
        check = checked_slug(cell.source)
        if BEGIN_SOLUTION in cell.source:
            cell.metadata["nbgrader"] = _nbgrader(_solution_name(cell.source), solution=True)
        elif check is not None:
            cell.metadata["nbgrader"] = _nbgrader(f"check_{check}", grade=True, locked=True, points=points(check))
    return assemble(cells)


def student_notebook(solution: NotebookNode) -> NotebookNode:
    """The notebook a learner gets: stubs that say how many lines are missing, no hidden tests, no explanations."""
    cells = [copy.deepcopy(cell) for cell in solution.cells if "solution" not in cell.metadata.get("tags", [])]
    for cell in cells:
        cell.source = strip_region(stub(cell.source), BEGIN_HIDDEN, END_HIDDEN)
    return assemble(cells)


def checked_slug(source: str) -> str | None:
    """The exercise that a cell checks, if it does."""
    match = _CHECK.search(source)
    return match.group(1) if match else None


def stub(source: str) -> str:
    """The cell with each solution replaced by one line that says what is missing and one that raises.

    Examples
    --------
    >>> print(stub("def double(x):\\n    ### BEGIN SOLUTION\\n    return 2 * x\\n    ### END SOLUTION"))
    def double(x):
        # YOUR CODE HERE (1 line)
        raise NotImplementedError
    """
    kept: list[str] = []
    for inside, line in _regions(source, BEGIN_SOLUTION, END_SOLUTION):
        if inside is None:
            kept.append(line)
        elif line.strip() == BEGIN_SOLUTION:
            indent = line[: len(line) - len(line.lstrip())]
            n_lines = len(code_lines(inside))
            kept.append(f"{indent}# YOUR CODE HERE ({n_lines} line{'' if n_lines == 1 else 's'})")
            kept.append(f"{indent}raise NotImplementedError")
    return "\n".join(kept)


def strip_region(source: str, begin: str, end: str) -> str:
    """The cell without anything between the two markers."""
    return "\n".join(line for inside, line in _regions(source, begin, end) if inside is None).strip("\n")


def solution_lines(source: str) -> list[str]:
    """Lines of code inside the solution regions of a cell, without indentation."""
    return [
        line.strip()
        for inside, line in _regions(source, BEGIN_SOLUTION, END_SOLUTION)
        if inside is not None and line in code_lines(inside)
    ]


def leaks(solution: NotebookNode, student: NotebookNode) -> list[str]:
    """Lines of a solution that stand somewhere in the learner's notebook."""
    secret = {line for cell in solution.cells if cell.cell_type == "code" for line in solution_lines(cell.source)}
    shown = "\n".join(cell.source for cell in student.cells)
    return sorted(line for line in secret if _tells_something(line) and line in shown)


def code_lines(text: str) -> list[str]:
    """Lines that are neither blank nor a comment."""
    return [line for line in text.split("\n") if line.strip() and not line.strip().startswith("#")]


def _tells_something(line: str) -> bool:
    """Whether a line is more than a bracket or a ``return`` of a name the stub gives away anyway."""
    return len(line) >= 12 and not re.fullmatch(r"return \w+", line)


def _regions(source: str, begin: str, end: str) -> list[tuple[str | None, str]]:
    """Each line with the text of the region it is in (markers included), or ``None`` outside."""
    lines = source.split("\n")
    inside: list[str | None] = [None] * len(lines)
    start: int | None = None
    for index, line in enumerate(lines):
        if line.strip() == begin and start is None:
            start = index
        elif line.strip() == end and start is not None:
            body = "\n".join(lines[start + 1 : index])
            inside[start : index + 1] = [body] * (index + 1 - start)
            start = None
        elif line.strip() in (begin, end):
            raise NotebookSourceError(
                f"expected {begin} and {end} in turn, got {line.strip()!r} out of turn:\n{source}"
            )
    if start is not None:
        raise NotebookSourceError(f"expected {end} after {begin}, found none:\n{source}")
    return list(zip(inside, lines, strict=True))


def _solution_name(source: str) -> str:
    match = _NAME.search(source)
    if match is None:
        raise NotebookSourceError(
            f"expected a solution cell to define a function or class, got:\n{source}",
            hint="the stub of a whole cell would raise at Run All; put the missing lines into a function.",
        )
    return match.group(1)


def _nbgrader(grade_id: str, **changes: Any) -> dict[str, Any]:
    plain = {"grade": False, "locked": False, "solution": False, "task": False, "schema_version": 3}
    return plain | {"grade_id": grade_id} | changes
