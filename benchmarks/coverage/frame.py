"""What a suite is, what a row is, and where rows are stored."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results"
REPORT = HERE.parent / "coverage.md"

Outcome = Literal["passed", "failed", "skipped"]


class Skip(Exception):
    """The test cannot be run here whatever the emulator does; the message is the reason."""


class Failure(Exception):
    """The test failed; the message is the cause, as it appears in the report."""


@dataclasses.dataclass(frozen=True)
class Row:
    """Outcome of one test; ``cause`` says why it failed or was skipped, or is a note about how it passed."""

    name: str
    outcome: Outcome
    cause: str = ""


@dataclasses.dataclass
class Results:
    """Rows of one suite, the versions they were made with, or the reason why there are none."""

    suite: str
    title: str
    versions: dict[str, str]
    rows: dict[str, Row]
    missing: str = ""
    listed: int = 0  # tests that the suite lists; some may not have been run yet

    def count(self, outcome: Outcome) -> int:
        """Rows with that outcome."""
        return sum(row.outcome == outcome for row in self.rows.values())

    @property
    def total(self) -> int:
        """Tests that count: all but the skipped."""
        return len(self.rows) - self.count("skipped")

    def save(self) -> None:
        """Write ``results/SUITE.json``, whole or not at all."""
        RESULTS.mkdir(exist_ok=True)
        rows = [[row.name, row.outcome, *([row.cause] if row.cause else [])] for row in self.rows.values()]
        head = {"suite": self.suite, "title": self.title, "versions": self.versions, "missing": self.missing}
        head["listed"] = self.listed
        lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        text = json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n{lines}\n ]\n}}\n'
        part = RESULTS / f".{self.suite}.part"
        part.write_text(text)
        part.replace(RESULTS / f"{self.suite}.json")


def load(suite: str) -> Results | None:
    """Return stored results, or ``None`` where there are none."""
    path = RESULTS / f"{suite}.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    rows = {name: Row(name, outcome, *cause) for name, outcome, *cause in data.pop("rows")}
    return Results(rows=rows, **data)


def suites() -> list[str]:
    """Names of all suites: the modules in ``suites/``."""
    return sorted(path.stem for path in (HERE / "suites").glob("*.py") if not path.stem.startswith("_"))


def module(suite: str) -> ModuleType:
    """Return the module of a suite, which may also be named by its full path (``tests.benchmarks.planted``)."""
    return import_module(suite if "." in suite else f"benchmarks.coverage.suites.{suite}")


def versions(packages: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return versions of the installed packages, and the names of those that are missing."""
    found: dict[str, str] = {}
    missing = []
    for package in (*packages, "teachkit"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            missing.append(package)
    if "teachkit" in found:
        found["teachkit"] += f" (emulator {emulator_state()})"
    return found, missing


@functools.cache
def emulator_state() -> str:
    """Eight digits that change with the source of the emulator and its front ends: rows of two states never mix."""
    digest = hashlib.sha256()
    for room in ("emulator", "frontends"):
        for path in sorted((ROOT / "teachkit" / room).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def first_line(error: BaseException, limit: int = 200) -> str:
    """Return the cause of a failure in one line: class and first line of the message."""
    text = str(error).strip()
    line = text.splitlines()[0] if text else ""
    if isinstance(error, Failure):
        return line[:limit]
    return f"{type(error).__name__}: {line}"[:limit]


def summary(results: Mapping[str, Results]) -> dict[str, Any]:
    """``{suite: {passed, total}}`` of suites that have rows."""
    return {
        name: {"passed": suite.count("passed"), "total": suite.total} for name, suite in results.items() if suite.rows
    }
