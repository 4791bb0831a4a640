"""A small table as HTML: what an interactive figure leaves on a page without a running kernel."""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Sequence


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: Collection[int]) -> str:
    """One row of heads above rows of cells.

    Parameters
    ----------
    head : the columns' names.
    rows : cells as text, as many in a row as there are columns; HTML in them is shown as it stands.
    words : numbers of the columns, from 0, that hold words: these begin on the left. The others hold numbers and end on
        the right, as Jupyter aligns every cell that says nothing.

    Examples
    --------
    >>> html_table(["n"], [["8"], ["<9"]], words=[])
    '<table><thead><tr><th>n</th></tr></thead><tbody><tr><td>8</td></tr><tr><td>&lt;9</td></tr></tbody></table>'
    """

    def row(cells: Sequence[str], tag: str) -> str:
        styles = (' style="text-align:left"' if number in words else "" for number in range(len(cells)))
        shown = zip(styles, cells, strict=True)
        return "<tr>" + "".join(f"<{tag}{style}>{html.escape(cell)}</{tag}>" for style, cell in shown) + "</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f"<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table>"
