"""Every exercise: its solution passes, its stub is not attempted, other right answers
pass, wrong and cheating submissions fail as they say.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from teachkit.authoring import drift
from teachkit.authoring.project import find_project
from teachkit.grading import check, registry

TESTS = Path(__file__).resolve().parent.parent
PROJECT = find_project(TESTS)
EXERCISES = registry.slugs()
WRONG = sorted((TESTS / "wrong").rglob("*.py"))
CHEATS = sorted((TESTS / "cheats").rglob("*.py"))
RIGHT = sorted((TESTS / "right").rglob("*.py"))
SEED = 20230517

Load = Callable[[Path], ModuleType]


def code_of(chapter: str, student: bool) -> str:
    """Everything a notebook of exercises defines, without its checks and prints."""
    solution, stubs = drift.built_exercises(PROJECT, chapter)
    cells = [cell.source for cell in (stubs if student else solution).cells if cell.cell_type == "code"]
    return "\n\n".join(cell for cell in cells if "tk.check(" not in cell and "print(" not in cell)


@pytest.fixture
def submission(tmp_path: Path, load: Load) -> Callable[[str, bool], ModuleType]:
    def make(slug: str, student: bool) -> ModuleType:
        path = tmp_path / "notebook.py"
        path.write_text(code_of(registry.find(slug).chapter, student), encoding="utf-8")
        return load(path)

    return make


@pytest.mark.parametrize("slug", EXERCISES)
def test_solution_passes(slug: str, submission: Callable[[str, bool], ModuleType]) -> None:
    report = check(slug, getattr(submission(slug, False), slug), seed=SEED)
    assert report.passed, str(report)
    assert repr(report) == f"{registry.max_points(slug)} / {registry.max_points(slug)} points"


@pytest.mark.parametrize("slug", EXERCISES)
def test_solution_passes_on_fresh_inputs(slug: str, submission: Callable[[str, bool], ModuleType]) -> None:
    report = check(slug, getattr(submission(slug, False), slug))
    assert report.passed, str(report)


@pytest.mark.parametrize("slug", EXERCISES)
def test_stub_is_not_attempted(slug: str, submission: Callable[[str, bool], ModuleType]) -> None:
    report = check(slug, getattr(submission(slug, True), slug), seed=SEED)
    assert not report.attempted
    assert not report.passed
    assert repr(report) == f"not attempted, 0 / {registry.max_points(slug)} points"


@pytest.mark.parametrize("path", WRONG + CHEATS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fails_for_its_reason(path: Path, load: Load) -> None:
    module = load(path)
    slug = path.parent.name
    report = check(slug, getattr(module, slug), seed=SEED)
    assert report.attempted
    assert not report.passed
    item = next(item for item in report.items if item.key == module.ITEM)
    assert item.points == 0, str(report)
    assert any(module.REASON in reason for reason in item.reasons), str(report)
    assert item.hints, "a failed item shows a hint"


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_other_ways_to_be_right(path: Path, load: Load) -> None:
    slug = path.parent.name
    report = check(slug, getattr(load(path), slug), seed=SEED)
    assert report.passed, str(report)


@pytest.mark.gpu
@pytest.mark.parametrize("path", WRONG + CHEATS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fails_for_the_same_reason_on_a_gpu(path: Path, load: Load) -> None:
    test_fails_for_its_reason(path, load)


@pytest.mark.gpu
@pytest.mark.parametrize("path", RIGHT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_other_ways_to_be_right_are_right_on_a_gpu(path: Path, load: Load) -> None:
    test_other_ways_to_be_right(path, load)


@pytest.mark.parametrize("slug", EXERCISES)
def test_three_wrong_submissions(slug: str) -> None:
    assert sum(path.parent.name == slug for path in WRONG) >= 3


def test_every_submission_belongs_to_an_exercise() -> None:
    assert {path.parent.name for path in WRONG + CHEATS + RIGHT} <= set(EXERCISES)


@pytest.mark.parametrize("slug", EXERCISES)
def test_rubric(slug: str) -> None:
    problem = registry.find(slug)
    assert problem.slug == slug
    assert problem.chapter in PROJECT.exercises()
    assert problem.rubric[0].key == "correct"
    for item in problem.rubric:
        assert item.points > 0
        assert len(item.hints) == len(set(item.hints)) == 3
