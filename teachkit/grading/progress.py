"""Which exercises a learner has solved: kept on disk, so that it survives restarts, and shown as a table.

Every check that was an attempt adds one line to ``progress.jsonl`` in ``TEACHKIT_DATA_DIR``, else in the user's data
folder (``~/.local/share/teachkit``). Practice, not a grade: the file is the learner's own. Not modelled: several
learners with one account.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from teachkit.grading import registry
from teachkit.grading.report import Report


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """One exercise: the best points so far, of how many, in how many attempts, and when last (UTC)."""

    chapter: str
    slug: str
    points: int
    max_points: int
    n_attempts: int
    last: str = ""

    @property
    def is_solved(self) -> bool:
        """Whether every point was earned once."""
        return self.n_attempts > 0 and self.points == self.max_points


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Progress:
    """All exercises of this edition, chapter by chapter; ``trouble`` says why the file could not be read or written."""

    standings: tuple[Standing, ...]
    file: str
    trouble: str = ""

    @property
    def n_solved(self) -> int:
        """Exercises with full points."""
        return sum(standing.is_solved for standing in self.standings)

    def __repr__(self) -> str:
        width = max((len(standing.slug) for standing in self.standings), default=0)
        lines = [f"{self.n_solved} of {len(self.standings)} exercises solved"]
        chapter = ""
        for s in self.standings:
            if s.chapter != chapter:
                chapter = s.chapter
                lines.append(chapter)
            lines.append(f"  {_mark(s)} {s.slug:{width}}  {s.points} / {s.max_points} points  {_attempts(s)}".rstrip())
        return "\n".join([*lines, *([self.trouble] if self.trouble else [])])

    def _repr_html_(self) -> str:
        left = 'style="text-align:left"'  # Jupyter puts cells and heads on the right
        rows = "".join(
            f"<tr><td {left}>{html.escape(s.chapter)}</td>"
            f"<td {left}>{html.escape(s.slug)}</td><td {left}>{_mark(s)}</td>"
            f"<td>{s.points} / {s.max_points}</td><td>{_attempts(s)}</td></tr>"
            for s in self.standings
        )
        words = "".join(f"<th {left}>{name}</th>" for name in ("chapter", "exercise", "state"))
        head = f"<tr>{words}<th>points</th><th>attempts</th></tr>"
        trouble = f"<p>{html.escape(self.trouble)}</p>" if self.trouble else ""
        return (
            f"<p><b>{self.n_solved} of {len(self.standings)}</b> exercises solved</p>"
            f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>{trouble}"
        )


def _mark(standing: Standing) -> str:
    return "solved" if standing.is_solved else ("begun" if standing.n_attempts else "open")


def _attempts(standing: Standing) -> str:
    n = standing.n_attempts
    return "" if not n else f"{n} attempt{'s' if n > 1 else ''}, last {standing.last[:10]}"


def progress_file() -> Path:
    """Where attempts are kept."""
    chosen = os.environ.get("TEACHKIT_DATA_DIR")
    if chosen:
        return Path(chosen) / "progress.jsonl"
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return Path(base) / "teachkit" / "progress.jsonl"


_trouble = ""  # why the last attempt could not be kept


def keep(report: Report) -> None:
    """Add an attempt to the file. A folder that cannot be written loses the record, never the check."""
    global _trouble
    if not report.attempted:
        return
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    line = {"slug": report.slug, "points": report.points, "max_points": report.max_points, "time": now}
    file = progress_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab+") as out:
            out.seek(0, os.SEEK_END)
            begun = out.tell() > 0 and _last_byte(out) != b"\n"  # by a process that was killed while it wrote
            out.write(b"\n" * begun + json.dumps(line).encode() + b"\n")
        _trouble = ""
    except OSError as error:
        _trouble = f"Your last attempt could not be kept in {file}: {error.strerror}. Hint: set TEACHKIT_DATA_DIR."


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    octet: bytes = file.read(1)
    return octet


def progress() -> Progress:
    """Show which exercises are solved, begun and open.

    Returns
    -------
    Progress
        ``repr`` and Jupyter show a table; ``standings`` has one entry an exercise.
    """
    trouble = _trouble
    attempts: dict[str, list[dict[str, Any]]] = {}
    file = progress_file()
    try:
        content = file.read_text(errors="replace") if file.exists() else ""
    except OSError as error:
        content, trouble = (
            "",
            f"{file} cannot be read: {error.strerror}. Hint: set TEACHKIT_DATA_DIR.",
        )
    for attempt in _attempts_in(content):
        attempts.setdefault(attempt["slug"], []).append(attempt)
    found = []
    for slug in registry.slugs():
        own, most = attempts.get(slug, []), registry.max_points(slug)
        # An exercise may be worth more in a later edition; what was earned counts in proportion to what it was then.
        best = max((int(a["points"] * most / a["max_points"]) for a in own), default=0)
        last = max((str(a["time"]) for a in own), default="")
        found.append(Standing(registry.find(slug).chapter, slug, best, most, len(own), last))
    return Progress(tuple(sorted(found, key=lambda s: (s.chapter, s.slug))), str(file), trouble)


def _attempts_in(content: str) -> Iterator[dict[str, Any]]:
    """The lines that are whole."""
    for line in content.splitlines():
        try:
            attempt = json.loads(line)
            if 0 <= attempt["points"] <= attempt["max_points"] and attempt["max_points"] > 0:
                yield {name: attempt[name] for name in ("slug", "points", "max_points", "time")}
        except (ValueError, KeyError, TypeError):
            continue
