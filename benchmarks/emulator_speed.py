"""The emulator against Triton's interpreter and against native PyTorch, on the same Triton kernels and sizes.

Everything is measured on this machine in this run, warm, on one thread: medians of several calls. The emulator always
checks bounds. "plain" is what a program pays when nobody observes; "counted" has the counters on, as in a profile, and
is what the ratios compare; "read" adds what reading them costs, which is the replay of the cache model.
The interpreter runs in a child process with TRITON_INTERPRET=1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # the kernels live beside the tests; beside this script, coverage.py would hide a package

INTERPRETER_BAR = 300.0  # geometric mean
INTERPRETER_FLOOR = 50.0  # each kernel
TORCH_BAR = 4.0


def median_seconds(call: Callable[[], Any], budget_s: float, at_least: int = 3) -> float:
    """Return the median wall time of ``call`` over ``at_least`` calls and then as many as ``budget_s`` allows."""
    call()
    times: list[float] = []
    while len(times) < at_least or (sum(times) < budget_s and len(times) < 1000):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def cases(only: str | None) -> list[tuple[Any, tuple[Any, ...]]]:
    """Return each kernel case with its float32 inputs of benchmark size."""
    import torch

    from tests.frontends.triton_kernels import CASES

    torch.set_num_threads(1)
    return [
        (case, case.inputs(case.benchmark_shape, torch.float32, torch.Generator().manual_seed(0)))
        for case in CASES
        if only is None or only in case.name
    ]


def interpreter_rows(options: argparse.Namespace) -> dict[str, float]:
    """Return seconds by kernel name, measured by a child process that interprets."""
    command = [sys.executable, __file__, "--interpreter", "--budget", str(options.budget)]
    if options.only:
        command += ["--only", options.only]
    done = subprocess.run(
        command, env=os.environ | {"TRITON_INTERPRET": "1"}, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def interpret(options: argparse.Namespace) -> None:
    seconds = {}
    for case, inputs in cases(options.only):
        if case.interpretable:
            seconds[case.name] = median_seconds(lambda case=case, inputs=inputs: case.launch(*inputs), options.budget)
    print(json.dumps(seconds))


def emulator_row(case: Any, inputs: tuple[Any, ...], budget_s: float) -> dict[str, Any]:
    """Measure one kernel on the emulator and in PyTorch, after comparing their results."""
    import torch

    from teachkit.emulator import observe

    tolerance = case.tolerance(torch.float32)
    torch.testing.assert_close(case.launch(*inputs), case.reference(*inputs), rtol=tolerance, atol=tolerance)

    def observed(callback: Callable[[Any], Any]) -> None:
        with observe(callback):
            case.launch(*inputs)

    native = case.native or case.reference
    return {
        "kernel": case.name,
        "streaming": case.streaming,
        "shape": list(case.benchmark_shape),
        "plain_s": median_seconds(lambda: case.launch(*inputs), budget_s),
        "counted_s": median_seconds(lambda: observed(lambda launch: None), budget_s),
        "read_s": median_seconds(lambda: observed(lambda launch: launch.counters), budget_s),
        "torch_s": median_seconds(lambda: native(*inputs), budget_s),
    }


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))


def report(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Print the table and return its summary."""
    print(
        f"{'kernel':<20} {'shape':<10} {'plain':>8} {'counted':>8} {'read':>8} {'interpreter':>11} {'torch':>8}  ms;"
        "  counted against the others"
    )
    for row in rows:
        times = [row[name] for name in ("plain_s", "counted_s", "read_s", "interpreter_s", "torch_s")]
        shown = [f"{1e3 * seconds:.2f}" if seconds else "-" for seconds in times]
        mark = " streaming" if row["streaming"] else ""
        faster = f"{row['vs_interpreter']:>5.0f}x the interpreter's speed, " if row["interpreter_s"] else " " * 31
        print(
            f"{row['kernel']:<20} {'x'.join(map(str, row['shape'])):<10} {shown[0]:>8} {shown[1]:>8} {shown[2]:>8} "
            f"{shown[3]:>11} {shown[4]:>8}      {faster}{row['vs_torch']:.2f}x torch's time{mark}"
        )
    speedups = [row["vs_interpreter"] for row in rows if row["vs_interpreter"]]
    summary = {
        "geomean": geometric_mean(speedups),
        "worst": min(speedups),
        "torch_geomean": geometric_mean([row["vs_torch"] for row in rows]),
        "torch_worst": max(row["vs_torch"] for row in rows),
        "torch_streaming_worst": max((row["vs_torch"] for row in rows if row["streaming"]), default=math.nan),
        "read_geomean": geometric_mean([row["interpreter_s"] / row["read_s"] for row in rows if row["interpreter_s"]]),
        "counting_worst": max(row["counted_s"] / row["plain_s"] for row in rows),
    }
    print(
        f"against the interpreter: {summary['geomean']:.0f}x in the geometric mean, {summary['worst']:.0f}x at worst "
        f"(bars: {INTERPRETER_BAR:.0f}x and {INTERPRETER_FLOOR:.0f}x); {summary['read_geomean']:.0f}x with reading\n"
        f"against torch: {summary['torch_geomean']:.2f} times its time in the geometric mean, "
        f"{summary['torch_worst']:.2f} times at worst; streaming kernels {summary['torch_streaming_worst']:.2f} times "
        f"at worst (bar: {TORCH_BAR:.0f} times)\n"
        f"counting: at most {summary['counting_worst']:.2f} times the plain run"
    )
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=0.5, help="seconds for each median, after three calls")
    parser.add_argument("--only", help="kernels whose name contains this")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--interpreter", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.interpreter:
        interpret(options)
        return
    from teachkit import emulator

    emulator.configure(n_threads=1)
    rows = [emulator_row(case, inputs, options.budget) for case, inputs in cases(options.only)]
    interpreted = interpreter_rows(options)
    for row in rows:
        row["interpreter_s"] = interpreted.get(row["kernel"])
        row["vs_interpreter"] = row["interpreter_s"] / row["counted_s"] if row["interpreter_s"] else None
        row["vs_torch"] = row["counted_s"] / row["torch_s"]
    summary = report(rows)
    if options.json:
        print(json.dumps({"rows": rows, "summary": summary}))


if __name__ == "__main__":
    main()
