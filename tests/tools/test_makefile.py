"""The commands that the README names exist, and lead to files that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str) -> str:
    done = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def targets() -> set[str]:
    return set(re.findall(r"^ +make ([a-z-]+)", make(), flags=re.MULTILINE))


def test_make_alone_lists_its_targets() -> None:
    assert {"setup", "lab", "tour", "test", "test-gpu", "notebooks", "bench", "check-pins", "clean"} <= targets()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_of_a_page_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", text, flags=re.MULTILINE))
    assert named
    assert {first or second for first, second in named} <= targets()


def test_the_lab_opens_a_lesson_that_exists() -> None:
    match = re.search(r"/lab/tree/(\S+)", make("--dry-run", "lab"))
    assert match is not None
    assert (ROOT / match[1]).is_file()


def test_ci_runs_what_the_readme_says() -> None:
    script = ROOT / ".ci" / "run"
    subprocess.run(["bash", "-n", str(script)], check=True)
    called = re.findall(r"^make --no-print-directory (\S+)$", script.read_text(), flags=re.MULTILINE)
    assert called == ["setup", "tour", "test"]
