"""The recipe for a chapter in CONTRIBUTING.md, followed to the letter in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_FILE = re.compile(r"^ *```python (\S+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
WRONG = "tests/wrong/double/squares.py"


def recipe() -> dict[str, str]:
    """Path -> text of every file that the recipe has one write."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {path: textwrap.dedent(body) for path, body in _FILE.findall(text)}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the recipe touches, as it is before: the library, one lecture's folders, the tools of the tests."""
    for folder in ("teachkit", "tests/grading", "notebooks/glossary"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "notebooks" / "src").mkdir()
    for name in ("pyproject.toml", "tests/conftest.py", "notebooks/src/00_start_here.py"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def run(checkout: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(checkout), "TEACHKIT_DATA_DIR": str(checkout / "data")}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_the_recipe_for_a_chapter_makes_one(checkout: Path) -> None:
    files = recipe()
    assert set(files) == {
        "notebooks/src/90_doubling.py",
        "notebooks/src/90_doubling.exercises.py",
        "teachkit/grading/problems/double.py",
        WRONG,
    }
    for name, text in files.items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, wrong in (("halves", "x / 2"), ("adds_two", "x + 2")):
        (checkout / WRONG).with_stem(name).write_text(files[WRONG].replace("x * x", wrong), encoding="utf-8")
    assert "notebooks follow their sources" in run(checkout, "teachkit.cli", "notebooks", "90_doubling")
    for name in ("notebooks/90_doubling", "exercises/90_doubling/90_doubling", "solutions/90_doubling/90_doubling"):
        assert (checkout / f"{name}.ipynb").exists()
    assert "return x + x" not in (checkout / "exercises/90_doubling/90_doubling.ipynb").read_text(encoding="utf-8")
    options = ("-p", "no:nbval", "-p", "no:cacheprovider", "-q")
    seen = run(checkout, "pytest", *options, "tests/grading/test_exercises.py", "-k", "double")
    # Solution twice, stub, three wrong submissions, their number, and the rubric.
    assert re.search(r"\b8 passed\b", seen), seen
