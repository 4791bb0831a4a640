"""Rules for cells: each is broken once."""

from __future__ import annotations

import ast

import nbformat
import pytest

from teachkit.authoring import rules

v4 = nbformat.v4


def problems_of(*sources: str, tags: list[str] | None = None) -> list[str]:
    cells = [v4.new_code_cell(source, metadata={"tags": tags} if tags else {}) for source in sources]
    return rules.broken_rules(v4.new_notebook(cells=cells))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\n".join(f"x{i} = {i}" for i in range(16)), "16 lines of code; at most 15"),
        ("!pip install numpy", "a shell or magic command"),
        ("%%time\nx = 1", "a shell or magic command"),
        ("print('pip install numpy')", "a download or an installation"),
        ("import sys\nsys.path.append('.')", "sys.path has no place"),
        ("from math import *", "import *"),
        ("x = 1;", "a ';' at the end"),
        ("x = 1;  # why", "a ';' at the end"),
        ("def f(:", "no valid Python"),
        ("# a comment", "a code cell without code"),
    ],
)
def test_broken_rule(source: str, message: str) -> None:
    found = problems_of(source)
    assert any(message in problem for problem in found), found


def test_fifteen_lines_and_comments_are_fine() -> None:
    assert problems_of("# why\n\n" + "\n".join(f"x{i} = {i}" for i in range(15))) == []


def test_another_languages_semicolons_are_fine() -> None:
    assert problems_of('source = """\nint x = 1;\n"""') == []


def test_tags() -> None:
    assert problems_of("x = 1", tags=["setup", "nbval-ignore-output"]) == []
    assert "cell 0: tags ['hidden']" in problems_of("x = 1", tags=["hidden"])[0]


def test_a_name_is_bound_in_one_cell() -> None:
    assert problems_of("x = 1", "x += 1") == ["cell 1: binds 'x', which cell 0 binds already"]
    assert problems_of("for i in range(3):\n    print(i)", "with open('f') as i:\n    pass") == [
        "cell 1: binds 'i', which cell 0 binds already"
    ]
    assert problems_of("[i for i in range(3)]\n_ = 1", "def f():\n    i = 1\n_ = (lambda i: i)(2)") == []


def test_bound_names() -> None:
    source = (
        "import a.b, c as d\nfrom e import f\nclass G: h = 1\ndef i(j): k = 1\nl, (m, *n) = 1, (2, 3)\nprint(o := 1)"
    )
    assert set(rules.bound_names(ast.parse(source))) == {"a", "d", "f", "G", "i", "l", "m", "n", "o"}


def test_images_need_words() -> None:
    cell = v4.new_markdown_cell("![](figure.png)")
    assert rules.broken_rules(v4.new_notebook(cells=[cell])) == ["cell 0: an image without a text alternative"]


COMPLETE = """# 40 Fusion

**Objective.** Fuse.

**Prerequisites.** None.

**Time.** 40 minutes.

**Predict before you run.** How many?

## Claimed, and found here

| | claimed | found here |
|---|---|---|

## Summary

Done. See [kernel](glossary/kernel.md).

## Exercises

[here](../exercises/40_fusion/40_fusion.ipynb)
"""


def test_chapter_sections() -> None:
    complete = v4.new_notebook(cells=[v4.new_markdown_cell(COMPLETE)])
    assert rules.missing_sections(complete, "40_fusion", has_exercises=True) == []
    empty = v4.new_notebook(cells=[v4.new_markdown_cell("# 40 Fusion")])
    missing = rules.missing_sections(empty, "40_fusion", has_exercises=True)
    assert len(missing) == 8
    assert not any("claims" in what for what in rules.missing_sections(empty, "00_start", has_exercises=False))
