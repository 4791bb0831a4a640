"""Run other people's programs on the emulator and publish what passed.

    python benchmarks/coverage.py [--jobs 2]            every suite, then coverage.md
    python benchmarks/coverage.py --only inductor,liger [--match add] [--failed] [--resume] [--json]
    python benchmarks/coverage.py --report              coverage.md again from the stored results; nothing is run

How a suite is written stands in ``benchmarks/coverage/__init__.py``.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import os
import re
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType

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
            plans = [plan for name in chosen if (plan := plan_suite(name, options, console)) is not None]
            run_plans(plans, options.jobs, console)
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
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (default 1)")
    parser.add_argument("--log", type=Path, help="file for the tests' own output (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser.parse_args()


def plan_suite(name: str, options: argparse.Namespace, console: Console) -> Plan | None:
    """What of one suite is to be run; rows of tests that are not run stay as they were."""
    module = frame.module(name)
    versions, missing = frame.versions(module.PACKAGES)
    reason = f"{', '.join(missing)} is not installed (benchmarks/coverage/requirements.txt)" if missing else ""
    if reason := reason or getattr(module, "absent", str)():
        console.print(f"{name}: skipped, {reason}")
        if frame.load(name) is None:
            frame.Results(name, module.TITLE, versions, {}, missing=reason).save()
        return None
    versions |= getattr(module, "versions", dict)()
    log = options.log or Path(tempfile.mkdtemp(prefix="coverage-")) / f"{name}.log"
    environment = getattr(module, "ENVIRONMENT", {})
    try:
        names = runner.list_names(name, environment, log)
    except runner.Broken as error:
        console.print(f"{name}: the suite does not work: {error} (log: {log})")
        return None
    before = frame.load(name)
    stored = before.rows if before is not None else {}
    wanted = [test for test in names if is_wanted(test, stored, options)][: options.limit]
    # Rows of other versions, or of another state of the emulator, would be mixed up with today's.
    if before is not None and before.versions != versions and set(wanted) != set(names):
        console.print(f"{name}: the stored rows were made with {before.versions}; they are dropped")
        if options.resume or options.failed:
            wanted = [test for test in names if is_wanted(test, {}, options)][: options.limit]
        stored = {}
    console.print(f"{name}: the tests' own output is in {log}")
    return Plan(name, module, wanted, names, {test: stored[test] for test in names if test in stored}, versions, log)


def is_wanted(test: str, stored: dict[str, frame.Row], options: argparse.Namespace) -> bool:
    if options.match and not re.search(options.match, test):
        return False
    if options.failed:
        return test in stored and stored[test].outcome == "failed"
    return not (options.resume and test in stored)


@dataclasses.dataclass
class Plan:
    """The tests of one suite that are to be run, and the rows that there are so far."""

    name: str
    module: ModuleType
    wanted: list[str]
    names: list[str]
    rows: dict[str, frame.Row]
    versions: dict[str, str]
    log: Path
    is_broken: bool = False

    def chunks(self) -> list[tuple[Plan, list[str]]]:
        """Tests that share a process."""
        size = getattr(self.module, "CHUNK", CHUNK)
        return [(self, self.wanted[start : start + size]) for start in range(0, len(self.wanted), size)]

    def save(self) -> None:
        """Store the rows in the order in which the suite lists its tests."""
        ordered = {test: self.rows[test] for test in self.names if test in self.rows}
        frame.Results(self.name, self.module.TITLE, self.versions, ordered, listed=len(self.names)).save()


def run_plans(plans: list[Plan], n_jobs: int, console: Console) -> None:
    """Run all chunks, ``n_jobs`` at a time; what has run is stored after each chunk."""
    stop, lock = threading.Event(), threading.Lock()
    # As many threads for each process as there are cores for it.
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // n_jobs))} if n_jobs > 1 else {}
    with Progress(console=console) as progress:
        tasks = {plan.name: progress.add_task(plan.name, total=len(plan.wanted)) for plan in plans}

        def run_chunk(work: tuple[Plan, list[str]]) -> None:
            plan, chunk = work
            if plan.is_broken or stop.is_set():
                return
            limit_s = getattr(plan.module, "LIMIT_S", LIMIT_S)
            environment = threads | getattr(plan.module, "ENVIRONMENT", {})
            try:
                for row in runner.run_tests(
                    plan.name, chunk, limit_s=limit_s, environment=environment, log=plan.log, stop=stop
                ):
                    with lock:
                        plan.rows[row.name] = row
                    progress.advance(tasks[plan.name])
                    if row.outcome == "failed":
                        progress.console.print(
                            f"failed: {plan.name} {row.name}: {row.cause}", markup=False, highlight=False
                        )
            except runner.Broken as error:
                plan.is_broken = True
                progress.console.print(f"{plan.name}: the suite does not work: {error} (log: {plan.log})")
            finally:
                with lock:
                    plan.save()

        with concurrent.futures.ThreadPoolExecutor(n_jobs) as pool:
            try:
                list(pool.map(run_chunk, [chunk for plan in plans for chunk in plan.chunks()]))
            except BaseException:
                stop.set()
                raise


def show(results: dict[str, frame.Results]) -> None:
    table = Table("suite", "passed", "total", "skipped")
    for name, suite in results.items():
        table.add_row(name, str(suite.count("passed")), str(suite.total), str(suite.count("skipped")))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
