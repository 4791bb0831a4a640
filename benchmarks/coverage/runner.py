"""Runs the tests of a suite in child processes, so that a crash or an endless loop costs one row."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.coverage.frame import ROOT, Row

START_UP_S = 120.0  # imports of torch and of the package, on a busy machine
_LOOK_S = 0.5  # between looks at whether the run was stopped


class Broken(Exception):
    """The suite itself does not work: its module, its list of names or its ``setup``."""


class Stopped(Exception):
    """Somebody pressed Ctrl-C."""


@contextlib.contextmanager
def _child(suite: str, lines: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[tuple[Any, int]]:
    """Start a child process; yields it and the reading end of its pipe, and ends its whole group."""
    reading, writing = os.pipe()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.coverage.child", suite, str(writing)],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(writing,),
            start_new_session=True,
        )
    os.close(writing)
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("\n".join(lines).encode())
            process.stdin.close()
        yield process, reading
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _messages(
    reading: int, limit: Callable[[], float], stop: threading.Event | None = None
) -> Iterator[list[Any] | None]:
    """Yield messages as they come; ``None`` when nothing came for ``limit()`` seconds, after which it ends."""
    buffer = b""
    while True:
        deadline = time.monotonic() + limit()
        while b"\n" not in buffer:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([reading], [], [], max(min(left, _LOOK_S), 0))
            if stop is not None and stop.is_set():
                raise Stopped
            if not ready and left > 0:
                continue
            if not ready:
                yield None
                return
            data = os.read(reading, 1 << 16)
            if not data:
                return
            buffer += data
        line, _, buffer = buffer.partition(b"\n")
        yield json.loads(line)


def list_names(suite: str, environment: dict[str, str], log: Path) -> list[str]:
    """Return the names of a suite's tests."""
    with _child(suite, ["--names"], environment, log) as (_, reading):
        for message in _messages(reading, lambda: 2 * START_UP_S):
            if message and message[0] == "names":
                return [str(name) for name in message[1]]
            raise Broken(message[1] if message else "no list of names within the time limit")
    raise Broken(f"the process ended before it had listed its tests; see {log}")


def run_tests(
    suite: str,
    names: Sequence[str],
    *,
    limit_s: float,
    environment: dict[str, str],
    log: Path,
    stop: threading.Event | None = None,
) -> Iterator[Row]:
    """Yield one row for each name, in order, with as many processes as crashes and hangs make necessary.

    Raises :class:`Stopped` soon after ``stop`` is set; the test that runs then has no row.
    """
    left = list(names)
    n_false_starts = 0
    while left:
        running: str | None = None
        n_before = len(left)
        with _child(suite, left, environment, log) as (process, reading):
            timed_out = False
            for message in _messages(reading, lambda: limit_s if running else START_UP_S, stop):  # noqa: B023
                if message is None:
                    timed_out = True
                elif message[0] == "broken":
                    raise Broken(message[1])
                elif message[0] == "start":
                    running = message[1]
                else:
                    _, name, outcome, cause = message
                    left.remove(name)
                    running = None
                    yield Row(name, outcome, cause)
            code = None if timed_out else process.wait()
        if running is not None:
            left.remove(running)
            yield Row(running, "failed", f"no result within {limit_s:g} s" if timed_out else _death(code))
        n_false_starts = n_false_starts + 1 if len(left) == n_before else 0
        if n_false_starts == 2:
            raise Broken(f"the process ended twice before its first test ({_death(code)}); see {log}")


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process died: {signal.Signals(-code).name}"
    return f"the process ended with status {code}"
