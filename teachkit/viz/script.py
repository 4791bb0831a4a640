"""The scripts of interactive figures: files of this folder, joined, since a figure brings all that it needs itself."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def script(*names: str) -> str:
    """JavaScript of the named files, those that others build on first."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)
