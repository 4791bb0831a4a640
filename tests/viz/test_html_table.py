"""The table an interactive figure leaves on a page without a kernel: words on the left, heads above their columns."""

from __future__ import annotations

from html.parser import HTMLParser

from teachkit.viz.html_table import html_table


class Cells(HTMLParser):
    """Every cell as ``(tag, text, whether it begins on the left)``."""

    def __init__(self, table: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, str, bool]] = []
        self.feed(table)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("th", "td"):
            self.cells.append((tag, "", dict(attributes).get("style") == "text-align:left"))

    def handle_data(self, data: str) -> None:
        tag, text, is_left = self.cells.pop()
        self.cells.append((tag, text + data, is_left))


def test_words_and_their_head_begin_on_the_left() -> None:
    table = html_table(("program", "time"), [("add", "2 us"), ("softmax", "3 us")], words=[0])
    assert Cells(table).cells == [
        ("th", "program", True),
        ("th", "time", False),
        ("td", "add", True),
        ("td", "2 us", False),
        ("td", "softmax", True),
        ("td", "3 us", False),
    ]


def test_text_is_shown_as_it_stands() -> None:
    table = html_table(("a & b",), [("<script>",)], words=[0])
    assert "<script>" not in table
    assert [text for _, text, _ in Cells(table).cells] == ["a & b", "<script>"]
