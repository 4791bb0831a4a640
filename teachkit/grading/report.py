"""What a learner sees after a check.

``repr`` is the points alone, so that it can stand in a gradebook; ``str`` and the HTML explain.
Not modelled: grades. A check in a notebook is practice.
"""

from __future__ import annotations

import dataclasses
import html
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class ItemResult:
    """One rubric item: what it asks, what it earned, and why not more."""

    key: str
    asks: str
    points: int
    max_points: int
    reasons: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the item earned all its points."""
        return self.points == self.max_points


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Report:
    """Result of one check.

    Parameters
    ----------
    slug : the exercise.
    items : one result a rubric item.
    attempted : false if the stub is untouched.
    """

    slug: str
    items: tuple[ItemResult, ...]
    attempted: bool = True

    @property
    def points(self) -> int:
        """Points earned."""
        return sum(item.points for item in self.items)

    @property
    def max_points(self) -> int:
        """Points that could be earned."""
        return sum(item.max_points for item in self.items)

    @property
    def passed(self) -> bool:
        """Whether every point was earned."""
        return self.attempted and self.points == self.max_points

    def __repr__(self) -> str:
        if not self.attempted:
            return f"not attempted, 0 / {self.max_points} points"
        return f"{self.points} / {self.max_points} points"

    def __str__(self) -> str:
        lines = [f"{self.slug}: {self!r}"]
        for item in self.items:
            lines.append(f"[{_verdict(self, item)}] {item.key}, {item.points} / {item.max_points}: {item.asks}")
            lines += [_indent(reason) for reason in item.reasons]
            lines += [_indent(f"Hint {number}: {hint}") for number, hint in enumerate(item.hints, start=1)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(self._html_row(item) for item in self.items)
        head = f"<p><b>{html.escape(self.slug)}</b>: {html.escape(repr(self))}</p>"
        if not self.attempted:
            return head + "<p>Fill in the stub, run its cell, then run this one again.</p>"
        return f"{head}<table>{rows}</table>"

    def _html_row(self, item: ItemResult) -> str:
        cells = "".join(
            f'<td style="text-align:left;vertical-align:top">{text}</td>'
            for text in (
                _verdict(self, item),
                f"{item.points} / {item.max_points}",
                f"<b>{html.escape(item.key)}</b>: {html.escape(item.asks)}" + _html_details(item),
            )
        )
        return f"<tr>{cells}</tr>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a gradebook: slug, points, max_points, attempted and the items."""
        items = [dataclasses.asdict(item) for item in self.items]
        return {
            "slug": self.slug,
            "points": self.points,
            "max_points": self.max_points,
            "attempted": self.attempted,
            "items": items,
        }


def _verdict(report: Report, item: ItemResult) -> str:
    if not report.attempted:
        return "not attempted"
    return "passed" if item.passed else "failed"


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def _html_details(item: ItemResult) -> str:
    # Reasons quote the learner's own text and values: everything is escaped.
    reasons = "".join(f"<pre>{html.escape(reason)}</pre>" for reason in item.reasons)
    hints = "".join(f"<p>Hint {number}: {html.escape(hint)}</p>" for number, hint in enumerate(item.hints, start=1))
    return reasons + hints
