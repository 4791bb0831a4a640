"""The README's picture shows what is counted today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def test_the_picture_in_the_readme_shows_todays_counts() -> None:
    spec = importlib.util.spec_from_file_location("make_first_screen", DOCS / "make_first_screen.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    try:
        spec.loader.exec_module(script)
        words = script.describe(script.count())
    finally:
        del sys.modules[spec.name]
    with Image.open(script.PATH) as picture:
        assert picture.info["Description"] == words
        assert picture.width >= 1600  # sharp on a screen of double density


def test_the_readme_shows_the_picture() -> None:
    assert "docs/first_screen.png" in (DOCS.parent / "README.md").read_text(encoding="utf-8")
