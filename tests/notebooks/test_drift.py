"""The committed notebooks follow their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from teachkit.authoring import drift
from teachkit.authoring.project import find_project

PROJECT = find_project(Path(__file__))


def test_there_are_lessons_and_exercises() -> None:
    assert {"00_start_here", "10_cpu_vs_gpu", "11_blocks_and_warps", "40_fusion_by_hand"} <= set(PROJECT.lectures())
    assert "40_fusion_by_hand" in PROJECT.exercises()


def test_slug_sets_match() -> None:
    assert drift.strays(PROJECT) == []


@pytest.mark.parametrize("slug", PROJECT.slugs())
def test_sources_keep_the_rules(slug: str) -> None:
    assert drift.rule_problems(PROJECT, [slug]) == []


@pytest.mark.parametrize("slug", PROJECT.slugs())
def test_notebooks_follow_their_sources(slug: str) -> None:
    assert drift.find_drift(PROJECT, [slug]) == []
