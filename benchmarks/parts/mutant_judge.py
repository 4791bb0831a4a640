"""Judges the mutants of one exercise in a process of its own.

The child prints a line of JSON with the kinds and changes of its mutants, then a line for each number that it reads.
Time is the processor's, not the clock's, so that a busy machine rejects nothing.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

import psutil

from benchmarks.parts.mutants import mutants_of, rendered

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120.0
"""Processor seconds for one mutant."""
WALL_LIMIT_S = 1200.0
SEEDS = (11, 12, 13)
NO_ANSWER = "no answer in time"


class Judge:
    """A child process that is asked about one mutant after another, and replaced when it does not answer."""

    def __init__(self, slug: str, per_exercise: int) -> None:
        script = str(ROOT / "benchmarks" / "mutation.py")
        self._command = [sys.executable, script, "--child", slug, "--per-exercise", str(per_exercise)]
        self._process: subprocess.Popen[str] | None = None

    def mutants(self) -> list[tuple[str, str]]:
        """Kind and change of every mutant."""
        self._start()
        return [(kind, change) for kind, change in self._mutants]

    def ask(self, index: int) -> dict[str, str]:
        """What became of mutant number ``index``."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{index}\n")
        self._process.stdin.flush()
        answer = self._read_line()
        if answer:
            verdict: dict[str, str] = json.loads(answer)
            return verdict
        died = self._process.poll() is not None
        self.close()
        return {"verdict": "rejected", "reason": "the process died" if died else NO_ANSWER}

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._mutants = json.loads(self._read_line() or "[]")
        if not self._mutants:
            raise SystemExit(f"Expected mutants from {' '.join(self._command)}; it printed none.")

    def _read_line(self) -> str:
        """The next line of the child, or nothing if it died or used up its time."""
        assert self._process is not None
        assert self._process.stdout is not None
        started_s, first_s = _cpu_seconds(self._process.pid), time.monotonic()
        while time.monotonic() - first_s < WALL_LIMIT_S:
            if select.select([self._process.stdout], [], [], 1.0)[0]:
                return self._process.stdout.readline()
            if self._process.poll() is not None or _cpu_seconds(self._process.pid) - started_s > LIMIT_S:
                break
        return ""


def child(slug: str, per_exercise: int) -> None:
    """Judge one mutant for each number on standard input; a line of JSON each."""
    from teachkit.emulator import configure
    from teachkit.grading import check, registry

    configure(time_limit_s=LIMIT_S / 2)
    os.environ["TEACHKIT_DATA_DIR"] = tempfile.mkdtemp()
    answers, sys.stdout = sys.stdout, sys.stderr
    before, own = solution_of(slug)
    folder = Path(tempfile.mkdtemp())
    module = load(folder, f"{slug}_reference", f"{before}\n\n{own}")
    reference, own = getattr(module, slug), rendered(own, module)
    mutants = mutants_of(slug, own, per_exercise)
    print(json.dumps([(mutant.kind, mutant.change) for mutant in mutants]), file=answers, flush=True)
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
        first = reason.splitlines()[0][:160] if reason else ""
        print(json.dumps({"verdict": verdict, "reason": first}), file=answers, flush=True)


def solution_of(slug: str) -> tuple[str, str]:
    """Source of everything that stands before the solution in its chapter, and of the solution's own cells."""
    from teachkit.authoring import drift
    from teachkit.authoring.project import find_project
    from teachkit.grading import registry

    solution, _ = drift.built_exercises(find_project(ROOT), registry.find(slug).chapter)
    before: list[str] = []
    own: list[str] = []
    for cell in solution.cells:
        if cell.cell_type != "code":
            continue
        if f'tk.check("{slug}"' in cell.source:
            return "\n\n".join(before), "\n\n".join(own)
        if "tk.check(" in cell.source:
            before, own = before + own, []
        elif "### BEGIN SOLUTION" in cell.source:
            own.append(cell.source)
        else:  # given to the learner: faults in there are nobody's
            before.append(cell.source)
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
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if type(a).__eq__ is object.__eq__ and not isinstance(a, types.FunctionType):
        # It knows no equality: by what it holds.
        return a is b or same(vars(a), vars(b))
    return bool(a == b or (a != a and b != b))


def _cpu_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
