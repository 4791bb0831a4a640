"""Every link of a lesson or a glossary page leads somewhere, and every glossary page is linked and short."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
GLOSSARY = sorted(path for path in (NOTEBOOKS / "glossary").glob("*.md") if path.name != "README.md")
LESSONS = sorted([*NOTEBOOKS.glob("*.ipynb"), *(REPOSITORY / "exercises").rglob("*.ipynb")])
PAGES = [NOTEBOOKS / "README.md", NOTEBOOKS / "glossary" / "README.md", *sorted((NOTEBOOKS / "syllabi").glob("*.md"))]
MAX_WORDS = 180
_LINK = re.compile(r"\]\(([^)#\s]+)\)")


def text_of(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def links_of(path: Path) -> list[str]:
    text = re.sub(r"`[^`]*`", "", text_of(path))  # kernel[grid](x) in code is no link
    return [link for link in _LINK.findall(text) if "://" not in link]


@pytest.mark.parametrize(
    "path",
    [*LESSONS, *GLOSSARY, *PAGES],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_links_lead_to_files(path: Path) -> None:
    assert [link for link in links_of(path) if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", GLOSSARY, ids=lambda path: path.stem)
def test_a_glossary_page_is_listed_short_and_starts_with_its_term(path: Path) -> None:
    assert path.name in links_of(NOTEBOOKS / "glossary" / "README.md")
    assert text_of(path).startswith("# ")
    assert len(text_of(path).split()) <= MAX_WORDS


def test_syllabi_name_sections_that_exist() -> None:
    headings = {line.lstrip("# ").strip() for path in LESSONS for line in text_of(path).splitlines() if "## " in line}
    for path in sorted((NOTEBOOKS / "syllabi").glob("*.md")):
        named = re.findall(r"\*([A-Z][^*|]+)\*", text_of(path).partition("## Questions")[0].partition("## Before")[2])
        assert named
        for section in named:
            assert any(heading.lower().startswith(section.lower()) for heading in headings), section


def test_each_lesson_is_on_the_map() -> None:
    names = {path.name for path in NOTEBOOKS.glob("*.ipynb")}
    assert names <= set(links_of(NOTEBOOKS / "README.md"))
    assert names - {"00_start_here.ipynb"} <= set(links_of(NOTEBOOKS / "00_start_here.ipynb"))


def test_each_lesson_links_to_the_glossary() -> None:
    lectures = [path for path in LESSONS if path.parent == NOTEBOOKS]
    assert lectures
    assert [path.name for path in lectures if not any(link.startswith("glossary/") for link in links_of(path))] == []


def test_stored_widgets_are_their_static_fallback() -> None:
    cells = nbformat.read(NOTEBOOKS / "40_fusion_by_hand.ipynb", as_version=4).cells
    (figure,) = [cell for cell in cells if cell.source.startswith("explore_fusion(")]
    (output,) = figure.outputs
    assert set(output.data) == {"text/plain", "text/html"}
    assert "18N elements" in output.data["text/html"]
