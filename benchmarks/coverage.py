"""Run other people's programs on the emulator and publish what passed.

    python benchmarks/coverage.py                       every suite, then coverage.md
    python benchmarks/coverage.py --only inductor,liger [--match add] [--failed] [--resume] [--json]
    python benchmarks/coverage.py --report              coverage.md again from the stored results; nothing is run

How a suite is written stands in ``benchmarks/coverage/__init__.py``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

# The folder of this script must not stay on the path: other packages import a module called "coverage".
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.coverage import frame, report, runner

CHUNK = 10
LIMIT_S = 120.0


def main() -> int:
    options = parse()
    console = Console(stderr=True)
    known = frame.suites()
    chosen = options.only.split(",") if options.only else known
    if unknown := [name for name in chosen if name not in known]:
        console.print(f"Expected names of suites, got {', '.join(unknown)}. Hint: there are {', '.join(known)}.")
        return 2
    if not options.report:
        try:
            for name in chosen:
                run_suite(name, options, console)
        except KeyboardInterrupt:
            console.print("Stopped; what had run is stored.")
            return 130
    results = {name: stored for name in known if (stored := frame.load(name)) is not None}
    report.write(results)
    show(results if options.report else {name: results[name] for name in chosen if name in results})
    if options.json:
        rows = [
            {"suite": name, "name": row.name, "outcome": row.outcome, "cause": row.cause}
            for name, suite in results.items()
            for row in suite.rows.values()
        ]
        print(json.dumps({"rows": rows, "summary": frame.summary(results)}))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="suites, separated by commas")
    parser.add_argument("--match", help="run only tests whose name matches this regular expression")
    parser.add_argument("--failed", action="store_true", help="run only tests that failed the last time")
    parser.add_argument("--resume", action="store_true", help="run only tests that have no stored row")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--limit", type=int, help="run at most so many tests of a suite")
    parser.add_argument("--log", type=Path, help="file for the tests' own output (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser.parse_args()


def run_suite(name: str, options: argparse.Namespace, console: Console) -> None:
    """Run one suite and store its rows; rows of tests that are not run stay as they were."""
    module = frame.module(name)
    versions, missing = frame.versions(module.PACKAGES)
    if missing:
        reason = f"{', '.join(missing)} is not installed (benchmarks/coverage/requirements.txt)"
        console.print(f"{name}: skipped, {reason}")
        if frame.load(name) is None:
            frame.Results(name, module.TITLE, versions, {}, missing=reason).save()
        return
    log = options.log or Path(tempfile.mkdtemp(prefix="coverage-")) / f"{name}.log"
    environment = getattr(module, "ENVIRONMENT", {})
    try:
        names = runner.list_names(name, environment, log)
        before = frame.load(name)
        stored = before.rows if before is not None else {}
        wanted = [test for test in names if is_wanted(test, stored, options)][: options.limit]
        # Rows of other versions would be mixed up with today's.
        if before is not None and before.versions != versions and set(wanted) != set(names):
            console.print(f"{name}: the stored rows were made with {before.versions}; they are dropped")
            stored = {}
        rows = {test: stored[test] for test in names if test in stored}
        run_chunks(name, module, wanted, names, rows, versions, environment, log, console)
    except runner.Broken as error:
        console.print(f"{name}: the suite does not work: {error} (log: {log})")
        return
    console.print(f"{name}: the tests' own output is in {log}")


def is_wanted(test: str, stored: dict[str, frame.Row], options: argparse.Namespace) -> bool:
    if options.match and not re.search(options.match, test):
        return False
    if options.failed:
        return test in stored and stored[test].outcome == "failed"
    return not (options.resume and test in stored)


def run_chunks(name, module, wanted, names, rows, versions, environment, log, console) -> None:
    size, limit_s = getattr(module, "CHUNK", CHUNK), getattr(module, "LIMIT_S", LIMIT_S)
    order = {test: index for index, test in enumerate(names)}
    with Progress(console=console) as progress:
        task = progress.add_task(name, total=len(wanted))
        for start in range(0, len(wanted), size):
            chunk = wanted[start : start + size]
            for row in runner.run_tests(name, chunk, limit_s=limit_s, environment=environment, log=log):
                rows[row.name] = row
                progress.advance(task)
                if row.outcome == "failed":
                    progress.console.print(f"failed: {row.name}: {row.cause}", markup=False, highlight=False)
            ordered = dict(sorted(rows.items(), key=lambda item: order[item[0]]))
            frame.Results(name, module.TITLE, versions, ordered, listed=len(names)).save()


def show(results: dict[str, frame.Results]) -> None:
    table = Table("suite", "passed", "total", "skipped")
    for name, suite in results.items():
        table.add_row(name, str(suite.count("passed")), str(suite.total), str(suite.count("skipped")))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
