"""The scripts that print claims and rankings run, and their last line is JSON that says what the table says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def last_line(script: str, *options: str) -> dict[str, object]:
    command = [sys.executable, str(BENCHMARKS / script), *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_headline_claims() -> None:
    answer = last_line("headline_claims.py", "--claim", "C11")
    assert answer["summary"] == {"holding": 2, "total": 3}
    assert [row["holds"] for row in answer["rows"]] == [True, False, True]


@pytest.mark.slow
def test_course_time_and_mutation_say_what_they_found() -> None:
    answer = last_line("course_time.py", "--only", "00_start_here")
    assert answer["summary"]["worst_s"] == answer["summary"]["total_s"] == answer["rows"][0]["wall_s"] > 0
    answer = last_line("mutation.py", "--only", "amdahl", "--per-exercise", "3")
    assert answer["summary"] == {"score": 1.0}
    assert [row["verdict"] for row in answer["rows"]] == ["rejected"] * 3


@pytest.mark.slow
def test_model_ranking() -> None:
    answer = last_line("model_ranking.py", "reduction", "--size", "65536")
    assert len(answer["rows"]) == 8
    assert set(answer["summary"]["tau"]) == {"reduction"}
    assert all(row["modelled_s"] > 0 for row in answer["rows"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("headline_claims.py", "--claim", "C99"), "got 'C99'"),
        (("model_ranking.py", "matmull"), "got 'matmull'"),
        (("course_time.py", "--only", "99_none"), "got '99_none'"),
        (("mutation.py", "--only", "fused_glue"), "got fused_glue"),
    ],
)
def test_a_wrong_option_is_explained(options: tuple[str, ...], words: str) -> None:
    script, *rest = options
    command = [sys.executable, str(BENCHMARKS / script), *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 2
    assert words in done.stderr
