"""Which exercises exist: one module of ``teachkit.grading.problems`` each, named after the exercise.

Such a module binds ``PROBLEM`` and imports torch and Triton inside functions, so that reading points is cheap.
Not modelled: exercises outside the package.
"""

from __future__ import annotations

import importlib
import pkgutil

from teachkit.errors import UnknownExerciseError
from teachkit.grading.problem import Problem


def slugs() -> tuple[str, ...]:
    """Every exercise, sorted."""
    import teachkit.grading.problems as room

    return tuple(sorted(module.name for module in pkgutil.iter_modules(room.__path__)))


def find(slug: str) -> Problem:
    """The exercise of that name.

    Raises
    ------
    UnknownExerciseError
        Listing what exists.
    """
    if slug not in slugs():
        raise UnknownExerciseError(slug, slugs())
    problem: Problem = importlib.import_module(f"teachkit.grading.problems.{slug}").PROBLEM
    return problem


def max_points(slug: str) -> int:
    """Points that the exercise is worth."""
    return sum(item.points for item in find(slug).rubric)


def slugs_of_chapter(chapter: str) -> tuple[str, ...]:
    """Exercises of the lecture with that slug, sorted."""
    return tuple(slug for slug in slugs() if find(slug).chapter == chapter)
