"""Small faults put into every reference solution: which of them do the exercises' checks reject?

    python benchmarks/mutation.py [--only fused_gelu,vector_add] [--per-exercise 15] [--json]

Each fault (a mutant) is one change of one expression or statement: an index off by one, a dropped mask, a wrong stride,
a missing barrier, an extra pass, a wrong type, a stale accumulator ... A mutant that passes is run beside the solution
on further inputs: where neither a result nor a counter differs it is no fault, and is not counted; else it survived.
Each exercise is judged in a process of its own; a mutant that neither passes nor fails in time counts as rejected.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.progress import Progress

from benchmarks.parts.mutants import Mutant, mutants_of

BAR = 0.95
LIMIT_S = 120.0
SEEDS = (11, 12, 13)


def solution_of(slug: str) -> tuple[str, str]:
    """Source of the exercise's chapter before its own cells, and of its own cells."""
    from teachkit.authoring import drift
    from teachkit.authoring.project import find_project
    from teachkit.grading import registry

    solution, _ = drift.built_exercises(find_project(Path(sys.path[0])), registry.find(slug).chapter)
    before: list[str] = []
    own: list[str] = []
    for cell in solution.cells:
        if cell.cell_type != "code":
            continue
        if f'tk.check("{slug}"' in cell.source:
            return "\n\n".join(before), "\n\n".join(own)
        if "tk.check(" in cell.source:
            before, own = before + own, []
        elif "setup" in cell.metadata.get("tags", []):
            before.append(cell.source)
        else:
            own.append(cell.source)
    raise SystemExit(f"Expected a check of {slug} in its chapter's exercises; found none.")


def load(folder: Path, name: str, source: str) -> Any:
    """Import ``source`` from a file: compilers read a kernel's text from there."""
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def child(slug: str, per_exercise: int) -> None:
    """Judge one mutant for each number on standard input; a line of JSON each."""
    from teachkit.emulator import configure
    from teachkit.grading import check, registry

    configure(time_limit_s=LIMIT_S / 4)
    os.environ["TEACHKIT_DATA_DIR"] = tempfile.mkdtemp()
    answers, sys.stdout = sys.stdout, sys.stderr
    before, own = solution_of(slug)
    folder = Path(tempfile.mkdtemp())
    reference = getattr(load(folder, f"{slug}_reference", f"{before}\n\n{own}"), slug)
    mutants = mutants_of(slug, own, per_exercise)
    for line in sys.stdin:
        index = int(line)
        verdict, reason = "rejected", ""
        try:
            module = load(folder, f"{slug}_{index}", f"{before}\n\n{mutants[index].source}")
            report = check(slug, getattr(module, slug), seed=SEEDS[0])
            if report.passed:
                reason = difference(registry.find(slug), reference, getattr(module, slug))
                verdict = "survived" if reason else "equivalent"
            else:
                reason = next((r for item in report.items for r in item.reasons), "no points")
        except Exception as error:  # a mutant that cannot even be defined
            reason = f"{type(error).__name__}: {error}"
        print(json.dumps({"verdict": verdict, "reason": reason.splitlines()[0][:160] if reason else ""}), file=answers)
        answers.flush()


def difference(problem: Any, reference: Any, mutant: Any) -> str:
    """How the mutant differs from the solution on further inputs; empty where it does not."""
    for seed in SEEDS:
        for mine, theirs in zip(problem.cases(seed), problem.cases(seed), strict=True):
            a, b = problem.run(reference, mine), problem.run(mutant, theirs)
            if (a.error is None) != (b.error is None):
                return f"case {mine.label}: {b.error or 'no error'}"
            if not same(a.value, b.value):
                return f"case {mine.label}: another result"
            if a.launches != b.launches:
                return f"case {mine.label}: other counters"
            if a.changed_inputs != b.changed_inputs:
                return f"case {mine.label}: changes its inputs"
    return ""


def same(a: Any, b: Any) -> bool:
    """Bit for bit, through lists, tuples and dictionaries."""
    import numpy as np
    import torch

    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b or (a != a and b != b))


class Judge:
    """A child process that is asked about one mutant after another, and replaced when it does not answer."""

    def __init__(self, slug: str, per_exercise: int) -> None:
        self._command = [sys.executable, __file__, "--child", slug, "--per-exercise", str(per_exercise)]
        self._process: subprocess.Popen[str] | None = None

    def ask(self, index: int) -> dict[str, str]:
        """What became of mutant number ``index``."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{index}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
        answer = process.stdout.readline() if ready else ""
        if answer:
            verdict: dict[str, str] = json.loads(answer)
            return verdict
        self.close()
        return {"verdict": "rejected", "reason": "no answer in time" if not ready else "the process died"}

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def run(slug: str, per_exercise: int, advance: Any) -> list[dict[str, Any]]:
    """One row a mutant of the exercise."""
    mutants: list[Mutant] = mutants_of(slug, solution_of(slug)[1], per_exercise)
    judge, rows = Judge(slug, per_exercise), []
    try:
        for index, mutant in enumerate(mutants):
            row = {"exercise": slug, "fault": mutant.kind, "change": mutant.change}
            rows.append(row | judge.ask(index))
            advance()
    finally:
        judge.close()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="exercises, separated by commas")
    parser.add_argument("--per-exercise", type=int, default=15, help="mutants of each (at least 10 where there are)")
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
        print(f"Expected names of exercises, got {', '.join(unknown)}. Hint: there are {', '.join(known)}.")
        return 2
    rows: list[dict[str, Any]] = []
    console, started = Console(stderr=True), time.monotonic()
    with Progress(console=console) as progress:
        task = progress.add_task("mutants", total=len(chosen) * options.per_exercise)
        for slug in chosen:
            rows += run(slug, options.per_exercise, lambda: progress.advance(task))
    report(chosen, rows, time.monotonic() - started, options.json)
    return 0


def report(chosen: tuple[str, ...], rows: list[dict[str, Any]], seconds: float, as_json: bool) -> None:
    """Print the table, the survivors, and the score."""
    print(f"{'exercise':30} mutants  rejected  no fault  survived")
    for slug in chosen:
        own = [row["verdict"] for row in rows if row["exercise"] == slug]
        counts = [own.count(verdict) for verdict in ("rejected", "equivalent", "survived")]
        print(f"{slug:30} {len(own):7}  {counts[0]:8}  {counts[1]:8}  {counts[2]:8}")
    for row in rows:
        if row["verdict"] != "rejected":
            print(f"{row['verdict']}: {row['exercise']}, {row['fault']}: {row['change']}  {row['reason']}")
    n_faults = sum(row["verdict"] != "equivalent" for row in rows)
    score = sum(row["verdict"] == "rejected" for row in rows) / n_faults if n_faults else 0.0
    print(f"{100 * score:.1f} % of {n_faults} faults rejected (bar: {100 * BAR:.0f} %), in {seconds:.0f} s")
    if as_json:
        print(json.dumps({"rows": rows, "summary": {"score": score}}))


if __name__ == "__main__":
    raise SystemExit(main())
