"""Small faults put into every reference solution: which of them do the exercises' checks reject?

    python benchmarks/mutation.py [--only fused_gelu,vector_add] [--per-exercise 15] [--workers 2] [--json]

Each fault (a mutant) is one change of one expression or statement: an index off by one, a dropped mask, a wrong stride,
a missing barrier, an extra pass, a wrong type, a stale accumulator ... A mutant that passes is run beside the solution
on further inputs: where neither a result nor a counter differs it is no fault, and is not counted; else it survived.
Each exercise is judged in a process of its own; a mutant that uses up its processor time without an answer counts as
rejected, and how many did is said. A run of all exercises writes benchmarks/mutation.md as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.progress import Progress

from benchmarks.parts.judged_mutants import EARLIER, JUDGED
from benchmarks.parts.mutant_judge import NO_ANSWER, Judge, child

BAR = 0.95
PAGE = Path(__file__).with_suffix(".md")
INTRODUCTION = """# Faults put into the solutions

Written by `python benchmarks/mutation.py`; the docstring of that script says what is done.

| exercise | faults tried | rejected | by running out of time | no fault | survived |
|---|---:|---:|---:|---:|---:|
"""


def run(slug: str, per_exercise: int, advance: Any) -> list[dict[str, Any]]:
    """One row a mutant of the exercise."""
    rows = []
    judge = Judge(slug, per_exercise)
    try:
        for index, (kind, change) in enumerate(judge.mutants()):
            rows.append({"exercise": slug, "fault": kind, "change": change} | judge.ask(index))
            advance(rows[-1])
    finally:
        judge.close()
    return rows


def counts_of(rows: list[dict[str, Any]], slug: str) -> tuple[int, int, int, int, int]:
    """Mutants, rejected, of those without an answer in time, no fault, survived."""
    own = [row for row in rows if row["exercise"] == slug]
    verdicts = [row["verdict"] for row in own]
    n_late = sum(row["reason"] == NO_ANSWER for row in own)
    rejected, equivalent, survived = (verdicts.count(word) for word in ("rejected", "equivalent", "survived"))
    return len(own), rejected, n_late, equivalent, survived


def score_of(rows: list[dict[str, Any]]) -> tuple[float, int]:
    """The part of the faults that was rejected, and how many faults there were."""
    n_faults = sum(row["verdict"] != "equivalent" for row in rows)
    return (sum(row["verdict"] == "rejected" for row in rows) / n_faults if n_faults else 0.0), n_faults


def report(chosen: tuple[str, ...], rows: list[dict[str, Any]], seconds: float, as_json: bool) -> None:
    """Print the table, what was not rejected, and the score."""
    print(f"{'exercise':30} mutants  rejected  (late)  no fault  survived")
    for slug in chosen:
        n, rejected, late, equivalent, survived = counts_of(rows, slug)
        print(f"{slug:30} {n:7}  {rejected:8}  {late:6}  {equivalent:8}  {survived:8}")
    for row in rows:
        if row["verdict"] != "rejected":
            print(f"{row['verdict']}: {row['exercise']}, {row['fault']}: {row['change']}  {row['reason']}")
    score, n_faults = score_of(rows)
    print(f"{100 * score:.1f} % of {n_faults} faults rejected (bar: {100 * BAR:.0f} %), in {seconds:.0f} s")
    if as_json:
        print(json.dumps({"rows": rows, "summary": {"score": score}}))


def page(chosen: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    """The published table, the survivors with what was made of each, and the changes that are no faults."""
    score, n_faults = score_of(rows)
    lines = [INTRODUCTION.rstrip("\n")]
    for slug in chosen:
        lines.append(f"| `{slug}` | {' | '.join(str(n) for n in counts_of(rows, slug))} |")
    lines += ["", f"**{100 * score:.1f} % of {n_faults} faults are rejected** (wanted: {100 * BAR:.0f} %).", ""]
    lines += ["## Survivors", ""]
    survivors = [row for row in rows if row["verdict"] == "survived"]
    for row in survivors:
        judged = JUDGED.get((row["exercise"], row["change"]), "not yet judged")
        lines.append(f"- `{row['exercise']}`, {row['fault']}: `{row['change']}`; {row['reason']}. {judged}")
    lines += [] if survivors else ["None."]
    lines += ["", "## Survivors of earlier runs", "", *(f"- {sentence}" for sentence in EARLIER)]
    lines += ["", "## Changes that are no faults", "", "Same results and same counters on every input tried.", ""]
    lines += [
        f"- `{row['exercise']}`, {row['fault']}: `{row['change']}`" for row in rows if row["verdict"] == "equivalent"
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="exercises, separated by commas")
    parser.add_argument("--per-exercise", type=int, default=15, help="mutants of each (at least 10 where there are)")
    parser.add_argument("--workers", type=int, default=2, help="exercises judged at the same time")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.per_exercise)
        return 0
    from teachkit.grading import registry

    known = registry.slugs()
    chosen = tuple(options.only.split(",")) if options.only else known
    if unknown := [slug for slug in chosen if slug not in known]:
        known_text = ", ".join(known)
        print(f"Expected names of exercises, got {', '.join(unknown)}. Hint: there are {known_text}.", file=sys.stderr)
        return 2
    console, started = Console(stderr=True), time.monotonic()
    with Progress(console=console) as progress, ThreadPoolExecutor(options.workers) as pool:
        task = progress.add_task("mutants", total=len(chosen) * options.per_exercise)

        def advance(row: dict[str, Any]) -> None:
            progress.advance(task)
            progress.console.print(" · ".join(row.values()), markup=False, highlight=False)

        per_slug = pool.map(lambda slug: run(slug, options.per_exercise, advance), chosen)
        rows = [row for own in per_slug for row in own]
    report(chosen, rows, time.monotonic() - started, options.json)
    if chosen == known:
        PAGE.write_text(page(chosen, rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
