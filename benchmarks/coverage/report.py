"""``coverage.md``, made of the stored results and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.coverage.frame import REPORT, Outcome, Results

HEAD = """# Other people's programs on the emulator

Made by `python benchmarks/coverage.py` from the results stored in `benchmarks/coverage/results/`; do not edit.
Every row is one test that compares with an independent result. Skipped tests count neither as passed nor in the total;
the reason of each is listed. `python benchmarks/coverage.py --only SUITE` runs one suite again. Behind teachkit's
version stands the state of the emulator's source that made the rows; rows without one are older than that record.
"""


def write(results: Mapping[str, Results]) -> None:
    """Write the page."""
    REPORT.write_text(page(results))


def page(results: Mapping[str, Results]) -> str:
    """Return the page as text."""
    parts = [HEAD, "| suite | passed | total | % | skipped | versions |", "|---|--:|--:|--:|--:|---|"]
    for name, suite in results.items():
        shown = ", ".join(f"{package} {version}" for package, version in suite.versions.items())
        if suite.missing:
            parts.append(f"| {name} | - | - | - | - | not run: {suite.missing} |")
        else:
            passed, total = suite.count("passed"), suite.total
            percent = f"{100 * passed / total:.1f}" if total else "-"
            parts.append(f"| {name} | {passed} | {total} | {percent} | {suite.count('skipped')} | {shown} |")
    for name, suite in results.items():
        if suite.rows:
            parts += ["", f"## {name}: {suite.title}", ""]
            if (n_left := suite.listed - len(suite.rows)) > 0:
                parts += [f"Not run yet: {n_left} of the {suite.listed} tests that the suite lists.", ""]
            parts += _listed(suite)
    return "\n".join(parts) + "\n"


def _listed(suite: Results) -> list[str]:
    lines = []
    for outcome, heading in (("failed", "Failed, by cause"), ("skipped", "Skipped, by reason")):
        causes = _by_cause(suite, outcome)
        lines += [f"{heading}:", ""] if causes else []
        for cause, names in sorted(causes.items(), key=lambda item: (-len(item[1]), item[0])):
            lines.append(f"- {cause.replace('<', '&lt;') or 'no cause given'} ({len(names)}): {', '.join(names)}")
        lines += [""] if causes else []
    notes = _by_cause(suite, "passed")
    for note, names in sorted(notes.items()):
        heading = f"{len(names)} passed" + (f" ({note})" if note else "")
        lines += [f"<details><summary>{heading}</summary>", "", ", ".join(names), "", "</details>", ""]
    return lines[:-1]


def _by_cause(suite: Results, outcome: Outcome) -> dict[str, list[str]]:
    causes: dict[str, list[str]] = {}
    for row in suite.rows.values():
        if row.outcome == outcome:
            causes.setdefault(row.cause, []).append(row.name)
    return causes
