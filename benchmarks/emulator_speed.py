"""The emulator against Triton's interpreter, Numba's simulator and native PyTorch, on the same kernels and sizes.

Everything is measured on this machine in this run, warm, on one thread: medians of several calls, of the emulator and
of PyTorch in turns. The emulator always checks bounds. "plain" is what a program pays when nobody observes; "counted"
has the counters on, as in a profile, and is what the ratios compare; "read" adds what reading them costs, which is the
replay of the cache model. The interpreter runs in a child process with TRITON_INTERPRET=1, the simulator in one with
NUMBA_ENABLE_CUDASIM=1, once after a first call. Against tensor-core kernels PyTorch computes the same in float32.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # the kernels live beside the tests; beside this script, coverage.py would hide a package

from benchmarks.parts.timing import median_seconds, medians_in_turns

INTERPRETER_BAR = 300.0  # geometric mean
INTERPRETER_FLOOR = 50.0  # each kernel
TORCH_BAR = 4.0
SIMULATOR_BAR = 50_000.0


def cases(only: str | None) -> list[tuple[Any, tuple[Any, ...]]]:
    """Return each kernel case with its float32 inputs of benchmark size."""
    import torch

    from benchmarks.parts.dense_kernels import DENSE_CASES
    from tests.frontends.triton_kernels import CASES

    torch.set_num_threads(1)
    return [
        (case, case.inputs(case.benchmark_shape, torch.float32, torch.Generator().manual_seed(0)))
        for case in (*CASES, *DENSE_CASES)
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
            seconds[case.name] = median_seconds(
                lambda case=case, inputs=inputs: case.launch(*inputs), options.budget, 1
            )
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
    in_turns = {
        "plain_s": lambda: case.launch(*inputs),
        "counted_s": lambda: observed(lambda launch: None),
        "torch_s": lambda: native(*inputs),
    }
    return {
        "kernel": case.name,
        "streaming": case.streaming,
        "dense": "f16" in case.name,
        "shape": list(case.benchmark_shape),
        "read_s": median_seconds(lambda: observed(lambda launch: launch.counters), budget_s),
        **medians_in_turns(in_turns, budget_s),
    }


def numba_seconds(only: str | None, budget_s: float) -> dict[str, tuple[int, float]]:
    """Size and seconds of each Numba kernel, in this process: counted on the emulator, or on the simulator."""
    from benchmarks.parts.numba_kernels import calls

    seconds = {}
    for name, n, launch, is_right in calls():
        if only is None or only in name:
            seconds[name] = n, median_seconds(launch, budget_s, 1)
            if not is_right():
                raise SystemExit(f"{name} computes something else; nothing was compared.")
    return seconds


def numba_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure Numba's kernels here and, in a child process, on Numba's simulator, which takes a minute.

    Ours is the mean of the medians before and after it, so that both see the same machine.
    """
    from teachkit.emulator import observe

    with observe(lambda launch: None):
        before = numba_seconds(options.only, options.budget)
    if not before:
        return []
    command = [
        sys.executable,
        __file__,
        "--simulator",
        "--budget",
        "0",
        *(["--only", options.only] if options.only else []),
    ]
    done = subprocess.run(
        command, env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}, stdout=subprocess.PIPE, text=True, check=True
    )
    simulated = json.loads(done.stdout.splitlines()[-1])
    with observe(lambda launch: None):
        after = numba_seconds(options.only, options.budget)
    rows = []
    for name, (n, seconds) in before.items():
        counted = (seconds + after[name][1]) / 2
        theirs = simulated[name][1]
        rows.append({"kernel": name, "n": n, "counted_s": counted, "simulator_s": theirs, "ratio": theirs / counted})
    return rows


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
        "dense_worst": max((row["vs_torch"] for row in rows if row["dense"]), default=math.nan),
        "read_geomean": geometric_mean([row["interpreter_s"] / row["read_s"] for row in rows if row["interpreter_s"]]),
        "counting_worst": max(row["counted_s"] / row["plain_s"] for row in rows),
    }
    print(
        f"against the interpreter: {summary['geomean']:.0f}x in the geometric mean, {summary['worst']:.0f}x at worst "
        f"(bars: {INTERPRETER_BAR:.0f}x and {INTERPRETER_FLOOR:.0f}x); {summary['read_geomean']:.0f}x with reading\n"
        f"against torch: {summary['torch_geomean']:.2f} times its time in the geometric mean, "
        f"{summary['torch_worst']:.2f} times at worst; streaming kernels {summary['torch_streaming_worst']:.2f} times "
        f"at worst (bar: {TORCH_BAR:.0f} times)\n"
        f"tensor cores: {summary['dense_worst']:.2f} times torch's float32 at worst (bar: {TORCH_BAR:.0f} times)\n"
        f"counting: at most {summary['counting_worst']:.2f} times the plain run"
    )
    return summary


def report_numba(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(
            f"{row['kernel']:<20} {row['n']:<10} {1e3 * row['counted_s']:.3f} ms, Numba's simulator "
            f"{1e3 * row['simulator_s']:.0f} ms: {row['ratio']:,.0f}x (bar: {SIMULATOR_BAR:,.0f}x)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=0.5, help="seconds for each median, after three calls")
    parser.add_argument("--only", help="kernels whose name contains this")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--interpreter", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--simulator", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.interpreter:
        interpret(options)
        return
    if options.simulator:
        print(json.dumps(numba_seconds(options.only, options.budget)))
        return
    from teachkit import emulator

    emulator.configure(n_threads=1)
    rows = [emulator_row(case, inputs, options.budget) for case, inputs in cases(options.only)]
    interpreted = interpreter_rows(options) if rows else {}
    for row in rows:
        row["interpreter_s"] = interpreted.get(row["kernel"])
        row["vs_interpreter"] = row["interpreter_s"] / row["counted_s"] if row["interpreter_s"] else None
        row["vs_torch"] = row["counted_s"] / row["torch_s"]
    numba = numba_rows(options)
    if not rows and not numba:
        names = ", ".join(case.name for case, _ in cases(None))
        parser.error(f"--only {options.only}: no kernel's name contains it; there are {names} and Numba's")
    summary = report(rows) if rows else {}
    report_numba(numba)
    summary["simulator_worst"] = min((row["ratio"] for row in numba), default=math.nan)
    if options.json:
        print(json.dumps({"rows": [*rows, *numba], "summary": summary}))


if __name__ == "__main__":
    main()
