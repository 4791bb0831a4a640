"""Where sources and notebooks lie.

A lecture and its exercises share a slug such as ``40_fusion_by_hand``.
Not modelled: notebooks outside ``notebooks``, ``exercises`` and ``solutions``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from teachkit.errors import NotebookSourceError

SLUG = re.compile(r"\d\d_[a-z0-9_]+")
_EXERCISES = ".exercises.py"


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """The folders of one checkout.

    Parameters
    ----------
    root : folder that holds ``notebooks``, ``exercises`` and ``solutions``.
    """

    root: Path

    @property
    def source_folder(self) -> Path:
        """Folder of every hand-edited lesson source."""
        return self.root / "notebooks" / "src"

    def lectures(self) -> tuple[str, ...]:
        """Slugs that have a lecture source, sorted."""
        paths = self.source_folder.glob("*.py")
        return tuple(sorted(path.name[:-3] for path in paths if not path.name.endswith(_EXERCISES)))

    def exercises(self) -> tuple[str, ...]:
        """Slugs that have an exercises source, sorted."""
        return tuple(sorted(path.name[: -len(_EXERCISES)] for path in self.source_folder.glob("*" + _EXERCISES)))

    def slugs(self) -> tuple[str, ...]:
        """Every slug with a source, sorted."""
        return tuple(sorted({*self.lectures(), *self.exercises()}))

    def select(self, slugs: Iterable[str] | None) -> tuple[str, ...]:
        """The given slugs, or all of them.

        Raises
        ------
        NotebookSourceError
            If a slug has no source, or there is no source at all.
        """
        existing = self.slugs()
        if not existing:
            raise NotebookSourceError(f"expected lesson sources in {self.source_folder}, found none")
        wanted = tuple(slugs) if slugs else existing
        for slug in wanted:
            if slug not in existing:
                raise NotebookSourceError(
                    f"expected one of {', '.join(existing)}, got {slug!r}",
                    hint=f"a chapter is written as {self.source_folder / 'NN_slug.py'}.",
                )
        return wanted

    def lecture_source(self, slug: str) -> Path:
        """The py:percent source of a lecture."""
        return self.source_folder / f"{slug}.py"

    def exercise_source(self, slug: str) -> Path:
        """The py:percent source of a chapter's exercises, solutions included."""
        return self.source_folder / f"{slug}{_EXERCISES}"

    def lecture(self, slug: str) -> Path:
        """The built lecture, committed with its outputs."""
        return self.root / "notebooks" / f"{slug}.ipynb"

    def solution(self, slug: str) -> Path:
        """The built notebook with solutions."""
        return self.root / "solutions" / slug / f"{slug}.ipynb"

    def student(self, slug: str) -> Path:
        """The built notebook that a learner gets."""
        return self.root / "exercises" / slug / f"{slug}.ipynb"

    def relative(self, path: Path) -> str:
        """The path as messages show it."""
        return str(path.relative_to(self.root))


def find_project(start: Path | None = None) -> Project:
    """The project around ``start`` (default: the working folder, then the folder that teachkit runs from).

    Raises
    ------
    NotebookSourceError
        If no folder on the way up holds ``notebooks/src``.
    """
    starts = [start] if start else [Path.cwd(), Path(__file__).parent]
    for first in starts:
        for folder in (first.resolve(), *first.resolve().parents):
            if (folder / "notebooks" / "src").is_dir():
                return Project(folder)
    raise NotebookSourceError(
        f"expected a folder notebooks/src at or above {starts[0]}, found none",
        hint="run this inside a checkout of the course; an installed teachkit alone carries no lessons.",
    )
